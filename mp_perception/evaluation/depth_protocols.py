"""Depth protocols: which pixels of an image are compared, at which size and within which limits.

`eigen` is the protocol of most papers, `official` that of KITTI's server, `selection` both.  The paper's own protocol
is in paper_protocol.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from mp_perception.arrays import DepthMap
from mp_perception.data.depth_png import UNITS_PER_METRE
from mp_perception.evaluation.depth_metrics import (
    DEPTH_METRICS,
    SERVER_METRICS,
    ImageErrors,
    depth_errors,
    image_errors,
    mean_errors,
    server_depth_errors,
)
from mp_perception.prediction import resize_depth

#: Garg et al. 2016: first and last row, first and last column, as fractions of height and width.
GARG_CROP = (0.40810811, 0.99189189, 0.03594771, 0.96405229)
MIN_DEPTH, MAX_DEPTH = 0.001, 80.0
#: Ranges of true distance, metres: from the first, below the next; all of them are the last.
_EDGES = (0, 5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80)
DISTANCES = (*pairwise(_EDGES), (_EDGES[0], _EDGES[-1]))


@dataclass(frozen=True)
class DepthProtocol:
    """A way to compare the depth maps of one image.

    description: all that a reader must know to compare the figures, without the ground truth.
    compare: true depth (H, W), metres, NaN or 0 where unknown, and predicted depth (h, w), metres, of any size, NaN
    where unknown, +Inf beyond the range -> errors in the order of metrics.
    """

    name: str
    metrics: tuple[str, ...]
    description: Mapping[str, Any]
    compare: Callable[[DepthMap, DepthMap], ImageErrors]

    def describe(self, ground_truth: str) -> dict[str, Any]:
        """The description, ready for JSON.  ground_truth: what the true depth is, in words."""
        return {"name": self.name, "metrics": list(self.metrics), **self.description, "ground_truth": ground_truth}


def _compare_eigen(truth: DepthMap, prediction: DepthMap) -> ImageErrors:
    height, width = truth.shape
    prediction = resize_depth(prediction, width, height)
    compared = np.zeros(truth.shape, dtype=bool)
    top, bottom = int(GARG_CROP[0] * height), int(GARG_CROP[1] * height)
    left, right = int(GARG_CROP[2] * width), int(GARG_CROP[3] * width)
    compared[top:bottom, left:right] = True
    compared &= (truth > MIN_DEPTH) & (truth < MAX_DEPTH)
    capped = np.minimum(prediction, MAX_DEPTH)  # also what is beyond the range
    return image_errors(truth[compared], capped[compared], depth_errors, minimum=MIN_DEPTH)


def _compare_official(truth: DepthMap, prediction: DepthMap) -> ImageErrors:
    prediction = resize_depth(prediction, truth.shape[1], truth.shape[0])
    compared = truth > 0
    values = prediction[compared].astype(np.float64)
    stored = np.clip(np.rint(values * UNITS_PER_METRE), None, 65535) / UNITS_PER_METRE
    # A PNG cannot hold infinity; what is too near to be stored becomes the smallest depth, as in our files.
    stored[np.isinf(values)] = np.nan
    stored = np.where(values > 0, stored, values)
    return image_errors(truth[compared], stored, server_depth_errors, minimum=1 / UNITS_PER_METRE)


EIGEN = DepthProtocol(
    "eigen",
    DEPTH_METRICS,
    {
        "crop": {"name": "Garg", "rows": list(GARG_CROP[:2]), "columns": list(GARG_CROP[2:])},
        "cap": f"{MIN_DEPTH:g}-{MAX_DEPTH:g} m: truth outside is not scored, predictions are cut to it",
        "resolution": "prediction resized to the ground truth's size, bilinear",
        "mean": "per image, then over images",
    },
    _compare_eigen,
)
OFFICIAL = DepthProtocol(
    "official",
    SERVER_METRICS,
    {
        "crop": None,
        "cap": "none but the PNG's: 1/256-255.996 m",
        "resolution": "prediction resized to the ground truth's size, bilinear, then rounded to 1/256 m",
        "missing_predictions": "left out and counted (the server fills them in); zero or less is scored as 1/256 m",
        "mean": "per image, then over images",
    },
    _compare_official,
)
#: Name that a user gives -> the protocols that it stands for; the figures of the second are below its own name.
DEPTH_PROTOCOLS: dict[str, tuple[DepthProtocol, ...]] = {
    "eigen": (EIGEN,),
    "official": (OFFICIAL,),
    "selection": (EIGEN, OFFICIAL),
}


def depth_figures(name: str, images: Sequence[Sequence[ImageErrors]], ground_truth: str) -> dict[str, Any]:
    """The figures of a protocol of DEPTH_PROTOCOLS, ready for JSON.

    images: of each image, the errors by each of the protocols that the name stands for.
    """
    first, *others = DEPTH_PROTOCOLS[name]
    parts = {
        protocol.name: mean_errors([errors[i] for errors in images], protocol.metrics)
        for i, protocol in enumerate(DEPTH_PROTOCOLS[name])
    }
    description = first.describe(ground_truth)
    if others:
        description = {"name": name, **{p.name: p.describe(ground_truth) for p in DEPTH_PROTOCOLS[name]}}
    return {"protocol": description, **parts.pop(first.name), **parts}


def compare_by_distance(truth: DepthMap, prediction: DepthMap) -> tuple[ImageErrors, ...]:
    """Errors (DEPTH_METRICS) by true distance, for each range of DISTANCES: all known pixels, without a crop."""
    known = (truth > MIN_DEPTH) & (truth < MAX_DEPTH)
    predicted = np.minimum(resize_depth(prediction, truth.shape[1], truth.shape[0])[known], MAX_DEPTH)
    true = truth[known]
    inside = [(true >= low) & (true < high) for low, high in DISTANCES]
    return tuple(image_errors(true[mask], predicted[mask], depth_errors, minimum=MIN_DEPTH) for mask in inside)


def figures_by_distance(images: Sequence[Sequence[ImageErrors]]) -> list[dict[str, Any]]:
    """For each range of DISTANCES: from and to (metres), images and pixels compared, the metrics if any."""
    rows = []
    for i, (low, high) in enumerate(DISTANCES):
        figures = mean_errors([errors[i] for errors in images], DEPTH_METRICS)
        taken = {name: figures[name] for name in ("images", "pixels", *DEPTH_METRICS) if name in figures}
        rows.append({"from": low, "to": high, **taken})
    return rows
