"""Errors of depth maps over the pixels of one image, and their means over images.

Which pixels are compared, at which size and within which limits, is in depth_protocols.py.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import Floats

#: The paper's six; d is the true depth, p the predicted one.  d1, d2, d3: fraction with max(d/p, p/d) below 1.25,
#: 1.25^2, 1.25^3; rel: mean |d - p| / d; rmse: root of mean (d - p)^2, metres; log10: mean |log10 d - log10 p|.
SIX_METRICS = ("d1", "d2", "d3", "rel", "rmse", "log10")
#: The six, and two of Eigen et al. 2014.  sq_rel: mean (d - p)^2 / d, metres; rmse_log: root of mean (ln d - ln p)^2.
DEPTH_METRICS = (*SIX_METRICS, "sq_rel", "rmse_log")
#: KITTI's server: SILog: 100 x standard deviation of ln d - ln p; sqErrorRel, absErrorRel: percent; iRMSE: 1/km.
SERVER_METRICS = ("SILog", "sqErrorRel", "absErrorRel", "iRMSE")

Measure = Callable[[Floats, Floats], dict[str, float]]


def depth_errors(truth: Floats, prediction: Floats) -> dict[str, float]:
    """DEPTH_METRICS over n >= 1 depths (n,), metres, truth > 0.

    The formulas are also applied to a prediction of zero or less, as the authors' program does: a negative depth
    counts as within d1, d2 and d3, and log10 and rmse_log become infinite or NaN.

    Example:
        >>> errors = depth_errors(np.array([10.0, 20.0]), np.array([11.0, 30.0]))
        >>> round(errors["d1"], 3), round(errors["rel"], 3), round(errors["rmse"], 3)
        (0.5, 0.3, 7.106)
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.maximum(truth / prediction, prediction / truth)
        log10 = float(np.mean(np.abs(np.log10(truth) - np.log10(prediction))))
        rmse_log = math.sqrt(np.mean((np.log(truth) - np.log(prediction)) ** 2))
    difference = np.abs(truth - prediction)
    return {
        "d1": float(np.mean(ratio < 1.25)),
        "d2": float(np.mean(ratio < 1.25**2)),
        "d3": float(np.mean(ratio < 1.25**3)),
        "rel": float(np.mean(difference / truth)),
        "rmse": math.sqrt(np.mean(difference**2)),
        "log10": log10,
        "sq_rel": float(np.mean(difference**2 / truth)),
        "rmse_log": rmse_log,
    }


def server_depth_errors(truth: Floats, prediction: Floats) -> dict[str, float]:
    """SERVER_METRICS over n >= 1 depths (n,), metres, > 0.

    As the evaluation program of KITTI's depth devkit; its squared error is relative to the squared truth.
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


@dataclass(frozen=True)
class ImageErrors:
    """Errors over the pixels of one image.

    errors: (m,) in the order of the measure's metrics; empty if no pixel could be compared.
    pixels: compared.  non_finite: pixels left out because their prediction is not finite.
    non_positive: predictions of zero or less.
    """

    errors: Floats
    pixels: int
    non_finite: int
    non_positive: int


def image_errors(
    truth: NDArray[np.floating], prediction: NDArray[np.floating], measure: Measure, minimum: float | None = None
) -> ImageErrors:
    """Errors of one image.

    truth: (n,) metres, > 0.  prediction: (n,) metres.  measure: depth_errors or server_depth_errors.
    minimum: predictions below it are raised to it; None leaves them as they are.
    """
    finite = np.isfinite(prediction)
    true, predicted = truth[finite].astype(np.float64), prediction[finite].astype(np.float64)
    raised = predicted if minimum is None else np.maximum(predicted, minimum)
    return ImageErrors(
        errors=np.array(list(measure(true, raised).values()) if len(true) else [], dtype=np.float64),
        pixels=len(true),
        non_finite=int(finite.size - len(true)),
        non_positive=int(np.count_nonzero(predicted <= 0)),
    )


def mean_errors(images: Sequence[ImageErrors], metrics: Sequence[str]) -> dict[str, Any]:
    """Counts, and the mean of each metric over the images that have pixels, ready for JSON.

    A mean is None if it is infinite or NaN for one of the images; without any image there are no means.  The sums are
    exact, so the means do not depend on the order of the images.
    """
    compared = [image for image in images if image.pixels]
    columns = np.array([image.errors for image in compared], dtype=np.float64).T
    return {
        "images": len(compared),
        "images_without_pixels": len(images) - len(compared),
        "pixels": sum(image.pixels for image in images),
        "non_finite_predictions": sum(image.non_finite for image in images),
        "non_positive_predictions": sum(image.non_positive for image in images),
        **{
            name: statistics.mean(column.tolist()) if np.isfinite(column).all() else None
            for name, column in zip(metrics, columns, strict=bool(compared))
        },
    }
