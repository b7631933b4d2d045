"""The samples of one training step as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mp_perception.data.sample_geometry import resize_measured_depth
from mp_perception.data.samples import Sample


@dataclass
class Batch:
    """B samples of one size.

    images: (B, 3, H, W) uint8.
    depth: (B, 1, H / 2, W / 2) metres for a camera of the training focal length, NaN where unknown.
    boxes, labels, object_depths, exact: per image (M, 4) pixels of the network's input, (M,) int64, (M,) metres
    as above, (M,) bool as in Sample.
    ignored: per image (K, 4) regions whose objects are unknown.
    labelled_classes: (B, C) bool, the classes that the image's data set labels.  origins: of the samples, for messages.
    """

    images: Tensor
    depth: Tensor
    boxes: list[Tensor]
    labels: list[Tensor]
    object_depths: list[Tensor]
    exact: list[Tensor]
    ignored: list[Tensor]
    labelled_classes: Tensor
    origins: list[str]


def collate(samples: Sequence[Sample], training_focal_length: float) -> Batch:
    """Samples of one size as a Batch.

    An object seen through a lens of twice the focal length looks as if it were half as far away, and the network
    does not know the lens.  So depth is multiplied by training_focal_length (pixels of the network's input) over the
    sample's focal length, which in a distorted image is that of the place; the predictor multiplies by the inverse,
    which makes depth metric for any camera.  The depth of samples without intrinsics is omitted.
    """
    height, width = samples[0].size
    depth = np.full((len(samples), 1, height // 2, width // 2), np.nan, dtype=np.float32)
    factors = [training_focal_length / s.intrinsics.fy if s.intrinsics is not None else np.nan for s in samples]
    for i, sample in enumerate(samples):
        if sample.depth is not None:
            depth[i, 0] = resize_measured_depth(sample.depth, width // 2, height // 2) * np.float32(factors[i])
            if sample.intrinsics is not None and sample.intrinsics.distortion is not None:
                depth[i, 0] /= sample.intrinsics.scaled(width // 2, height // 2).magnification()
    return Batch(
        images=torch.from_numpy(np.stack([sample.image for sample in samples])).permute(0, 3, 1, 2),
        depth=torch.from_numpy(depth),
        boxes=[torch.from_numpy(sample.boxes) for sample in samples],
        labels=[torch.from_numpy(sample.labels) for sample in samples],
        object_depths=[torch.from_numpy(s.object_depths) * f for s, f in zip(samples, factors, strict=True)],
        exact=[torch.from_numpy(sample.exact) for sample in samples],
        ignored=[torch.from_numpy(sample.ignored) for sample in samples],
        labelled_classes=torch.from_numpy(np.stack([sample.labelled_classes for sample in samples])),
        origins=[f"{sample.origin} {sample.name}" for sample in samples],
    )
