"""The depth of single objects: a robust statistic over the valid pixels of a box's core.

The core keeps away from the box's border, where the background looks in; which core and which statistic, was decided
by measurement against lidar inside labelled boxes (docs/object_depth.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

#: Width and height of the core, as a share of the box's.
CORE_SHARE = 0.5
#: Below this many valid pixels in the core the whole box is used.
MIN_CORE_PIXELS = 4

Statistic = Callable[[NDArray[np.float32]], float]


def _quantile(values: NDArray[np.float32], share: float) -> float:
    """The value below which `share` of the others lie: one partition, no sort."""
    index = int(share * (len(values) - 1) + 0.5)
    return float(np.partition(values, index)[index])


def _mean(values: NDArray[np.float32]) -> float:
    return float(values.mean(dtype=np.float64))


def _median(values: NDArray[np.float32]) -> float:
    return _quantile(values, 0.5)


def _lower_quartile(values: NDArray[np.float32]) -> float:
    return _quantile(values, 0.25)


def _closest_cluster(values: NDArray[np.float32]) -> float:
    """Median of the depths around the mode, within a factor of 1.22 (0.2 of the logarithm): where most pixels lie."""
    logarithms = np.log(values)
    counts, edges = np.histogram(logarithms, bins=max(1, int(np.ptp(logarithms) / 0.1) + 1))
    best = int(counts.argmax())
    inside = (logarithms >= edges[best] - 0.05) & (logarithms <= edges[best + 1] + 0.05)
    return _median(values[inside])


#: Statistics by name: positive finite depths (n,), n >= 1, metres -> metres.
STATISTICS: dict[str, Statistic] = {
    "median": _median,
    "lower_quartile": _lower_quartile,
    "mode": _closest_cluster,
    "mean": _mean,
}
DEFAULT_STATISTIC = "median"


def measure_object_depth(
    depth: NDArray[np.float32], boxes: NDArray[np.float32], statistic: str = DEFAULT_STATISTIC
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Depth, spread and valid share of objects, each (N,).

    depth: (h, w) metres, NaN where invalid.  boxes: (N, 4) x1 y1 x2 y2 in pixels of that map.
    Depth is the statistic over the core, metres; spread is half the distance between the 16th and the 84th
    percentile there (one standard deviation of a normal distribution), metres; both NaN where no pixel is valid.
    Raises KeyError for an unknown statistic.
    """
    measure = STATISTICS[statistic]
    results = np.full((3, len(boxes)), np.nan, dtype=np.float32)
    results[2] = 0
    for i, box in enumerate(boxes):
        values, share = _core_values(depth, box)
        results[2, i] = share
        if len(values):
            results[0, i] = measure(values)
            low, high = int(0.16 * (len(values) - 1)), int(0.84 * (len(values) - 1) + 0.5)
            parted = np.partition(values, (low, high))
            results[1, i] = (parted[high] - parted[low]) / 2
    return results[0], results[1], results[2]


def _core_values(depth: NDArray[np.float32], box: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """Valid depths (n,) in a box's core, or in the whole box where the core has too few, and the core's valid share."""
    centre_x, centre_y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half_width, half_height = (box[2] - box[0]) * CORE_SHARE / 2, (box[3] - box[1]) * CORE_SHARE / 2
    core = _patch(depth, centre_x - half_width, centre_y - half_height, centre_x + half_width, centre_y + half_height)
    valid = core[np.isfinite(core)]
    share = len(valid) / core.size if core.size else 0.0
    if len(valid) < MIN_CORE_PIXELS:
        whole = _patch(depth, *box)
        valid = whole[np.isfinite(whole)]
    return valid, share


def _patch(depth: NDArray[np.float32], x1: float, y1: float, x2: float, y2: float) -> NDArray[np.float32]:
    """The part of the map whose pixel centres lie inside; at least the pixel that holds the middle."""
    left, right = _centres_inside(x1, x2, depth.shape[1])
    top, bottom = _centres_inside(y1, y2, depth.shape[0])
    return depth[top:bottom, left:right]


def _centres_inside(start: float, end: float, size: int) -> tuple[int, int]:
    """Range of the pixels 0..size - 1 whose centres lie in [start, end)."""
    first, last = max(math.ceil(start - 0.5), 0), min(math.ceil(end - 0.5), size)
    if first >= last:
        first = min(max(math.floor((start + end) / 2), 0), size - 1)
        last = first + 1
    return first, last
