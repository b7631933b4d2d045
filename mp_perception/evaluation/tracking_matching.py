"""Which true object each reported one is, image by image: KITTI's rules of what counts, for groups of classes.

A track may change between similar classes, so Car, Van and Truck count as one group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from mp_perception.arrays import Floats, Integers
from mp_perception.classes import CATEGORIES
from mp_perception.data.object_label import IGNORED_REGION, NEIGHBOURS, ObjectLabel
from mp_perception.evaluation.kitti_matching import DIFFICULTIES, label_boxes, largest_covered_fraction
from mp_perception.evaluation.tracking_metrics import MIN_IOU
from mp_perception.geometry import box_iou

#: Group of classes -> its classes.
GROUPS = {"Vehicle": CATEGORIES["Vehicle"], "Pedestrian": ("Pedestrian",), "Cyclist": ("Cyclist",)}
#: Which objects count: KITTI's moderate ones.
DIFFICULTY = DIFFICULTIES[1]


@dataclass(frozen=True)
class GroupMatches:
    """Objects and reports of one group in one image, without those that do not count.

    objects: (N,) indices of labels.  reports: (M,) indices of the reported boxes.  overlaps: (N, M).
    """

    objects: Integers
    reports: Integers
    overlaps: Floats


def match_group(labels: Sequence[ObjectLabel], boxes: Floats, names: Sequence[str], group: str) -> GroupMatches:
    """What counts of a group of classes.

    A report does not count if it belongs to an object that does not (too small, hidden or cut, or of a similar class
    outside the group), or if it belongs to none and is small or in an ignored region.
    boxes: (M, 4) of the reports.  names: their classes.
    """
    members = GROUPS[group]
    similar = {neighbour for neighbour, name in NEIGHBOURS.items() if name in members} - set(members)
    known = np.array([i for i, x in enumerate(labels) if x.class_name in {*members, *similar}], dtype=np.int64)
    counted = np.array([labels[i].class_name in members and _counts(labels[i]) for i in known], dtype=bool)
    reports = np.array([i for i, name in enumerate(names) if name in members], dtype=np.int64)
    overlaps = box_iou(label_boxes([labels[i] for i in known]), boxes[reports]).astype(np.float64)
    # Objects that count have precedence.
    rows, columns = linear_sum_assignment(-np.where(overlaps > MIN_IOU, overlaps + counted[:, None], 0.0))
    matched = overlaps[rows, columns] > MIN_IOU
    rows, columns = rows[matched], columns[matched]
    kept = np.ones(len(reports), dtype=bool)
    kept[columns[~counted[rows]]] = False
    alone = np.ones(len(reports), dtype=bool)
    alone[columns] = False
    areas = label_boxes([label for label in labels if label.class_name == IGNORED_REGION])
    heights = boxes[reports, 3] - boxes[reports, 1]
    excused = (heights < DIFFICULTY.min_height) | (largest_covered_fraction(boxes[reports], areas) > MIN_IOU)
    kept &= ~(alone & excused)
    return GroupMatches(known[counted], reports[kept], overlaps[np.ix_(counted, kept)])


def found_at_precision(images: Sequence[tuple[GroupMatches, Floats]], precision: float) -> list[Integers]:
    """The objects found in each image, as indices of labels, at the score threshold that finds most of them.

    images: matches, and the scores of all reported boxes.  precision: minimum fraction of right reports.
    """
    scores, found, places = _hits(images)
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(found[order] >= 0)
    precise = np.flatnonzero(hits >= precision * np.arange(1, len(hits) + 1))
    taken = order[: precise[-1] + 1] if len(precise) else order[:0]
    return [found[taken[(places[taken] == place) & (found[taken] >= 0)]] for place in range(len(images))]


def precision_at(images: Sequence[tuple[GroupMatches, Floats]], score_threshold: float) -> float | None:
    """The fraction of right ones among the reports of at least this score; None without any."""
    scores, found, _ = _hits(images)
    taken = scores >= score_threshold
    return float((found[taken] >= 0).mean()) if taken.any() else None


def _hits(images: Sequence[tuple[GroupMatches, Floats]]) -> tuple[Floats, Integers, Integers]:
    """Of all reports that count: their scores, the objects that they find (-1 for none), and their images.

    From the highest score down, each report takes the free object of its image that it overlaps most.
    """
    scores, found, places = [], [], []
    for place, (matches, of_reports) in enumerate(images):
        free = np.ones(len(matches.objects), dtype=bool)
        for j in np.argsort(-of_reports[matches.reports], kind="stable"):
            overlaps = np.where(free, matches.overlaps[:, j], 0.0)
            best = int(overlaps.argmax()) if len(overlaps) else -1
            hit = best >= 0 and overlaps[best] > MIN_IOU
            if hit:
                free[best] = False
            scores.append(of_reports[matches.reports[j]])
            found.append(matches.objects[best] if hit else -1)
            places.append(place)
    return np.array(scores, dtype=np.float64), np.array(found, dtype=np.int64), np.array(places, dtype=np.int64)


def _counts(label: ObjectLabel) -> bool:
    return (
        (label.occlusion or 0) <= DIFFICULTY.max_occlusion
        and (label.truncation or 0) <= DIFFICULTY.max_truncation
        and label.box[3] - label.box[1] >= DIFFICULTY.min_height
    )
