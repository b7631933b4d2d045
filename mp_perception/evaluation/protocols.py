"""Depth protocols: which pixels are compared, at which size and within which limits.  Each names all of it.

Every protocol takes images one at a time, in constant memory, can be merged with its parts from other processes, and
gives a dictionary that is ready for JSON: `protocol` (its description), the means over images, and counts.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.data.depth_png import UNITS_PER_METRE
from mp_perception.evaluation.depth_metrics import (
    SERVER_METRICS,
    SIX_METRICS,
    DepthErrors,
    server_depth_errors,
    six_depth_errors,
)

DepthMap = NDArray[np.float32]

#: Kinds of ground truth, as descriptions name them.
SINGLE_SCAN = "single lidar scan, projected (nearest point wins)"
IMPROVED = "KITTI's improved ground truth (11 scans, checked against stereo)"

#: Garg et al. 2016: first and last row, first and last column, as shares of height and width.
GARG_CROP = (0.40810811, 0.99189189, 0.03594771, 0.96405229)
MIN_DEPTH, MAX_DEPTH = 0.001, 80.0

#: The paper pads images (not larger) at the right and the bottom to this (width, height), and crops its targets to
#: that; half of the padded size is what its network gives.
PADDED_SIZE = (1280, 384)
CROPPED_TARGET = (1220, 375)
#: The paper divides stored 16-bit values by 1000; if they are metres x 256, one metre is this many of its units.
PAPER_UNITS_PER_METRE = UNITS_PER_METRE / 1000


def resize_depth(depth: DepthMap, width: int, height: int) -> DepthMap:
    """Depth (h, w) brought to (height, width), bilinear with pixel edges aligned; NaN spreads to what it touches."""
    if depth.shape == (height, width):
        return depth
    return np.asarray(cv2.resize(depth, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


class EigenProtocol:
    """The six metrics within Garg's crop, up to 80 m, at the ground truth's size (Eigen et al. 2014).

    ground_truth: what the truth is, for the description (SINGLE_SCAN, IMPROVED or a data set's own words).
    """

    def __init__(self, ground_truth: str) -> None:
        self._ground_truth = ground_truth
        self._errors = DepthErrors(six_depth_errors)

    @property
    def description(self) -> dict[str, Any]:
        """All that a reader must know to compare the figures."""
        return {
            "name": "eigen",
            "metrics": list(SIX_METRICS),
            "crop": {"name": "Garg", "rows": list(GARG_CROP[:2]), "columns": list(GARG_CROP[2:])},
            "cap": f"{MIN_DEPTH:g}-{MAX_DEPTH:g} m: truth outside is not scored, predictions are cut to it",
            "resolution": "prediction resized to the ground truth's size, bilinear",
            "ground_truth": self._ground_truth,
            "mean": "per image, then over images",
        }

    def add(self, truth: DepthMap, prediction: DepthMap) -> None:
        """truth: (H, W) metres, NaN or 0 where unknown.  prediction: (h, w) metres, any size, NaN where invalid."""
        height, width = truth.shape
        prediction = resize_depth(prediction, width, height)
        scored = np.zeros(truth.shape, dtype=bool)
        top, bottom = int(GARG_CROP[0] * height), int(GARG_CROP[1] * height)
        left, right = int(GARG_CROP[2] * width), int(GARG_CROP[3] * width)
        scored[top:bottom, left:right] = True
        scored &= (truth > MIN_DEPTH) & (truth < MAX_DEPTH)
        # Infinity stays, to be counted.
        cut = np.where(np.isfinite(prediction), np.minimum(prediction, MAX_DEPTH), prediction)
        self._errors.add(truth[scored], cut[scored], lowest=MIN_DEPTH)

    def merge(self, other: EigenProtocol) -> None:
        """Take over the images of a part."""
        self._errors.merge(other._errors)

    def result(self) -> dict[str, Any]:
        """The figures so far."""
        return {"protocol": self.description, **self._errors.counts(), **self._errors.means()}


class OfficialProtocol:
    """The four metrics of KITTI's depth server: all valid pixels, the prediction as a 16-bit PNG holds it."""

    def __init__(self, ground_truth: str) -> None:
        self._ground_truth = ground_truth
        self._errors = DepthErrors(server_depth_errors)

    @property
    def description(self) -> dict[str, Any]:
        """All that a reader must know to compare the figures."""
        return {
            "name": "official",
            "metrics": list(SERVER_METRICS),
            "crop": None,
            "cap": "none but the PNG's: 1/256-255.996 m",
            "resolution": "prediction resized to the ground truth's size, bilinear, then rounded to 1/256 m",
            "ground_truth": self._ground_truth,
            "missing_predictions": "left out and counted (the server fills them in); zero or less is scored as 1/256 m",
            "mean": "per image, then over images",
        }

    def add(self, truth: DepthMap, prediction: DepthMap) -> None:
        """truth: (H, W) metres, NaN or 0 where unknown.  prediction: (h, w) metres, any size, NaN where invalid."""
        prediction = resize_depth(prediction, truth.shape[1], truth.shape[0])
        scored = truth > 0
        values = prediction[scored].astype(np.float64)
        stored = np.clip(np.rint(values * UNITS_PER_METRE), None, 65535) / UNITS_PER_METRE
        # Infinity has no place in a PNG; what is too near to be stored becomes the smallest depth, as in our files.
        stored[np.isinf(values)] = np.nan
        self._errors.add(truth[scored], np.where(values > 0, stored, values), lowest=1 / UNITS_PER_METRE)

    def merge(self, other: OfficialProtocol) -> None:
        """Take over the images of a part."""
        self._errors.merge(other._errors)

    def result(self) -> dict[str, Any]:
        """The figures so far."""
        return {"protocol": self.description, **self._errors.counts(), **self._errors.means()}


class SelectionProtocol:
    """Both sets of figures, of `eigen` and of `official`, on KITTI's 1,000 selected images of 1216x352."""

    def __init__(self, ground_truth: str = IMPROVED) -> None:
        self._eigen = EigenProtocol(ground_truth)
        self._official = OfficialProtocol(ground_truth)

    @property
    def description(self) -> dict[str, Any]:
        """All that a reader must know to compare the figures."""
        return {"name": "selection", "eigen": self._eigen.description, "official": self._official.description}

    def add(self, truth: DepthMap, prediction: DepthMap) -> None:
        """As in the other protocols."""
        self._eigen.add(truth, prediction)
        self._official.add(truth, prediction)

    def merge(self, other: SelectionProtocol) -> None:
        """Take over the images of a part."""
        self._eigen.merge(other._eigen)
        self._official.merge(other._official)

    def result(self) -> dict[str, Any]:
        """The six metrics with the counts of `eigen`, and the other four with theirs under `official`."""
        official = {name: value for name, value in self._official.result().items() if name != "protocol"}
        return {**self._eigen.result(), "protocol": self.description, "official": official}


class PaperProtocol:
    """The paper's evaluation with its named faults, and beside it the same images scored correctly."""

    def __init__(self, ground_truth: str) -> None:
        self._ground_truth = ground_truth
        self._faulty = DepthErrors(six_depth_errors)
        self._correct = DepthErrors(six_depth_errors)

    @property
    def description(self) -> dict[str, Any]:
        """All that a reader must know to compare the figures, every fault by name."""
        return {
            "name": "paper",
            "metrics": list(SIX_METRICS),
            "crop": f"target cut to {CROPPED_TARGET[0]}x{CROPPED_TARGET[1]} at its left top corner",
            "cap": None,
            "resolution": "half of the padded 1280x384 image, resized to the cut target, bilinear",
            "ground_truth": f"{self._ground_truth}, filled by colourisation",
            "mean": "per image, then over images",
            "faults": [
                "the prediction of the padded image is stretched over the cut target: not registered with it",
                "filled pixels count like measured ones, also above the lidar's reach",
                "depth may be stored metres x 256 divided by 1000: rmse_in_paper_units is rmse in that unit (3.906 m)",
                "the prediction is averaged with that of the mirrored image",
                "objects: the mean depth inside a box takes in the background",
                "validation images with boxes are found by equal file names",
                "no cap: a negative prediction counts as within d1, d2, d3 and makes log10 undefined (null)",
            ],
            "correct": {
                "crop": None,
                "cap": f"predictions below {MIN_DEPTH:g} m are raised to it",
                "resolution": "enlarged to 1280x384 and cut to the ground truth's size",
                "ground_truth": f"{self._ground_truth}, measured pixels only",
                "mirrored": False,
            },
        }

    def add(self, filled: DepthMap, measured: DepthMap, half_depth: DepthMap, mirrored_half_depth: DepthMap) -> None:
        """Take an image of at most 1280x384 pixels.

        filled: (H, W) metres, the target filled by colourisation.  measured: (H, W) metres, NaN where unknown.
        half_depth: (192, 640) metres, the network's output on the padded image.  mirrored_half_depth: the same of the
        mirrored padded image, not mirrored back.  Raises ValueError for other sizes.
        """
        width, height = CROPPED_TARGET
        target = filled[:height, :width]
        mean: DepthMap = ((half_depth + mirrored_half_depth[:, ::-1]) / 2).astype(np.float32)
        stretched = stretched_paper_depth(mean, target.shape[1], target.shape[0])
        known = target > 0
        self._faulty.add(target[known], stretched[known])
        registered = registered_paper_depth(half_depth, measured.shape[1], measured.shape[0])
        known = measured > 0
        self._correct.add(measured[known], registered[known], lowest=MIN_DEPTH)

    def merge(self, other: PaperProtocol) -> None:
        """Take over the images of a part."""
        self._faulty.merge(other._faulty)
        self._correct.merge(other._correct)

    def result(self) -> dict[str, Any]:
        """The paper's figures, and under `correct` the correct ones."""
        means = self._faulty.means()
        rmse = means.get("rmse")
        return {
            "protocol": self.description,
            **self._faulty.counts(),
            **means,
            "rmse_in_paper_units": None if rmse is None else rmse * PAPER_UNITS_PER_METRE,
            "correct": {**self._correct.counts(), **self._correct.means()},
        }


def stretched_paper_depth(half_depth: DepthMap, width: int, height: int) -> DepthMap:
    """The paper's fault: depth of the padded image (192, 640) stretched over a target that has no padding."""
    _check_half_size(half_depth)
    # The authors first cut it to the target's size, which does nothing: it is only half as large.
    return resize_depth(half_depth[:height, :width], width, height)


def registered_paper_depth(half_depth: DepthMap, width: int, height: int) -> DepthMap:
    """What it should be: depth of the padded image (192, 640) enlarged to 1280x384 and cut to the image's size."""
    _check_half_size(half_depth)
    if width > PADDED_SIZE[0] or height > PADDED_SIZE[1]:
        raise ValueError(f"expected an image of at most {PADDED_SIZE[0]}x{PADDED_SIZE[1]}, found {width}x{height}")
    return resize_depth(half_depth, *PADDED_SIZE)[:height, :width]


def _check_half_size(half_depth: DepthMap) -> None:
    expected = (PADDED_SIZE[1] // 2, PADDED_SIZE[0] // 2)
    if half_depth.shape != expected:
        raise ValueError(f"expected depth of the padded image, {expected}, found {half_depth.shape}")
