"""KITTI's 2D detection protocol within one image: which detections are hits and which are false alarms.

What an image contributes to a precision-recall curve depends on the score threshold, but only through the scores of
its own detections.  So each image is matched once per distinct score, and the table of that (`ImageMatches`) is all
that average precision needs, for any thresholds: those of the whole set and those of every bootstrap resample
(average_precision.py).  Rules: Geiger, Lenz, Urtasun 2012, and the object devkit's evaluation program.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mp_perception.arrays import Floats, Integers, Mask
from mp_perception.data.object_label import IGNORED_REGION, NEIGHBOURS, ObjectLabel
from mp_perception.geometry import box_areas, box_intersections, box_iou
from mp_perception.prediction import Detections


@dataclass(frozen=True)
class Difficulty:
    """Which labelled objects count: box at least min_height pixels high, occlusion and truncation at most these."""

    name: str
    min_height: int
    max_occlusion: int
    max_truncation: float

    def admits(self, label: ObjectLabel) -> bool:
        """Whether an object counts; an unknown occlusion or truncation counts as 0."""
        return (
            (label.occlusion or 0) <= self.max_occlusion
            and (label.truncation or 0) <= self.max_truncation
            and label.box[3] - label.box[1] >= self.min_height
        )


DIFFICULTIES = (
    Difficulty("easy", 40, 0, 0.15),
    Difficulty("moderate", 25, 1, 0.30),
    Difficulty("hard", 25, 2, 0.50),
)

#: Class -> the class so similar to it that finding one is neither a hit nor a false alarm.
_NEIGHBOUR_OF = {name: neighbour for neighbour, name in NEIGHBOURS.items()}


@dataclass(frozen=True)
class ImageMatches:
    """What one image contributes to one precision-recall curve.

    counted: labelled objects that count.
    hit_scores: (h,) scores among which the thresholds are chosen (step 3 of the protocol).
    scores: (k,) distinct scores of its detections, descending.
    hits, false_alarms: (k,) numbers of them if the detections of at least that score are taken.
    """

    counted: int
    hit_scores: Floats
    scores: Floats
    hits: Integers
    false_alarms: Integers

    def counts_at(self, score: float) -> tuple[int, int]:
        """Hits and false alarms if the detections of at least `score` are taken."""
        taken = int(np.searchsorted(-self.scores, -score, side="right"))
        return (int(self.hits[taken - 1]), int(self.false_alarms[taken - 1])) if taken else (0, 0)


class ImageOverlaps:
    """Labels and detections of one image with all their overlaps, matched by class and difficulty.

    labels: in file order, which decides who is matched first.  detections: in any order; of two with the same score
    and overlap the first is taken.  Class names are compared exactly.
    Raises ValueError for boxes or scores that are not finite.
    """

    def __init__(self, labels: Sequence[ObjectLabel], detections: Detections) -> None:
        # The network's float32 made double first: thresholds and overlaps are compared in double, as KITTI does.
        boxes = np.asarray(detections.boxes, dtype=np.float64).reshape(-1, 4)
        self._scores = np.asarray(detections.scores, dtype=np.float64)
        if not (np.isfinite(boxes).all() and np.isfinite(self._scores).all()):
            raise ValueError("expected finite boxes and scores of detections")
        self._names = np.array([detections.name(i) for i in range(len(detections))], dtype=object)
        self._heights = np.trunc(np.abs(boxes[:, 3] - boxes[:, 1]))
        areas = [label for label in labels if label.class_name == IGNORED_REGION]
        self._labels = [label for label in labels if label.class_name != IGNORED_REGION]
        self._iou: Floats = box_iou(label_boxes(self._labels), boxes).astype(np.float64)
        self._dont_care = largest_covered_fraction(boxes, label_boxes(areas))

    def match(self, class_name: str, min_iou: float, difficulty: Difficulty) -> ImageMatches:
        """Match the objects and detections of one class; an overlap must be greater than min_iou (0 or more)."""
        of_class, ignored = self._select_objects(class_name, difficulty)
        small = self._heights < difficulty.min_height
        # A small detection is ignored whatever its class, and so may still be matched: KITTI tests the height first.
        relevant = np.flatnonzero(small | (self._names == class_name))
        scores, small = self._scores[relevant], small[relevant]
        overlaps = self._iou[np.ix_(of_class, relevant)]
        steps = np.unique(scores)[::-1]
        hits, taken = _hits_by_score(overlaps, ignored, scores, small, min_iou, steps)
        # Matched or not, a detection in a DontCare area and a small one are not false alarms.
        alarming = (scores >= steps[:, None]) & ~taken & ~small & ~(self._dont_care[relevant] > min_iou)
        return ImageMatches(
            counted=int((~ignored).sum()),
            hit_scores=_hit_scores(overlaps, ignored, scores, small, min_iou),
            scores=steps,
            hits=hits,
            false_alarms=alarming.sum(axis=1),
        )

    def _select_objects(self, class_name: str, difficulty: Difficulty) -> tuple[Integers, Mask]:
        """Indices of the labels that are matched, in file order, and which of those are ignored."""
        classes = (class_name, _NEIGHBOUR_OF.get(class_name))
        indices = [i for i, label in enumerate(self._labels) if label.class_name in classes]
        matched = [self._labels[i] for i in indices]
        ignored = [label.class_name != class_name or not difficulty.admits(label) for label in matched]
        return np.array(indices, dtype=np.int64), np.array(ignored, dtype=bool)


def _hit_scores(overlaps: Floats, ignored: Mask, scores: Floats, small: Mask, min_iou: float) -> Floats:
    """Step 3: the best score above the overlap for each object in turn, where neither side is ignored."""
    free = np.ones(len(scores), dtype=bool)
    found = []
    for overlap, object_ignored in zip(overlaps, ignored, strict=True):
        candidates = np.flatnonzero((overlap > min_iou) & free)
        if len(candidates) == 0:
            continue
        best = candidates[scores[candidates].argmax()]
        free[best] = False
        if not object_ignored and not small[best]:
            found.append(scores[best])
    return np.array(found, dtype=np.float64)


def _hits_by_score(
    overlaps: Floats, ignored: Mask, scores: Floats, small: Mask, min_iou: float, steps: Floats
) -> tuple[Integers, Mask]:
    """Step 4 at all steps at once: hits (k,), and which detections are assigned, (k, detections)."""
    active = scores >= steps[:, None]
    taken = np.zeros_like(active)
    hits = np.zeros(len(steps), dtype=np.int64)
    rows = np.arange(len(steps))
    for overlap, object_ignored in zip(overlaps, ignored, strict=True):
        near = np.flatnonzero(overlap > min_iou)
        if len(near) == 0:
            continue
        free = active[:, near] & ~taken[:, near]
        large = free & ~small[near]
        found_large = large.any(axis=1)
        best_large = np.where(large, overlap[near], -1.0).argmax(axis=1)
        found_any = free.any(axis=1)
        # Where no large one is left, the first small one.
        chosen = np.where(found_large, best_large, free.argmax(axis=1))
        taken[rows[found_any], near[chosen[found_any]]] = True
        if not object_ignored:
            hits += found_large
    return hits, taken


def label_boxes(labels: Sequence[ObjectLabel]) -> Floats:
    """Boxes (N, 4) of labels, pixels."""
    return np.array([label.box for label in labels], dtype=np.float64).reshape(-1, 4)


def largest_covered_fraction(boxes: Floats, areas: Floats) -> Floats:
    """(N,) the largest fraction of each box that one of the areas covers."""
    covered = box_intersections(boxes, areas).max(axis=1, initial=0.0)
    own = box_areas(boxes)
    return np.asarray(np.divide(covered, own, out=np.zeros_like(covered), where=own > 0))
