"""KITTI's 2D average precision of a set of images: AP40 and AP11, easy, moderate and hard, with curves and intervals.

Matching within an image is in kitti_matching.py; here the thresholds are chosen and the images summed.  All that is
summed are whole numbers, so the figures do not depend on the order of the images; the intervals do.  COCO's figures are
in coco_metrics.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mp_perception.arrays import Floats, Integers
from mp_perception.data.object_label import ObjectLabel
from mp_perception.evaluation.kitti_matching import DIFFICULTIES, Difficulty, ImageMatches, ImageOverlaps
from mp_perception.prediction import Detections

#: Class -> overlaps at which it is scored, KITTI's own first; Car at 0.5 besides, as many papers report it.
MIN_IOUS: dict[str, tuple[float, ...]] = {"Car": (0.7, 0.5), "Pedestrian": (0.5,), "Cyclist": (0.5,)}

#: Precision is measured at these many recalls: 0, 1/40, ..., 1.
NUM_RECALLS = 41

#: Minimum scores for which precision and recall are reported, so that one can be chosen.
SCORES = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9)


class Criterion(NamedTuple):
    """What one curve counts: objects of a class and difficulty, found with an IoU greater than min_iou."""

    class_name: str
    min_iou: float
    difficulty: Difficulty

    @property
    def name(self) -> str:
        """The class, and the overlap if it is not the one of KITTI: "Car", "Car (IoU > 0.5)"."""
        is_kittis = self.min_iou == MIN_IOUS[self.class_name][0]
        return self.class_name if is_kittis else f"{self.class_name} (IoU > {self.min_iou:g})"


def criteria_of(class_names: Sequence[str]) -> list[Criterion]:
    """All criteria of classes of MIN_IOUS."""
    return [
        Criterion(name, min_iou, difficulty)
        for name in class_names
        for min_iou in MIN_IOUS[name]
        for difficulty in DIFFICULTIES
    ]


def match_image(
    labels: Sequence[ObjectLabel], detections: Detections, criteria: Sequence[Criterion]
) -> tuple[ImageMatches, ...]:
    """What one image contributes to the curve of each criterion.  ValueError for boxes that are not finite."""
    overlaps = ImageOverlaps(labels, detections)
    return tuple(overlaps.match(*criterion) for criterion in criteria)


def average_precision_figures(
    images: Sequence[Sequence[ImageMatches]], criteria: Sequence[Criterion], num_resamples: int = 0
) -> dict[str, dict[str, Any]]:
    """Criterion.name -> min_iou, and kind of figure -> difficulty -> figure, ready for JSON; None where nothing counts.

    images: what match_image gives for each image, with the same criteria.
    num_resamples: bootstrap resamples of whole images for the intervals, 0 for none.  Each resample is scored by all
    rules, with thresholds of its own; one in which no object counts has no average precision and is left out.  The
    resamples are the same for all criteria and in every run.

    Kinds: `counted`: labelled objects that count.  `AP40`, `AP11`: percent.  `AP40_interval`, `AP11_interval`: 2.5 and
    97.5 percentile over the resamples.  `precision`: (41,) 0..1 at recalls 0, 1/40, ..., 1: the best at that recall or
    beyond, 0 beyond the last threshold.  `thresholds`: scores at which precision is measured, descending; number i
    belongs to recall i / 40.  `by_score`: precision and recall if the detections of at least that score are taken.

    Examples:
        >>> labels = [ObjectLabel("Car", (0, 0, 100, 60), truncation=0.0, occlusion=0)]
        >>> detections = Detections(
        ...     boxes=np.array([[0, 0, 100, 58], [200, 0, 300, 60]], np.float32),
        ...     scores=np.array([0.9, 0.4], np.float32),
        ...     labels=np.array([0, 0]),
        ...     depth=np.full(2, 10, np.float32),
        ...     depth_std=np.ones(2, np.float32),
        ...     valid_fraction=np.ones(2, np.float32),
        ...     position=np.full((2, 3), np.nan, np.float32),
        ...     class_names=("Car",),
        ... )
        >>> criteria = criteria_of(["Car"])
        >>> image = match_image(labels, detections, criteria)
        >>> figures = average_precision_figures([image] * 40, criteria)["Car"]
        >>> figures["counted"]["easy"], figures["AP40"]["easy"]
        (40, 97.5)
    """
    draws = np.random.default_rng(0).integers(0, max(len(images), 1), (num_resamples, len(images)))
    table: dict[str, dict[str, Any]] = {}
    for i, criterion in enumerate(criteria):
        curve = _PrecisionCurve([image[i] for image in images])
        row = table.setdefault(criterion.name, {"min_iou": criterion.min_iou})
        for kind, figure in curve.figures(draws).items():
            row.setdefault(kind, {})[criterion.difficulty.name] = figure
    return table


class _PrecisionCurve:
    """Precision over recall of the images of one criterion, or of resamples of them."""

    def __init__(self, matches: Sequence[ImageMatches]) -> None:
        self._matches = matches
        self._counted = np.array([match.counted for match in matches], dtype=np.int64)
        self._hit_scores, self._hit_images = _descending([match.hit_scores for match in matches])
        # For each distinct score of an image: how many hits and false alarms its detections add.
        self._scores, self._images, self._hits, self._false_alarms = _descending(
            [match.scores for match in matches],
            [np.diff(match.hits, prepend=0) for match in matches],
            [np.diff(match.false_alarms, prepend=0) for match in matches],
        )

    def figures(self, draws: Integers) -> dict[str, Any]:
        """The figures by kind.  draws: (R, n) numbers of the images of each resample."""
        counted = int(self._counted.sum())
        thresholds, precision = self._precision_by_recall(np.ones(len(self._matches), dtype=np.int64))
        ap40, ap11 = _average_precisions(precision)
        figures = {
            "counted": counted,
            "AP40": ap40 if counted else None,
            "AP11": ap11 if counted else None,
            "precision": precision.tolist() if counted else None,
            "thresholds": thresholds.tolist(),
            "by_score": [self._at_score(score, counted) for score in SCORES],
        }
        weights = [np.bincount(draw, minlength=len(self._matches)) for draw in draws]
        curves = [self._precision_by_recall(weight)[1] for weight in weights if weight @ self._counted]
        if curves:
            intervals = np.percentile([_average_precisions(curve) for curve in curves], [2.5, 97.5], axis=0)
            figures |= {"AP40_interval": intervals[:, 0].tolist(), "AP11_interval": intervals[:, 1].tolist()}
        return figures

    def _precision_by_recall(self, weights: Integers) -> tuple[Floats, Floats]:
        """Thresholds (k,) and precisions (41,).  weights: (n,) how often each image is taken."""
        num_hits = np.cumsum(weights[self._hit_images])
        positions = _kept_positions(int(num_hits[-1]) if len(num_hits) else 0, int(weights @ self._counted))
        # Hit number `position` of a resample, where an image taken twice gives each of its hits twice.
        thresholds = self._hit_scores[np.searchsorted(num_hits, positions, side="right")]
        last = np.searchsorted(-self._scores, -thresholds, side="right") - 1
        times = weights[self._images]
        hits, false_alarms = (np.cumsum(times * added)[last] for added in (self._hits, self._false_alarms))
        precision = np.zeros(NUM_RECALLS)
        precision[: len(positions)] = hits / np.maximum(hits + false_alarms, 1)
        return thresholds, np.maximum.accumulate(precision[::-1])[::-1]

    def _at_score(self, score: float, counted: int) -> dict[str, float | None]:
        """Precision and recall if the detections of at least `score` are taken; None if nothing is found or counts."""
        hits, false_alarms = np.sum([match.counts_at(score) for match in self._matches] or [(0, 0)], axis=0).tolist()
        found = hits + false_alarms
        return {
            "score": score,
            "precision": hits / found if found else None,
            "recall": hits / counted if counted else None,
        }


def _average_precisions(precision: Floats) -> tuple[float, float]:
    """AP40 and AP11, percent, of precisions (41,)."""
    return float(precision[1:].mean() * 100), float(precision[::4].mean() * 100)


def _kept_positions(num_hits: int, counted: int) -> list[int]:
    """Positions among num_hits scores from high to low at which precision is measured, at most 41.

    The arithmetic is the devkit's, rounding included.
    """
    positions: list[int] = []
    recall = 0.0
    for i in range(num_hits):
        left, right = (i + 1) / counted, (i + 2) / counted
        if i == num_hits - 1 or not right - recall < recall - left:
            positions.append(i)
            recall += 1 / (NUM_RECALLS - 1)
    return positions


def _descending(scores: Sequence[Floats], *columns: Sequence[Integers]) -> tuple[Any, ...]:
    """The scores of all images from high to low, the number of the image of each, and columns in the same order."""
    joined = np.concatenate([np.zeros(0), *scores])
    images = np.repeat(np.arange(len(scores)), np.array([len(values) for values in scores], dtype=np.int64))
    order = np.argsort(-joined, kind="stable")
    others = [np.concatenate([np.zeros(0, dtype=np.int64), *column]) for column in columns]
    return tuple(values[order] for values in (joined, images, *others))
