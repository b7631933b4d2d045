"""Which detection belongs to which object.

Detections are associated in two passes (ByteTrack, Zhang et al. 2022): first those that would be reported by
themselves, then those with a low score, which are credible where an object was predicted.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from mp_perception.arrays import Floats, Integers, Mask
from mp_perception.geometry import box_iou

#: Boxes are enlarged by this fraction on each side before their overlap is taken (C-BIoU, Yang et al. 2023), because
#: small or fast objects may miss their predicted box.
_MARGIN = 0.15
#: Cost of a detection whose class the object never had.
_OTHER_CLASS = 0.4
#: A pair whose depths differ by more than so many standard deviations does not belong together.
_MAX_DEPTH_DIFFERENCE = 3.0
#: Highest cost of a pair in the first pass, and in the second.
_MAX_COSTS = (0.9, 0.6)
_IMPOSSIBLE = 1e3


def pair_costs(
    object_boxes: Floats,
    detected_boxes: Floats,
    depth_differences: Floats,
    depth_errors: Floats,
    class_fractions: Floats,
    labels: Integers,
) -> Floats:
    """Costs (N, M) of every pair of an object and a detection.

    object_boxes: (N, 4), predicted.  depth_differences: (N, M), logarithms of the ratio, NaN where unknown.
    depth_errors: (N, M), their standard deviations.  class_fractions: (N, C), how often an object had each class.
    labels: (M,) classes of the detections.
    """
    costs = 1 - box_iou(_enlarged(object_boxes), _enlarged(detected_boxes))
    costs += _OTHER_CLASS * (1 - class_fractions[:, labels])
    costs[np.abs(depth_differences) > _MAX_DEPTH_DIFFERENCE * depth_errors] = _IMPOSSIBLE
    return np.asarray(costs)


def associate(costs: Floats, credible: Mask, recent: Mask) -> tuple[Integers, Integers]:
    """The pairs (objects, detections) of both passes.

    costs: (N, M).  credible: (M,), the detections of the first pass.  recent: (N,), the objects that the others may
    continue: those that were seen in the image before.
    """
    first, second = np.flatnonzero(credible), np.flatnonzero(~credible)
    objects, detections = _assign(costs[:, first], _MAX_COSTS[0])
    if len(second) == 0:
        return objects, first[detections]
    free = recent.copy()
    free[objects] = False
    others = np.flatnonzero(free)
    more_objects, more_detections = _assign(costs[np.ix_(others, second)], _MAX_COSTS[1])
    return np.concatenate([objects, others[more_objects]]), np.concatenate([first[detections], second[more_detections]])


def _assign(costs: Floats, highest: float) -> tuple[Integers, Integers]:
    """The pairs (rows, columns) of the smallest total cost, each at most `highest`."""
    # A pair above the limit costs about as much as no pair, so that it does not displace others.
    rows, columns = linear_sum_assignment(np.minimum(costs, highest + 1e-6))
    kept = costs[rows, columns] <= highest
    return rows[kept], columns[kept]


def _enlarged(boxes: Floats) -> Floats:
    margins = (boxes[:, 2:] - boxes[:, :2]) * _MARGIN
    return np.concatenate([boxes[:, :2] - margins, boxes[:, 2:] + margins], axis=1)
