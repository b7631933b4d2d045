"""Depth of single objects: per labelled box (the paper's way and ours) and per detection, as a robot meets them.

The six metrics of depth_metrics.py over objects instead of pixels, by class, category, distance and occlusion; the
share of objects that were found; and whether the spread that comes with a depth means what it says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mp_perception.classes import CATEGORIES, DEFAULT_CLASSES
from mp_perception.data.object_label import ObjectLabel
from mp_perception.evaluation.depth_metrics import SIX_METRICS, DepthErrors, six_depth_errors
from mp_perception.evaluation.object_depth_truth import ObjectTruths, mean_depths_in_boxes
from mp_perception.geometry import box_iou
from mp_perception.inference.object_depth import measure_object_depth
from mp_perception.prediction import Detections, Prediction

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: A detection stands for the object of its class that it overlaps more than this.
MIN_IOU = 0.5
#: Metres: from the first, below the next.
DISTANCES = (0, 10, 20, 40, 80)
OCCLUSIONS = {0: "visible", 1: "partly", 2: "largely"}

#: What is measured: mean depth in the labelled box; our statistic there; the depth of the detection that found it.
MEASURES = ("box_mean", "box_statistic", "detection")
#: What it is compared with: see ObjectTruths.
TRUTHS = ("lidar", "surface", "centre", "map_mean")


@dataclass(frozen=True)
class _Objects:
    """Labelled objects, column by column, each (N,): class, occlusion, true depths, measured depths and spreads."""

    name: NDArray[np.str_]
    occluded: NDArray[np.int64]
    lidar: Floats
    surface: Floats
    centre: Floats
    map_mean: Floats
    found: Mask
    box_mean: Floats
    box_statistic: Floats
    box_statistic_spread: Floats
    detection: Floats
    detection_spread: Floats


class ObjectDepthScorer:
    """Collects the objects of images, one image at a time, and scores them; parts from processes can be merged.

    score_threshold: only detections of at least this score count as found.  classes: the label types taken.
    Images are sorted by name before anything is summed, so results do not depend on their order or spread.
    """

    def __init__(self, score_threshold: float, classes: Sequence[str] = DEFAULT_CLASSES) -> None:
        self._score_threshold = score_threshold
        self._classes = tuple(classes)
        self._images: dict[str, _Objects] = {}

    def add(self, image: str, labels: Sequence[ObjectLabel], truths: ObjectTruths, prediction: Prediction) -> None:
        """Take an image: its labels, their true depths, and what was predicted.  ValueError if it was added before."""
        if image in self._images:
            raise ValueError(f"image {image} was scored before")
        taken = np.array([i for i, label in enumerate(labels) if label.class_name in self._classes], dtype=np.int64)
        objects = [labels[i] for i in taken]
        boxes = np.array([label.box for label in objects], dtype=np.float64).reshape(-1, 4)
        names = np.array([label.class_name for label in objects], dtype=str)
        depth = prediction.network_depth
        boxes_in_map = boxes * (np.array(depth.shape[::-1] * 2) / np.array(prediction.image_size[::-1] * 2))
        statistic, spread, _ = measure_object_depth(depth, boxes_in_map.astype(np.float32))
        matched = match_detections(names, boxes, prediction.detections, self._score_threshold)
        self._images[image] = _Objects(
            name=names,
            occluded=np.array([-1 if label.occlusion is None else label.occlusion for label in objects], np.int64),
            **{truth: getattr(truths, truth)[taken] for truth in TRUTHS},
            found=matched >= 0,
            box_mean=mean_depths_in_boxes(depth, boxes_in_map),
            box_statistic=statistic.astype(np.float64),
            box_statistic_spread=spread.astype(np.float64),
            detection=_where_found(prediction.detections.depth, matched),
            detection_spread=_where_found(prediction.detections.depth_spread, matched),
        )

    def merge(self, other: ObjectDepthScorer) -> None:
        """Take over the images of a part.  ValueError if it was scored otherwise or has an image of ours."""
        if (self._score_threshold, self._classes) != (other._score_threshold, other._classes):
            raise ValueError("scorers with other thresholds or classes cannot be merged")
        if twice := self._images.keys() & other._images.keys():
            raise ValueError(f"image {min(twice)} was scored twice")
        self._images |= other._images

    def result(self) -> dict[str, Any]:
        """People and Vehicle (our statistic per labelled box, against lidar), and everything else below `measures`.

        measures: measure -> truth -> kind of group -> group -> the six metrics (None without objects), `count`
        scored, `without_depth` (true depth known, none measured) and, for measures with a spread, the shares
        `within_one_spread` and `within_two_spreads` of true depths.  found: kind of group -> group -> objects, found,
        missed, found_share; distance there is that of the 3D box's middle.
        """
        objects = self._all_objects()
        measures = {
            measure: {truth: _errors_by_group(objects, measure, truth) for truth in TRUTHS} for measure in MEASURES
        }
        return {
            "protocol": {
                "name": "objects",
                "classes": list(self._classes),
                "detections": f"score >= {self._score_threshold:g}, right class, IoU > {MIN_IOU:g}",
                "categories": {name: list(classes) for name, classes in CATEGORIES.items()},
                "headline": "our statistic per labelled box, against the lidar inside its 3D box",
                "mean": "over objects",
            },
            **measures["box_statistic"]["lidar"]["category"],
            "measures": measures,
            "found": {
                kind: {group: _found(objects, mask) for group, mask in groups}
                for kind, groups in _groups(objects, objects.centre)
            },
        }

    def paper_result(self) -> dict[str, dict[str, Any]]:
        """The paper's Table 3: People and Vehicle, mean depth in the box against that of the target map.

        Over the objects of an image, then the mean over images that have such objects; `count` objects.
        """
        table = {}
        for category, classes in CATEGORIES.items():
            errors = DepthErrors(six_depth_errors)
            for objects in self._images.values():
                taken = np.isin(objects.name, classes) & np.isfinite(objects.map_mean)
                if taken.any():
                    errors.add(objects.map_mean[taken], objects.box_mean[taken])
            means, counts = errors.means(), errors.counts()
            table[category] = {
                **{metric: means.get(metric) for metric in SIX_METRICS},
                "count": counts["pixels"],
                "images": counts["images"],
                "without_depth": counts["non_finite_predictions"],
            }
        return table

    def detection_depths(self) -> tuple[Floats, Floats, Floats]:
        """True depth (lidar), measured depth and spread of the objects that were found, (N,) each, metres."""
        objects = self._all_objects()
        known = objects.found & (objects.lidar > 0) & (objects.detection > 0)
        return objects.lidar[known], objects.detection[known], objects.detection_spread[known]

    def _all_objects(self) -> _Objects:
        """The objects of all images, sorted by the images' names."""
        images = [self._images[name] for name in sorted(self._images)] or [_no_objects()]
        columns = {
            field.name: np.concatenate([getattr(image, field.name) for image in images]) for field in fields(_Objects)
        }
        return _Objects(**columns)


def match_detections(
    names: NDArray[np.str_], boxes: Floats, detections: Detections, score_threshold: float
) -> NDArray[np.int64]:
    """For each object (N,) the index of its detection, or -1 if it was missed.

    From the highest score down, each detection of at least score_threshold takes, of the objects of its class that it
    overlaps more than MIN_IOU and that are still free, the one it overlaps most.
    """
    matched = np.full(len(boxes), -1, dtype=np.int64)
    overlaps = box_iou(boxes, detections.boxes.astype(np.float64).reshape(-1, 4))
    for j in np.argsort(-detections.scores, kind="stable"):
        if detections.scores[j] < score_threshold:
            break
        free = np.where((matched < 0) & (names == detections.name(int(j))), overlaps[:, j], 0.0)
        if len(free) and free.max() > MIN_IOU:
            matched[free.argmax()] = j
    return matched


def _where_found(values: NDArray[np.float32], matched: NDArray[np.int64]) -> Floats:
    """The values of the matched detections, NaN for missed objects."""
    found = np.full(len(matched), np.nan)
    found[matched >= 0] = values[matched[matched >= 0]]
    return found


def _no_objects() -> _Objects:
    types: dict[str, Any] = {"name": str, "occluded": np.int64, "found": bool}
    return _Objects(**{field.name: np.zeros(0, types.get(field.name, np.float64)) for field in fields(_Objects)})


def _groups(objects: _Objects, distance: Floats) -> Iterator[tuple[str, list[tuple[str, Mask]]]]:
    """Kinds of groups, each with its groups' names and masks (N,)."""
    yield "all", [("all", np.ones(len(objects.name), dtype=bool))]
    yield "class", [(str(name), objects.name == name) for name in sorted(set(objects.name.tolist()))]
    yield "category", [(name, np.isin(objects.name, classes)) for name, classes in CATEGORIES.items()]
    limits = pairwise(DISTANCES)
    yield "distance", [(f"{low}-{high} m", (distance >= low) & (distance < high)) for low, high in limits]
    unknown = ~np.isin(objects.occluded, list(OCCLUSIONS))
    yield "occlusion", [(name, objects.occluded == i) for i, name in OCCLUSIONS.items()] + [("unknown", unknown)]


def _errors_by_group(objects: _Objects, measure: str, truth: str) -> dict[str, dict[str, dict[str, Any]]]:
    """kind of group -> group -> figures of one measure against one truth."""
    true: Floats = getattr(objects, truth)
    measured: Floats = getattr(objects, measure)
    spread: Floats | None = getattr(objects, f"{measure}_spread", None)
    asked = np.isfinite(true) & (true > 0)
    if measure == "detection":
        asked = asked & objects.found
    valid = asked & np.isfinite(measured) & (measured > 0)
    return {
        kind: {
            group: {
                **_six_errors(true[mask & valid], measured[mask & valid]),
                **_calibration(true, measured, spread, mask & valid),
                "count": int((mask & valid).sum()),
                "without_depth": int((mask & asked & ~valid).sum()),
            }
            for group, mask in groups
        }
        for kind, groups in _groups(objects, true)
    }


def _six_errors(true: Floats, measured: Floats) -> dict[str, float | None]:
    if len(true) == 0:
        return dict.fromkeys(SIX_METRICS)
    return {**six_depth_errors(true, measured)}


def _calibration(true: Floats, measured: Floats, spread: Floats | None, mask: Mask) -> dict[str, float | None]:
    """Shares of true depths within one and two spreads: 0.68 and 0.95 if the spread were a deviation of the error."""
    if spread is None:
        return {}
    error, spread = np.abs(true - measured)[mask], spread[mask]
    return {
        f"within_{number}_spread{'s' if factor > 1 else ''}": float(np.mean(error <= factor * spread))
        if len(error)
        else None
        for factor, number in ((1, "one"), (2, "two"))
    }


def _found(objects: _Objects, mask: Mask) -> dict[str, Any]:
    total, found = int(mask.sum()), int((mask & objects.found).sum())
    return {
        "objects": total,
        "found": found,
        "missed": total - found,
        "found_share": found / total if total else None,
    }
