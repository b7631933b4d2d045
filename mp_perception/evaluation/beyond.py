"""How well the network tells the sky from surfaces: sky with a distance, surfaces lost as beyond (REP 117: +Inf)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import DepthMap
from mp_perception.evaluation.depth_protocols import MAX_DEPTH, MIN_DEPTH
from mp_perception.prediction import resize_depth


@dataclass(frozen=True)
class BeyondCounts:
    """Pixels of one image.

    sky: of the sky.  near: of these, with a predicted distance.
    surface: with a known true depth of up to 80 m.  lost: of these, predicted as beyond.
    """

    sky: int
    near: int
    surface: int
    lost: int


def count_beyond(sky: NDArray[np.bool_] | None, truth: DepthMap | None, prediction: DepthMap) -> BeyondCounts:
    """Counts of one image.

    sky: (H, W), or None where the sky is not known; its pixels with a true depth are not counted.
    truth: (H, W) metres, NaN or 0 where unknown, or None.
    prediction: (h, w) metres, +Inf beyond the range, of any size.
    """
    near = surface = lost = 0
    if sky is not None and truth is not None:
        sky = sky & ~(truth > 0)  # a mask is inexact at its edge
    if sky is not None:
        near = int(np.count_nonzero(np.isfinite(_resized(prediction, sky)) & sky))
    if truth is not None:
        known = (truth > MIN_DEPTH) & (truth < MAX_DEPTH)
        surface = int(np.count_nonzero(known))
        lost = int(np.count_nonzero(np.isposinf(_resized(prediction, truth)) & known))
    return BeyondCounts(0 if sky is None else int(np.count_nonzero(sky)), near, surface, lost)


def beyond_figures(images: Sequence[BeyondCounts]) -> dict[str, Any] | None:
    """The counts of all images, and their fractions (`near_fraction` of the sky, `lost_fraction` of surfaces).

    None if neither the sky nor a depth is known in any image.
    """
    totals = {name: sum(getattr(image, name) for image in images) for name in ("sky", "near", "surface", "lost")}
    if not totals["sky"] and not totals["surface"]:
        return None
    return {
        **totals,
        "near_fraction": totals["near"] / totals["sky"] if totals["sky"] else None,
        "lost_fraction": totals["lost"] / totals["surface"] if totals["surface"] else None,
    }


def _resized(prediction: DepthMap, like: NDArray[np.generic]) -> DepthMap:
    return resize_depth(prediction, like.shape[1], like.shape[0])
