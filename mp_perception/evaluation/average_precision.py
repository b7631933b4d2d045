"""KITTI's 2D average precision of a set of images: AP40 and AP11, easy, moderate and hard, with curves and intervals.

Matching within an image is kitti_matching.py's; here the thresholds are chosen and the images summed.  All that is
summed are whole numbers, so the results do not depend on the order of the images; those of the bootstrap do.  COCO's
mean average precision is in coco_metrics.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mp_perception.data.object_label import ObjectLabel
from mp_perception.evaluation.kitti_matching import DIFFICULTIES, Difficulty, ImageMatches, ImageOverlaps
from mp_perception.prediction import Detections

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: Class -> overlaps at which it is scored, KITTI's own first; Car at 0.5 besides, as many papers report it.
MIN_IOUS: dict[str, tuple[float, ...]] = {"Car": (0.7, 0.5), "Pedestrian": (0.5,), "Cyclist": (0.5,)}

#: Precision is measured at these many recalls: 0, 1/40, ..., 1.
NUM_RECALLS = 41

#: Minimum scores for which precision and recall are reported, so that one can be chosen.
SCORES = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9)

_BY_DIFFICULTY = ("counted", "AP40", "AP11", "precision", "by_score")

#: At most so many numbers of all resamples at once in the bootstrap, so that its memory stays below some 100 MiB.
_MAX_NUMBERS = 4_000_000


class Criterion(NamedTuple):
    """What one curve counts: objects of a class and difficulty, found with an IoU greater than min_iou."""

    class_name: str
    min_iou: float
    difficulty: Difficulty

    @property
    def is_kittis_own(self) -> bool:
        """Whether KITTI itself scores the class at this overlap."""
        return self.min_iou == MIN_IOUS.get(self.class_name, (self.min_iou,))[0]


def criteria_of(class_names: Sequence[str]) -> list[Criterion]:
    """All criteria of classes of MIN_IOUS."""
    return [
        Criterion(name, min_iou, difficulty)
        for name in class_names
        for min_iou in MIN_IOUS[name]
        for difficulty in DIFFICULTIES
    ]


@dataclass(frozen=True)
class Curve:
    """Precision over recall by one criterion.

    counted: labelled objects that count.
    by_score: (score, precision, recall) if the detections of at least that score are taken, for each of SCORES; NaN
    where nothing is found or counts.
    thresholds: (k,) k <= 41 scores at which precision is measured, descending; number i belongs to recall i / 40.
    precision: (41,) 0..1 at recalls 0, 1/40, ..., 1: the best at that recall or beyond, 0 beyond the last threshold.
    ap40, ap11: percent, NaN if nothing counts.
    ap40_interval, ap11_interval: 2.5 and 97.5 percentile over bootstrap resamples, percent, or None.
    """

    criterion: Criterion
    counted: int
    thresholds: Floats
    precision: Floats
    ap40: float
    ap11: float
    by_score: tuple[tuple[float, float, float], ...] = ()
    ap40_interval: tuple[float, float] | None = None
    ap11_interval: tuple[float, float] | None = None


def match_image(
    labels: Sequence[ObjectLabel], detections: Detections, criteria: Sequence[Criterion]
) -> tuple[ImageMatches, ...]:
    """What one image contributes to the curve of each criterion.  ValueError for boxes that are not finite."""
    overlaps = ImageOverlaps(labels, detections)
    return tuple(overlaps.match(*criterion) for criterion in criteria)


def precision_recall_curves(
    images: Sequence[Sequence[ImageMatches]], criteria: Sequence[Criterion], num_resamples: int = 0, seed: int = 0
) -> list[Curve]:
    """One curve per criterion.

    images: what match_image gives for each image, with the same criteria.
    num_resamples: bootstrap resamples of whole images for the intervals, 0 for none.  Each resample is scored by all
    rules, with thresholds of its own; one in which no object counts has no average precision and is left out.
    seed: of the resamples, which are the same for all curves.

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
        >>> curve = precision_recall_curves([image] * 40, criteria)[0]
        >>> curve.criterion.class_name, curve.criterion.difficulty.name, curve.counted, curve.ap40
        ('Car', 'easy', 40, 97.5)
    """
    everything = np.ones((1, len(images)), dtype=np.int64)
    draws = np.random.default_rng(seed).integers(0, max(len(images), 1), (num_resamples, len(images)))
    weights = np.zeros((num_resamples, len(images)), dtype=np.int64)
    np.add.at(weights, (np.arange(num_resamples)[:, None], draws), 1)
    curves = []
    for i, criterion in enumerate(criteria):
        matches = [image[i] for image in images]
        thresholds, precision = _precision_by_recall(matches, everything)
        counted = sum(match.counted for match in matches)
        ap40, ap11 = _average_precisions(precision[0]) if counted else (math.nan, math.nan)
        ap40_interval, ap11_interval = _bootstrap_intervals(matches, weights)
        curves.append(
            Curve(
                criterion,
                counted,
                thresholds[0][~np.isnan(thresholds[0])],
                precision[0],
                float(ap40),
                float(ap11),
                tuple((score, *_precision_and_recall(matches, counted, score)) for score in SCORES),
                ap40_interval,
                ap11_interval,
            )
        )
    return curves


def _precision_and_recall(matches: Sequence[ImageMatches], counted: int, score: float) -> tuple[float, float]:
    """If the detections of at least `score` are taken; NaN where nothing is found or counts."""
    hits, false_alarms = np.sum([match.counts_at(score) for match in matches], axis=0).tolist() if matches else (0, 0)
    found = hits + false_alarms
    return hits / found if found else math.nan, hits / counted if counted else math.nan


def _average_precisions(precision: Floats) -> tuple[Any, Any]:
    """AP40 and AP11, percent, of precisions (..., 41)."""
    return precision[..., 1:].mean(axis=-1) * 100, precision[..., ::4].mean(axis=-1) * 100


def _precision_by_recall(matches: Sequence[ImageMatches], weights: Integers) -> tuple[Floats, Floats]:
    """Thresholds and precisions, both (R, 41), of R weightings of the images.

    matches: of n images.  weights: (R, n) how often each image is taken.  Thresholds are NaN beyond the kept ones.
    """
    hit_scores, hit_images = _concatenate([match.hit_scores for match in matches])
    order = np.argsort(-hit_scores, kind="stable")
    hit_scores, hit_images = hit_scores[order], hit_images[order]
    num_hits = np.cumsum(weights[:, hit_images], axis=1)
    counted = weights @ np.array([match.counted for match in matches], dtype=np.int64)
    positions = _kept_positions(num_hits[:, -1] if len(order) else np.zeros(len(weights), dtype=np.int64), counted)

    thresholds = np.full(positions.shape, np.nan)
    precision = np.zeros(positions.shape)
    hits_at, false_alarms_at = _counts_at_scores(matches, weights, hit_scores)
    for r in range(len(weights)):
        kept = positions[r][positions[r] >= 0]
        # Hit number `position` of the resample, where an image taken twice gives each of its hits twice.
        index = np.searchsorted(num_hits[r], kept, side="right")
        thresholds[r, : len(kept)] = hit_scores[index]
        hits, false_alarms = hits_at[r, index], false_alarms_at[r, index]
        precision[r, : len(kept)] = hits / np.maximum(hits + false_alarms, 1)
    return thresholds, np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]


def _kept_positions(num_hits: Integers, counted: Integers) -> Integers:
    """(R, 41) positions, among num_hits (R,) scores from high to low, at which precision is measured; -1 unused.

    Walks through the scores of all R weightings side by side; the arithmetic is the devkit's, rounding included.
    """
    positions = np.full((len(num_hits), NUM_RECALLS), -1, dtype=np.int64)
    num_kept = np.zeros(len(num_hits), dtype=np.int64)
    recall = np.zeros(len(num_hits))
    counted = np.maximum(counted, 1)
    for i in range(int(num_hits.max(initial=0))):
        left, right = (i + 1) / counted, (i + 2) / counted
        kept = np.flatnonzero((i < num_hits) & ((i == num_hits - 1) | ~(right - recall < recall - left)))
        positions[kept, num_kept[kept]] = i
        num_kept[kept] += 1
        recall[kept] += 1 / (NUM_RECALLS - 1)
    return positions


def _counts_at_scores(matches: Sequence[ImageMatches], weights: Integers, scores: Floats) -> tuple[Integers, Integers]:
    """Hits and false alarms, both (R, len(scores)), at thresholds that are descending."""
    step_scores, step_images = _concatenate([match.scores for match in matches])
    hit_steps, _ = _concatenate([np.diff(match.hits, prepend=0) for match in matches])
    alarm_steps, _ = _concatenate([np.diff(match.false_alarms, prepend=0) for match in matches])
    order = np.argsort(-step_scores, kind="stable")
    images = step_images[order]
    last = np.searchsorted(-step_scores[order], -scores, side="right") - 1
    return (
        np.cumsum(weights[:, images] * hit_steps[order].astype(np.int64), axis=1)[:, last],
        np.cumsum(weights[:, images] * alarm_steps[order].astype(np.int64), axis=1)[:, last],
    )


def _concatenate(arrays: Sequence[NDArray[Any]]) -> tuple[Floats, Integers]:
    """All values in one array, and the number of the array that each comes from."""
    numbers = np.repeat(np.arange(len(arrays)), [len(array) for array in arrays])
    values = np.concatenate([np.zeros(0), *arrays])
    return values, numbers


def _bootstrap_intervals(
    matches: Sequence[ImageMatches], weights: Integers
) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """Intervals of AP40 and AP11; None where no resample has an object that counts."""
    counted = weights @ np.array([match.counted for match in matches], dtype=np.int64)
    weights = weights[counted > 0]
    if len(weights) == 0:
        return None, None
    chunk = max(1, _MAX_NUMBERS // (1 + sum(len(match.scores) for match in matches)))
    precision = np.concatenate(
        [_precision_by_recall(matches, weights[start : start + chunk])[1] for start in range(0, len(weights), chunk)]
    )
    ap40, ap11 = (np.percentile(values, [2.5, 97.5]) for values in _average_precisions(precision))
    return (float(ap40[0]), float(ap40[1])), (float(ap11[0]), float(ap11[1]))


def average_precision_table(curves: Sequence[Curve]) -> dict[str, dict[str, Any]]:
    """Figures ready for JSON: class -> counted, AP40, AP11, intervals, precision, by_score -> difficulty -> figure.

    A class at another overlap than KITTI's has the name "<class> (IoU > <overlap>)".  None where nothing counts.
    """
    table: dict[str, dict[str, Any]] = {}
    for curve in curves:
        class_name, min_iou, difficulty = curve.criterion
        name = class_name if curve.criterion.is_kittis_own else f"{class_name} (IoU > {min_iou:g})"
        entry = table.setdefault(name, {"min_iou": min_iou, **{key: {} for key in _BY_DIFFICULTY}})
        entry["counted"][difficulty.name] = curve.counted
        entry["AP40"][difficulty.name] = curve.ap40 if curve.counted else None
        entry["AP11"][difficulty.name] = curve.ap11 if curve.counted else None
        entry["precision"][difficulty.name] = curve.precision.tolist() if curve.counted else None
        entry["by_score"][difficulty.name] = [
            {"score": score, "precision": _number(precision), "recall": _number(recall)}
            for score, precision, recall in curve.by_score
        ]
        if curve.ap40_interval and curve.ap11_interval:
            entry.setdefault("AP40_interval", {})[difficulty.name] = list(curve.ap40_interval)
            entry.setdefault("AP11_interval", {})[difficulty.name] = list(curve.ap11_interval)
    return table


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
