"""Runs a network as the paper's authors do at test time, and scores it with their faults (protocols.PaperProtocol).

The image is not resized but padded at the right and the bottom to 1280x384, and goes through the network once as it
is and once mirrored; the targets are filled by colourisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.data.frame_sets import FrameCamera
from mp_perception.data.object_label import ObjectLabel
from mp_perception.data.samples import Sample
from mp_perception.errors import UserError
from mp_perception.evaluation.object_depth_metrics import ObjectDepthScorer
from mp_perception.evaluation.object_depth_truth import object_truths
from mp_perception.evaluation.protocols import (
    CROPPED_TARGET,
    PADDED_SIZE,
    DepthMap,
    PaperProtocol,
    stretched_paper_depth,
)
from mp_perception.inference.runtimes.base import Runtime
from mp_perception.prediction import Detections, Prediction

#: Height and width of the network's input.
INPUT_SIZE = (PADDED_SIZE[1], PADDED_SIZE[0])


class PaperScorer:
    """Depth maps and depth of objects, the paper's way.  score_threshold, classes: as ObjectDepthScorer has them."""

    def __init__(self, ground_truth: str, score_threshold: float, classes: Sequence[str]) -> None:
        self._maps = PaperProtocol(ground_truth)
        self._objects = ObjectDepthScorer(score_threshold, classes)

    def add(
        self, runtime: Runtime, sample: Sample, labels: Sequence[ObjectLabel] | None, camera: FrameCamera | None
    ) -> None:
        """Take an image with a depth map.  Raises UserError if it is larger than 1280x384 or its map is empty."""
        from mp_perception.data.depth_completion import complete_depth  # SciPy, which nothing else here needs

        assert sample.depth is not None
        if not np.isfinite(sample.depth).any():
            raise UserError(f"image {sample.name}: expected some known depth for protocol paper, found none")
        half_depth, mirrored = padded_depths(runtime, sample.image, sample.name)
        grey = cv2.cvtColor(sample.image, cv2.COLOR_RGB2GRAY).astype(np.uint8)
        filled = complete_depth(grey, sample.depth)
        self._maps.add(filled, sample.depth, half_depth, mirrored)
        if labels is None or camera is None:
            return
        target = np.ascontiguousarray(filled[: CROPPED_TARGET[1], : CROPPED_TARGET[0]])
        height, width = target.shape
        mean: DepthMap = ((half_depth + mirrored[:, ::-1]) / 2).astype(np.float32)
        prediction = Prediction(_no_detections(), stretched_paper_depth(mean, width, height), (height, width))
        truths = object_truths(labels, None, target, camera.intrinsics, camera.label_to_camera)
        self._objects.add(sample.name, labels, truths, prediction)

    def merge(self, other: PaperScorer) -> None:
        """Take over the images of a part."""
        self._maps.merge(other._maps)
        self._objects.merge(other._objects)

    def result(self) -> dict[str, Any]:
        """The paper's Table 2, and the correct figures under `correct`."""
        result = self._maps.result()
        result["protocol"] = {
            **result["protocol"],
            "input": "image padded at the right and the bottom to 1280x384; the paper pads with 0.001 (of 0..1), "
            "which is 0 in the 8-bit pixels of our networks",
        }
        return result

    def objects_result(self) -> dict[str, Any]:
        """The paper's Table 3."""
        return {
            "protocol": {
                "name": "paper",
                "prediction": "mean of the stretched depth inside each labelled box",
                "ground_truth": "mean of the filled map inside the box, background included",
                "mean": "over the objects of an image, then over images",
            },
            **self._objects.paper_result(),
        }


def padded_depths(runtime: Runtime, image: NDArray[np.uint8], name: str) -> tuple[DepthMap, DepthMap]:
    """Depth (192, 640), metres, of the padded image and of its mirror image (not mirrored back).

    image: (H, W, 3) RGB.  Raises UserError naming the image if it is larger than 1280x384.
    """
    height, width = image.shape[:2]
    if height > INPUT_SIZE[0] or width > INPUT_SIZE[1]:
        raise UserError(f"image {name}: expected at most 1280x384 pixels for protocol paper, found {width}x{height}")
    padded = np.zeros((2, *INPUT_SIZE, 3), dtype=np.uint8)
    padded[0, :height, :width] = image
    padded[1] = padded[0, :, ::-1]
    # One image after the other, as in all other runs: a batch of two may round otherwise.
    return runtime.run(padded[:1]).depth[0], runtime.run(padded[1:]).depth[0]


def _no_detections() -> Detections:
    numbers = np.zeros(0, dtype=np.float32)
    return Detections(
        boxes=np.zeros((0, 4), dtype=np.float32),
        scores=numbers,
        labels=np.zeros(0, dtype=np.int64),
        depth=numbers,
        depth_spread=numbers,
        valid_share=numbers,
        position=np.zeros((0, 3), dtype=np.float32),
        class_names=(),
    )
