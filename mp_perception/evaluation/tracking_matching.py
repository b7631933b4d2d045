"""Which true object each reported one is, image by image: KITTI's rules of what counts, for groups of classes.

A track may change between similar classes, so Car, Van and Truck count as one group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import linear_sum_assignment

from mp_perception.arrays import Floats, Integers, Mask
from mp_perception.classes import CATEGORIES
from mp_perception.data.object_label import IGNORED_REGION, NEIGHBOURS, ObjectLabel
from mp_perception.evaluation.kitti_matching import DIFFICULTIES, label_boxes, largest_covered_fraction
from mp_perception.evaluation.object_depth_metrics import found_objects
from mp_perception.evaluation.tracking_metrics import MIN_IOU
from mp_perception.geometry import box_iou
from mp_perception.prediction import Detections
from mp_perception.tracking.tracks import Tracks

#: Group of classes -> its classes.
GROUPS = {"Vehicle": CATEGORIES["Vehicle"], "Pedestrian": ("Pedestrian",), "Cyclist": ("Cyclist",)}
#: Which objects count: KITTI's moderate ones.
DIFFICULTY = DIFFICULTIES[1]


@dataclass(frozen=True)
class GroupMatches:
    """Objects and reports of one group in one image, without those that do not count.

    objects: (N,) indices of labels.  reports: (M,) indices of the reported boxes.  scores: (M,) of these.
    overlaps: (N, M).
    """

    objects: Integers
    reports: Integers
    scores: Floats
    overlaps: Floats

    @cached_property
    def found(self) -> Integers:
        """(M,) the object that each report finds, an index into objects, or -1."""
        return found_objects(self.overlaps, self.scores)


def match_group(labels: Sequence[ObjectLabel], reported: Detections | Tracks, group: str) -> GroupMatches:
    """What counts of a group of classes.

    A report does not count if it belongs to an object that does not (too small, hidden or cut, or of a similar class
    outside the group), or if it belongs to none and is small or in an ignored region.
    """
    members = GROUPS[group]
    similar = {neighbour for neighbour, name in NEIGHBOURS.items() if name in members} - set(members)
    known = np.array([i for i, x in enumerate(labels) if x.class_name in {*members, *similar}], dtype=np.int64)
    counted = np.array([labels[i].class_name in members and DIFFICULTY.admits(labels[i]) for i in known], dtype=bool)
    reports = np.array([i for i in range(len(reported)) if reported.name(i) in members], dtype=np.int64)
    boxes = reported.boxes[reports].astype(np.float64)
    overlaps = box_iou(label_boxes([labels[i] for i in known]), boxes).astype(np.float64)
    # Objects that count have precedence.
    rows, columns = linear_sum_assignment(-np.where(overlaps > MIN_IOU, overlaps + counted[:, None], 0.0))
    matched = overlaps[rows, columns] > MIN_IOU
    rows, columns = rows[matched], columns[matched]
    kept = np.ones(len(reports), dtype=bool)
    kept[columns[~counted[rows]]] = False
    alone = np.ones(len(reports), dtype=bool)
    alone[columns] = False
    areas = label_boxes([label for label in labels if label.class_name == IGNORED_REGION])
    heights = boxes[:, 3] - boxes[:, 1]
    excused = (heights < DIFFICULTY.min_height) | (largest_covered_fraction(boxes, areas) > MIN_IOU)
    kept &= ~(alone & excused)
    scores = reported.scores[reports[kept]].astype(np.float64)
    return GroupMatches(known[counted], reports[kept], scores, overlaps[np.ix_(counted, kept)])


def found_at_precision(images: Sequence[GroupMatches], precision: float) -> list[Mask]:
    """Which objects (N,) of each image are found at the score threshold that finds most of them.

    precision: minimum fraction of right reports.
    """
    order = np.argsort(-np.concatenate([image.scores for image in images]), kind="stable")
    hits = np.cumsum(np.concatenate([image.found for image in images])[order] >= 0)
    precise = np.flatnonzero(hits >= precision * np.arange(1, len(hits) + 1))
    taken = np.zeros(len(order), dtype=bool)
    taken[order[: precise.max(initial=-1) + 1]] = True
    ends = np.cumsum([len(image.reports) for image in images])
    return [
        np.isin(np.arange(len(image.objects)), image.found[of_image])
        for image, of_image in zip(images, np.split(taken, ends[:-1]), strict=True)
    ]


def precision_at(images: Sequence[GroupMatches], score_threshold: float) -> float | None:
    """The fraction of right ones among the reports of at least this score; None without any."""
    taken = np.concatenate([image.found[image.scores >= score_threshold] for image in images])
    return float((taken >= 0).mean()) if len(taken) else None
