"""How the error of depth maps grows with distance, and which images are worst: all known pixels, without a crop."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from mp_perception.evaluation.depth_metrics import DepthErrors, Floats, six_depth_errors
from mp_perception.evaluation.protocols import MAX_DEPTH, MIN_DEPTH, DepthMap, resize_depth

#: Metres: from the first, below the next.
DISTANCES = (0, 5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80)


class DepthByDistance:
    """The six metrics by true distance: per image, then the mean over the images that have such pixels."""

    def __init__(self) -> None:
        self._bins = {limits: DepthErrors(six_depth_errors) for limits in pairwise(DISTANCES)}
        self.num_images = 0

    def add(self, truth: DepthMap, prediction: DepthMap) -> None:
        """truth: (H, W) metres, NaN where unknown.  prediction: (h, w) metres, any size, NaN where invalid."""
        self.num_images += 1
        true, predicted = _known_pixels(truth, prediction)
        for (low, high), errors in self._bins.items():
            inside = (true >= low) & (true < high)
            errors.add(true[inside], predicted[inside], lowest=MIN_DEPTH)

    def merge(self, other: DepthByDistance) -> None:
        """Take over the images of a part."""
        self.num_images += other.num_images
        for limits, errors in self._bins.items():
            errors.merge(other._bins[limits])

    def result(self) -> list[dict[str, Any]]:
        """Nearest first: from and to (metres), images and pixels scored, and the six metrics where there are any."""
        result = []
        for (low, high), errors in self._bins.items():
            counts = errors.counts()
            result.append(
                {"from": low, "to": high, "images": counts["images"], "pixels": counts["pixels"], **errors.means()}
            )
        return result


def mean_relative_error(truth: DepthMap, prediction: DepthMap) -> float | None:
    """Mean of |d - p| / d over the known pixels of one image that have a prediction; None without any."""
    true, predicted = _known_pixels(truth, prediction)
    valid = np.isfinite(predicted)
    return float(np.mean(np.abs(true - predicted)[valid] / true[valid])) if valid.any() else None


def _known_pixels(truth: DepthMap, prediction: DepthMap) -> tuple[Floats, Floats]:
    """True and predicted depth (n,) where the truth is known and at most 80 m; the prediction may be NaN."""
    known = (truth > MIN_DEPTH) & (truth < MAX_DEPTH)
    predicted = resize_depth(prediction, truth.shape[1], truth.shape[0])[known].astype(np.float64)
    return truth[known].astype(np.float64), np.minimum(predicted, MAX_DEPTH)
