"""KITTI's 2D average precision of a set of images: AP40 and AP11, easy, moderate and hard, with curves and intervals.

Matching within an image is kitti_matching.py's; here the thresholds are chosen and the images summed.  COCO's mean
average precision is in coco_metrics.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mp_perception.data.object_label import ObjectLabel
from mp_perception.evaluation.kitti_matching import DIFFICULTIES, ImageMatches, ImageOverlaps
from mp_perception.prediction import Detections

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: Class -> overlaps at which it is scored, KITTI's own first; Car at 0.5 besides, as many papers report it.
MIN_IOUS: dict[str, tuple[float, ...]] = {"Car": (0.7, 0.5), "Pedestrian": (0.5,), "Cyclist": (0.5,)}

#: Precision is measured at these many recalls: 0, 1/40, ..., 1.
NUM_RECALLS = 41

#: Score thresholds for which precision and recall are told, so that one can be chosen.
SCORES = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9)

#: At most so many numbers of all resamples at once in the bootstrap, so that its memory stays below some 100 MiB.
_MAX_NUMBERS = 4_000_000


@dataclass(frozen=True)
class Curve:
    """Precision over recall of one class, overlap and difficulty.

    class_name, min_iou, difficulty: what is scored.  counted: labelled objects that count.
    by_score: (score, precision, recall) if the detections of at least that score are taken, for each of SCORES; NaN
    where nothing is found or counts.
    thresholds: (k,) k <= 41 scores at which precision is measured, descending; number i belongs to recall i / 40.
    precision: (41,) 0..1 at recalls 0, 1/40, ..., 1: the best at that recall or beyond, 0 beyond the last threshold.
    ap40, ap11: percent, NaN if nothing counts.
    ap40_interval, ap11_interval: 2.5 and 97.5 percentile over bootstrap resamples, percent, or None.
    """

    class_name: str
    min_iou: float
    difficulty: str
    counted: int
    thresholds: Floats
    precision: Floats
    ap40: float
    ap11: float
    by_score: tuple[tuple[float, float, float], ...] = ()
    ap40_interval: tuple[float, float] | None = None
    ap11_interval: tuple[float, float] | None = None


class KittiDetectionScorer:
    """Collects images, one at a time, and scores them by KITTI's rules; parts from several processes can be merged.

    Results do not depend on the order of images or on how they were spread: images are sorted by name, and all that
    is summed are whole numbers.
    """

    def __init__(self, min_ious: Mapping[str, Sequence[float]] = MIN_IOUS) -> None:
        self._keys = [
            (name, min_iou, difficulty)
            for name, ious in min_ious.items()
            for min_iou in ious
            for difficulty in DIFFICULTIES
        ]
        self._images: dict[str, list[ImageMatches]] = {}

    def __len__(self) -> int:
        return len(self._images)

    def add(self, image: str, labels: Sequence[ObjectLabel], detections: Detections) -> None:
        """Score one image.  Raises ValueError if the image was added before, or for boxes that are not finite."""
        if image in self._images:
            raise ValueError(f"image {image} was scored before")
        overlaps = ImageOverlaps(labels, detections)
        self._images[image] = [overlaps.match(*key) for key in self._keys]

    def merge(self, other: KittiDetectionScorer) -> None:
        """Take the images of another scorer over.  Raises ValueError if it scores other things or the same image."""
        if self._keys != other._keys:
            raise ValueError("scorers of different classes or overlaps cannot be merged")
        if twice := self._images.keys() & other._images.keys():
            raise ValueError(f"image {min(twice)} was scored twice")
        self._images |= other._images

    def curves(self, num_resamples: int = 0, seed: int = 0) -> list[Curve]:
        """One curve per class, overlap and difficulty.

        num_resamples: bootstrap resamples of whole images for the intervals, 0 for none.  Each resample is scored
        by all rules, with thresholds of its own; one in which no object counts has no average precision and is left
        out.  seed: of the resamples, which are the same for all curves.
        """
        names = sorted(self._images)
        num_images = len(names)
        everything = np.ones((1, num_images), dtype=np.int64)
        draws = np.random.default_rng(seed).integers(0, max(num_images, 1), (num_resamples, num_images))
        weights = np.zeros((num_resamples, num_images), dtype=np.int64)
        np.add.at(weights, (np.arange(num_resamples)[:, None], draws), 1)
        curves = []
        for i, (class_name, min_iou, difficulty) in enumerate(self._keys):
            matches = [self._images[name][i] for name in names]
            thresholds, precision = _precision_by_recall(matches, everything)
            counted = sum(match.counted for match in matches)
            ap40, ap11 = _average_precisions(precision[0]) if counted else (math.nan, math.nan)
            intervals = _bootstrap_intervals(matches, weights)
            kept = thresholds[0][~np.isnan(thresholds[0])]
            curves.append(
                Curve(
                    class_name,
                    min_iou,
                    difficulty.name,
                    counted,
                    kept,
                    precision[0],
                    float(ap40),
                    float(ap11),
                    _precision_and_recall(matches),
                    *intervals,
                )
            )
        return curves


def _precision_and_recall(matches: Sequence[ImageMatches]) -> tuple[tuple[float, float, float], ...]:
    """Score, precision and recall for each of SCORES."""
    counted = sum(match.counted for match in matches)
    rows = []
    for score in SCORES:
        hits = false_alarms = 0
        for match in matches:
            taken = np.searchsorted(-match.scores, -score, side="right")
            if taken:
                hits += int(match.hits[taken - 1])
                false_alarms += int(match.false_alarms[taken - 1])
        found = hits + false_alarms
        rows.append((score, hits / found if found else math.nan, hits / counted if counted else math.nan))
    return tuple(rows)


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
    """Figures as evaluation writes them: class -> AP40, AP11, counted, intervals, by_score -> difficulty -> figure.

    A class at another overlap than KITTI's stands under "<class> (IoU > <overlap>)".  None where nothing counts.
    """
    table: dict[str, dict[str, Any]] = {}
    for curve in curves:
        own = curve.min_iou == MIN_IOUS.get(curve.class_name, (curve.min_iou,))[0]
        name = curve.class_name if own else f"{curve.class_name} (IoU > {curve.min_iou:g})"
        entry = table.setdefault(name, {"min_iou": curve.min_iou, "counted": {}, "AP40": {}, "AP11": {}})
        entry["counted"][curve.difficulty] = curve.counted
        entry["AP40"][curve.difficulty] = curve.ap40 if curve.counted else None
        entry["AP11"][curve.difficulty] = curve.ap11 if curve.counted else None
        entry.setdefault("by_score", {})[curve.difficulty] = [
            {"score": score, "precision": _number(precision), "recall": _number(recall)}
            for score, precision, recall in curve.by_score
        ]
        if curve.ap40_interval and curve.ap11_interval:
            entry.setdefault("AP40_interval", {})[curve.difficulty] = list(curve.ap40_interval)
            entry.setdefault("AP11_interval", {})[curve.difficulty] = list(curve.ap11_interval)
    return table


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
