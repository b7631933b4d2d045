"""What a network's outputs mean, measured on labelled images: from which score on to show an object, and how far its
depth may be off beyond what the depth inside its box tells."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mp_perception.evaluation.detection_metrics import MIN_IOUS
from mp_perception.evaluation.evaluate import Evaluation

#: Share of errors within one standard deviation of a normal distribution.
_WITHIN_ONE_DEVIATION = 0.6827


@dataclass(frozen=True)
class Calibration:
    """score_threshold, depth_error: as CheckpointDescription has them; None where the images cannot tell."""

    score_threshold: float | None = None
    depth_error: float | None = None

    def completed_by(self, other: Calibration) -> Calibration:
        """These values, and the other's where there is none."""
        return Calibration(
            other.score_threshold if self.score_threshold is None else self.score_threshold,
            other.depth_error if self.depth_error is None else self.depth_error,
        )


def calibrate(evaluation: Evaluation) -> Calibration:
    """The calibration of a network that has none yet, from its evaluation.

    score_threshold: of detection_metrics.SCORES that with the greatest mean F1 over classes, moderate difficulty.
    depth_error: the relative error e for which sqrt(spread^2 + (e depth)^2) is one standard deviation: as many of the
    found objects' errors against lidar lie within it as in a normal distribution.
    """
    return Calibration(_best_threshold(evaluation), _excess_depth_error(evaluation))


def _best_threshold(evaluation: Evaluation) -> float | None:
    by_score: dict[float, list[float]] = {}
    for curve in evaluation.detection.curves():
        own = curve.min_iou == MIN_IOUS[curve.class_name][0]
        if own and curve.difficulty == "moderate" and curve.counted:
            for score, precision, recall in curve.by_score:
                hits = 2 * precision * recall
                by_score.setdefault(score, []).append(hits / (precision + recall) if hits > 0 else 0.0)
    means = {score: math.fsum(values) / len(values) for score, values in by_score.items()}
    # Where nothing is ever found no score is better than another.
    return max(means, key=lambda score: means[score]) if any(means.values()) else None


def _excess_depth_error(evaluation: Evaluation) -> float | None:
    true, measured, spread = evaluation.objects.detection_depths()
    if len(true) == 0:
        return None
    excess = np.sqrt(np.maximum((true - measured) ** 2 - spread**2, 0)) / measured
    return float(np.quantile(excess, _WITHIN_ONE_DEVIATION))
