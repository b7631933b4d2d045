"""Errors of depth maps: the paper's six and the four of KITTI's depth benchmark, per image, then the mean over images.

What is compared with what (crop, cap, size) is protocols.py's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: d1, d2, d3: share with max(d/p, p/d) below 1.25, 1.25^2, 1.25^3; rel: mean |d - p| / d; rmse: metres; log10: mean
#: |log10 d - log10 p|; d the truth, p the prediction.
SIX_METRICS = ("d1", "d2", "d3", "rel", "rmse", "log10")
#: KITTI's server: SILog: 100 x standard deviation of ln d - ln p; sqErrorRel, absErrorRel: percent; iRMSE: 1/km.
SERVER_METRICS = ("SILog", "sqErrorRel", "absErrorRel", "iRMSE")


def six_depth_errors(truth: Floats, prediction: Floats) -> dict[str, float]:
    """The paper's six metrics (SIX_METRICS) over n >= 1 depths (n,), metres, truth > 0.

    A prediction of zero or less is not refused: the formulas are taken literally, as the authors' program does, and
    so count a negative depth as within every d and make log10 infinite or NaN.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.maximum(truth / prediction, prediction / truth)
        log10 = float(np.mean(np.abs(np.log10(truth) - np.log10(prediction))))
    difference = np.abs(truth - prediction)
    return {
        "d1": float(np.mean(ratio < 1.25)),
        "d2": float(np.mean(ratio < 1.25**2)),
        "d3": float(np.mean(ratio < 1.25**3)),
        "rel": float(np.mean(difference / truth)),
        "rmse": math.sqrt(np.mean(difference**2)),
        "log10": log10,
    }


def server_depth_errors(truth: Floats, prediction: Floats) -> dict[str, float]:
    """The four metrics of KITTI's depth prediction server (SERVER_METRICS) over n >= 1 depths (n,), metres, > 0.

    As the depth devkit's evaluation program computes them; its squared error is relative to the squared truth.
    """
    log_difference = np.log(truth) - np.log(prediction)
    relative = np.abs(truth - prediction) / truth
    return {
        # The variance as a mean of squares around the mean: never below zero, as the devkit's difference can be.
        "SILog": 100 * float(np.std(log_difference)),
        "sqErrorRel": 100 * float(np.mean(relative**2)),
        "absErrorRel": 100 * float(np.mean(relative)),
        "iRMSE": 1000 * math.sqrt(np.mean((1 / truth - 1 / prediction) ** 2)),
    }


class DepthErrors:
    """Means over images of what a measure gives, in constant memory.

    measure: truth (n,) and prediction (n,), metres -> its errors by name (six_depth_errors, server_depth_errors).
    The sums are exact (fractions), so that the means are the same to the last bit in any order and however images are
    spread over processes; `merge` joins the parts.
    """

    def __init__(self, measure: Callable[[Floats, Floats], dict[str, float]]) -> None:
        self._measure = measure
        self._sums: dict[str, Fraction] = {}
        self._undefined: dict[str, int] = {}
        self._counts = {
            "images": 0,
            "images_without_pixels": 0,
            "pixels": 0,
            "non_finite_predictions": 0,
            "non_positive_predictions": 0,
        }

    def add(self, truth: NDArray[np.floating], prediction: NDArray[np.floating], lowest: float | None = None) -> None:
        """Take an image: truth (n,) metres, > 0, and prediction (n,) metres.

        A prediction that is not finite is counted and its pixel left out; one of zero or less is counted and, if
        `lowest` is given, raised to it like every one below.  An image without pixels is counted and has no figures.
        """
        finite = np.isfinite(prediction)
        known: Floats = truth[finite].astype(np.float64)
        found: Floats = prediction[finite].astype(np.float64)
        self._counts["non_finite_predictions"] += int(finite.size - len(found))
        self._counts["non_positive_predictions"] += int(np.count_nonzero(found <= 0))
        if len(found) == 0:
            self._counts["images_without_pixels"] += 1
            return
        if lowest is not None:
            found = np.maximum(found, lowest)
        self._counts["images"] += 1
        self._counts["pixels"] += len(found)
        for name, value in self._measure(known, found).items():
            self._sums.setdefault(name, Fraction(0))
            self._undefined.setdefault(name, 0)
            if math.isfinite(value):
                self._sums[name] += Fraction(value)
            else:
                self._undefined[name] += 1

    def merge(self, other: DepthErrors) -> None:
        """Take over the images of another part of the same measure."""
        for mine, others in ((self._counts, other._counts), (self._undefined, other._undefined)):
            for name, count in others.items():
                mine[name] = mine.get(name, 0) + count
        for name, total in other._sums.items():
            self._sums[name] = self._sums.get(name, Fraction(0)) + total

    def means(self) -> dict[str, float | None]:
        """Mean over images by name; None if one image's figure is infinite or not a number.  Empty without images."""
        return {
            name: None if self._undefined[name] else float(total / self._counts["images"])
            for name, total in self._sums.items()
        }

    def counts(self) -> dict[str, int]:
        """Images, images without a pixel to score, pixels scored, and predictions not finite, and of zero or less."""
        return dict(self._counts)
