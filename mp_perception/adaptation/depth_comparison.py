"""Depth of adapted weights on held-out frames, compared with three alternatives that need no training.

These are the weights before the adaptation, the same times the single factor that fits the held-out truth best, and a
fixed depth map that is the same for every image, whose errors are small where a floor fills the view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from mp_perception.arrays import AnyFloats, DepthMap, Mask
from mp_perception.data.frame_sets import FrameSet
from mp_perception.data.sample_geometry import resize_measured_depth
from mp_perception.data.samples import Sample
from mp_perception.evaluation.depth_metrics import DEPTH_METRICS, depth_errors, image_errors, mean_errors
from mp_perception.geometry import box_iou
from mp_perception.inference.predictor import Predictor
from mp_perception.prediction import Prediction, resize_depth

#: Edges of the bins of true distance, metres.
DISTANCES = (0, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 10, 15, 20, 30, 40, 60, 80, 256)
#: Rows and columns of the regions of an image.
REGIONS = ("top", "middle", "bottom"), ("left", "centre", "right")
#: Factors that are tried: 0.05 to 20 in steps of 1 %.
_FACTORS = np.exp(np.arange(np.log(0.05), np.log(20), 0.01))
#: Pixels of a frame with which they are tried.
_SAMPLED_PIXELS = 5000
#: Overlap from which two detections are of the same object.
_SAME_OBJECT = 0.5
#: Fraction of errors within one standard deviation of a normal distribution.
_WITHIN_ONE_STD = 0.6827
_MIN_DEPTH = 0.001


@dataclass(frozen=True)
class DepthFigures:
    """Errors of one candidate: DEPTH_METRICS as means over images of all pixels with known depth.

    overall: as mean_errors.  by_distance: rows of mean_errors with "from" and "to", metres.  by_region: name of a
    region -> mean_errors.  relative_errors: (images,) mean relative error of each image.
    """

    overall: dict[str, Any]
    by_distance: list[dict[str, Any]]
    by_region: dict[str, dict[str, Any]]
    relative_errors: list[float]


def predict_all(predictor: Predictor, frames: FrameSet) -> list[Prediction]:
    """Predictions of all frames."""
    predictions = []
    for index in range(len(frames)):
        sample = frames[index]
        predictions.append(predictor.predict(sample.image, sample.intrinsics))
    return predictions


def depth_maps(predictions: Sequence[Prediction], max_depth: float) -> list[DepthMap]:
    """The depth maps of predictions at the network's resolution; what is beyond the range is at its end, metres."""
    return [np.minimum(prediction.network_depth, np.float32(max_depth)) for prediction in predictions]


def best_factor(maps: Sequence[DepthMap], frames: FrameSet) -> float:
    """The factor with which depth maps have the smallest mean relative error on their frames."""
    random = np.random.default_rng(0)
    errors = np.zeros(len(_FACTORS))
    for index, depth in enumerate(maps):
        truth, predicted = known_pixels(frames[index], depth)
        taken = random.permutation(len(truth))[:_SAMPLED_PIXELS]
        ratio = predicted[taken] / truth[taken]
        errors += np.abs(_FACTORS[:, None] * ratio - 1).mean(axis=1)
    return float(_FACTORS[np.argmin(errors)])


def fixed_depth_map(frames: FrameSet, size: tuple[int, int]) -> DepthMap:
    """The median depth of each pixel over all frames, (height, width); unknown pixels take the nearest known one's."""
    height, width = size
    maps = [depth for index in range(len(frames)) if (depth := frames[index].depth) is not None]
    stacked = np.stack([resize_measured_depth(depth, width, height) for depth in maps])
    known = np.isfinite(stacked).any(axis=0)
    median = np.full(size, np.nan, dtype=np.float32)
    median[known] = np.nanmedian(stacked[:, known], axis=0)
    rows, columns = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return np.asarray(median[rows, columns])


def compare_depth(maps: Sequence[DepthMap], frames: FrameSet) -> DepthFigures:
    """The errors of depth maps, metres, of any size, NaN where unknown, against the depth of their frames."""
    ranges = list(pairwise(DISTANCES))
    by_image = []
    for index, depth in enumerate(maps):
        truth = frames[index].depth
        assert truth is not None
        predicted = resize_depth(depth, truth.shape[1], truth.shape[0])
        known = np.isfinite(truth)
        by_distance = [(truth >= low) & (truth < high) for low, high in ranges]
        by_region = [known & region for region in _regions(truth.shape)]
        by_image.append(
            [
                image_errors(truth[mask], predicted[mask], depth_errors, minimum=_MIN_DEPTH)
                for mask in (known, *by_distance, *by_region)
            ]
        )
    overall, *parts = (mean_errors(errors, DEPTH_METRICS) for errors in zip(*by_image, strict=True))
    names = [f"{row} {column}" for row in REGIONS[0] for column in REGIONS[1]]
    return DepthFigures(
        overall=overall,
        by_distance=[{"from": low, "to": high} | part for (low, high), part in zip(ranges, parts, strict=False)],
        by_region=dict(zip(names, parts[len(ranges) :], strict=True)),
        relative_errors=[float(errors[0].errors[DEPTH_METRICS.index("rel")]) for errors in by_image],
    )


def is_better(adapted: DepthFigures, others: Sequence[DepthFigures]) -> bool:
    """Whether the adapted depth has a smaller relative error and a larger d1 than all others."""
    rel, d1 = adapted.overall["rel"], adapted.overall["d1"]
    return all(rel < other.overall["rel"] and d1 > other.overall["d1"] for other in others)


def relative_depth_error(maps: Sequence[DepthMap], frames: FrameSet) -> float:
    """Standard deviation of depth / estimate: as many errors are smaller as in a normal distribution."""
    errors = []
    for index, depth in enumerate(maps):
        truth, predicted = known_pixels(frames[index], depth)
        errors.append(np.abs(truth - predicted) / predicted)
    return float(np.quantile(np.concatenate(errors), _WITHIN_ONE_STD))


def kept_detections(before: Sequence[Prediction], after: Sequence[Prediction], threshold: float) -> dict[str, int]:
    """How many detections there were before, how many are still made, and how many are new.

    threshold: minimum score.  The same object: the same class, with an intersection over union of at least one half.
    """
    counts = {"before": 0, "kept": 0, "new": 0}
    for old, new in zip(before, after, strict=True):
        first, second = (prediction.detections.above(threshold) for prediction in (old, new))
        same = (box_iou(first.boxes, second.boxes) >= _SAME_OBJECT) & (first.labels[:, None] == second.labels[None])
        counts["before"] += len(first)
        counts["kept"] += int(same.any(axis=1).sum())
        counts["new"] += int((~same.any(axis=0)).sum())
    return counts


def known_pixels(sample: Sample, depth: DepthMap) -> tuple[AnyFloats, AnyFloats]:
    """The true depth (n,) of a sample where it is known, and the depth of a map there."""
    assert sample.depth is not None
    height, width = sample.size
    predicted = resize_depth(depth, width, height)
    known = np.isfinite(sample.depth) & np.isfinite(predicted)
    return sample.depth[known], predicted[known]


def _regions(shape: tuple[int, ...]) -> list[Mask]:
    """Masks (H, W) of the regions, row by row."""
    height, width = shape
    rows = np.arange(height) * len(REGIONS[0]) // height
    columns = np.arange(width) * len(REGIONS[1]) // width
    return [
        (rows[:, None] == row) & (columns[None] == column)
        for row in range(len(REGIONS[0]))
        for column in range(len(REGIONS[1]))
    ]
