"""The depth of single objects: a robust statistic over the known depths in the core of a box.

The core excludes the border of the box, where the background is visible.  Size of the core and statistic were chosen by
measurement against lidar inside labelled boxes (docs/object_depth.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mp_perception.errors import unknown_name
from mp_perception.geometry import CORE_FRACTION

#: The whole box is used if the core has fewer pixels with known depth.
MIN_CORE_PIXELS = 4

Statistic = Callable[[NDArray[np.float32]], float]


def _quantile(fraction: float, values: NDArray[np.float32]) -> float:
    """The nearest-rank quantile; a partition is faster than a sort."""
    index = int(fraction * (len(values) - 1) + 0.5)
    return float(np.partition(values, index)[index])


def _closest_cluster(values: NDArray[np.float32]) -> float:
    """Median of the depths around the mode, within a factor of 1.22 (0.2 of the logarithm)."""
    logarithms = np.log(values)
    counts, edges = np.histogram(logarithms, bins=max(1, int(np.ptp(logarithms) / 0.1) + 1))
    best = int(counts.argmax())
    inside = (logarithms >= edges[best] - 0.05) & (logarithms <= edges[best + 1] + 0.05)
    return _quantile(0.5, values[inside])


#: Statistics by name: positive finite depths (n,), n >= 1, metres -> metres.
STATISTICS: dict[str, Statistic] = {
    "median": partial(_quantile, 0.5),
    "lower_quartile": partial(_quantile, 0.25),
    "mode": _closest_cluster,
    "mean": lambda values: float(values.mean(dtype=np.float64)),
}
DEFAULT_STATISTIC = "median"


def measure_object_depth(
    depth: NDArray[np.float32], boxes: NDArray[np.float32], statistic: str = DEFAULT_STATISTIC
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Depth, standard deviation and valid fraction of objects, each (N,).

    Args:
        depth: (h, w) metres, NaN where unknown, +Inf beyond the range; neither counts.
        boxes: (N, 4) x1 y1 x2 y2 in pixels of the depth map.
        statistic: a name in STATISTICS.

    Returns:
        The statistic over the core, metres.  Half the difference between the 84th and the 16th percentile of the core,
        metres: one standard deviation of a normal distribution.  The fraction of the core's pixels with
        known depth.  The first two are NaN where none is known.

    Raises:
        UserError: an unknown statistic.
    """
    if statistic not in STATISTICS:
        raise unknown_name("object depth statistic", statistic, STATISTICS)
    measure = STATISTICS[statistic]
    results = np.full((3, len(boxes)), np.nan, dtype=np.float32)
    results[2] = 0
    for i, box in enumerate(boxes):
        values, results[2, i] = _core_values(depth, box)
        if len(values):
            results[0, i] = measure(values)
            low, high = int(0.16 * (len(values) - 1)), int(0.84 * (len(values) - 1) + 0.5)
            parted = np.partition(values, (low, high))
            results[1, i] = (parted[high] - parted[low]) / 2
    return results[0], results[1], results[2]


def _core_values(depth: NDArray[np.float32], box: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """Known depths (n,) in the core, or in the whole box if the core has too few; known fraction of the core."""
    centre_x, centre_y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half_width, half_height = (box[2] - box[0]) * CORE_FRACTION / 2, (box[3] - box[1]) * CORE_FRACTION / 2
    core = _patch(depth, centre_x - half_width, centre_y - half_height, centre_x + half_width, centre_y + half_height)
    valid = core[np.isfinite(core)]
    fraction = len(valid) / core.size if core.size else 0.0
    if len(valid) < MIN_CORE_PIXELS:
        whole = _patch(depth, *box)
        valid = whole[np.isfinite(whole)]
    return valid, fraction


def _patch(depth: NDArray[np.float32], x1: float, y1: float, x2: float, y2: float) -> NDArray[np.float32]:
    """The part of the map whose pixel centres lie inside; at least the pixel that contains the middle."""
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
