"""What a network's outputs mean, measured on labelled images: its best score threshold and its depth error.

A training stores both in the checkpoint's description.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mp_perception.evaluation.figures import Evaluation

#: Fraction of errors within one standard deviation of a normal distribution.
_WITHIN_ONE_STD = 0.6827


@dataclass(frozen=True)
class OutputCalibration:
    """score_threshold, depth_error: as CheckpointDescription has them; None where the images do not contain enough."""

    score_threshold: float | None = None
    depth_error: float | None = None

    def completed_by(self, other: OutputCalibration) -> OutputCalibration:
        """These values, and the other's where they are None."""
        return OutputCalibration(
            other.score_threshold if self.score_threshold is None else self.score_threshold,
            other.depth_error if self.depth_error is None else self.depth_error,
        )


def calibrate_outputs(evaluation: Evaluation) -> OutputCalibration:
    """The calibration of a network that has none yet, from its evaluation.

    score_threshold: of average_precision.SCORES the one with the highest mean F1 over classes, moderate difficulty.
    depth_error: the relative error e for which sqrt(std^2 + (e depth)^2) is one standard deviation: it contains the
    same fraction of the found objects' errors against the depth map as in a normal distribution.
    """
    return OutputCalibration(_best_threshold(evaluation), _excess_depth_error(evaluation))


def _best_threshold(evaluation: Evaluation) -> float | None:
    by_score: dict[float, list[float]] = {}
    detection = evaluation.detection()
    for name in evaluation.rules.scored_classes:
        if detection[name]["counted"]["moderate"]:
            for row in detection[name]["by_score"]["moderate"]:
                precision, recall = row["precision"] or 0.0, row["recall"]
                product = 2 * precision * recall
                by_score.setdefault(row["score"], []).append(product / (precision + recall) if product > 0 else 0.0)
    means = {score: math.fsum(values) / len(values) for score, values in by_score.items()}
    # Where nothing is found at any score, no score is better than another.
    return max(means, key=lambda score: means[score]) if any(means.values()) else None


def _excess_depth_error(evaluation: Evaluation) -> float | None:
    objects = evaluation.objects()
    if objects is None:
        return None
    known = objects.found & (objects.depth_map > 0) & (objects.detection > 0)
    true, measured, std = objects.depth_map[known], objects.detection[known], objects.detection_std[known]
    if len(true) == 0:
        return None
    excess = np.sqrt(np.maximum((true - measured) ** 2 - std**2, 0)) / measured
    return float(np.quantile(excess, _WITHIN_ONE_STD))
