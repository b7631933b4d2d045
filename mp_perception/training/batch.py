"""Samples of one step as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from mp_perception.data.sample_geometry import resize_depth
from mp_perception.data.samples import Sample


@dataclass
class Batch:
    """B samples of one size.

    images: (B, 3, H, W) uint8.
    depth: (B, 1, H / 2, W / 2) metres as a camera of the training focal length would have them, NaN where unknown.
    boxes, labels, object_depths, exact: per image (M, 4) pixels of the network's input, (M,) int64, (M,) metres
    likewise, (M,) bool as in Sample.
    ignored: per image (K, 4) regions whose objects are unknown.
    labelled_classes: (B, C) bool, classes that the image's data set labels.  origins: where the samples come from.
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

    def to(self, device: torch.device, non_blocking: bool = False) -> Batch:
        """The same on another device (Lightning calls this)."""

        def moved(value: object) -> object:
            if isinstance(value, Tensor):
                return value.to(device, non_blocking=non_blocking)
            if isinstance(value, list) and value and isinstance(value[0], Tensor):
                return [tensor.to(device, non_blocking=non_blocking) for tensor in value]
            return value

        return Batch(**{field.name: moved(getattr(self, field.name)) for field in fields(self)})  # type: ignore[arg-type]


def collate(samples: Sequence[Sample], training_focal_length: float) -> Batch:
    """Samples of one size as a Batch.

    training_focal_length: pixels of the network's input.  An object seen through a lens twice as long looks as if it
    were half as far away, and the network cannot know the lens; so depth is multiplied by training_focal_length over
    the sample's own.  The predictor multiplies by the inverse, and depth is metric for any camera.  Depth of a sample
    without intrinsics is left out.
    """
    height, width = samples[0].size
    depth = np.full((len(samples), 1, height // 2, width // 2), np.nan, dtype=np.float32)
    factors = [training_focal_length / s.intrinsics.fy if s.intrinsics is not None else np.nan for s in samples]
    for i, sample in enumerate(samples):
        if sample.depth is not None:
            depth[i, 0] = resize_depth(sample.depth, width // 2, height // 2) * np.float32(factors[i])
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
