"""Depth of single objects: in each labelled box, and of each detection that found an object, as a robot receives it.

The metrics of depth_metrics.py over objects instead of pixels, by class, category, distance and occlusion; the
fraction of objects that were found; and whether the standard deviation published with a depth is that of its error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import AnyFloats, Floats, Integers, Mask
from mp_perception.classes import CATEGORIES
from mp_perception.data.object_label import ObjectLabel
from mp_perception.evaluation.depth_metrics import DEPTH_METRICS, depth_errors
from mp_perception.evaluation.object_depth_truth import ObjectTruths
from mp_perception.geometry import box_iou
from mp_perception.inference.object_depth import measure_object_depth
from mp_perception.prediction import Detections, Prediction

#: A detection finds the object of its class that it overlaps more than this.
MIN_IOU = 0.5
#: Metres: from the first, below the next.
DISTANCES = (0, 10, 20, 40, 80)
OCCLUSIONS = {0: "visible", 1: "partly", 2: "largely"}

#: What is measured: our statistic in the labelled box; the depth of the detection that found the object.
MEASURES = ("box_statistic", "detection")
#: What it is compared with: see ObjectTruths.
TRUTHS = ("depth_map", "surface", "centre")


@dataclass(frozen=True)
class ObjectDepths:
    """The labelled objects of one image or more, column by column, each (N,).

    name: class.  occlusion: as ObjectLabel has it, -1 where unknown.  depth_map, surface, centre: true depths
    (ObjectTruths).  found: whether a detection found it.  box_statistic, detection: measured depths (MEASURES), NaN
    where there is none.  box_statistic_std, detection_std: their standard deviations, metres.
    """

    name: NDArray[np.str_]
    occlusion: Integers
    depth_map: Floats
    surface: Floats
    centre: Floats
    found: Mask
    box_statistic: Floats
    box_statistic_std: Floats
    detection: Floats
    detection_std: Floats


def measure_objects(
    labels: Sequence[ObjectLabel],
    truths: ObjectTruths,
    prediction: Prediction,
    classes: Sequence[str],
    score_threshold: float,
) -> ObjectDepths:
    """The depths of one image's objects.

    truths: of the labels.  classes: the objects taken.  score_threshold: minimum score of a detection that finds one.
    """
    taken = np.array([i for i, label in enumerate(labels) if label.class_name in classes], dtype=np.int64)
    objects = [labels[i] for i in taken]
    boxes = np.array([label.box for label in objects], dtype=np.float64).reshape(-1, 4)
    names = np.array([label.class_name for label in objects], dtype=str)
    depth = prediction.network_depth
    boxes_in_map = boxes * (np.array(depth.shape[::-1] * 2) / np.array(prediction.image_size[::-1] * 2))
    statistic, std, _ = measure_object_depth(depth, boxes_in_map.astype(np.float32))
    matched = match_detections(names, boxes, prediction.detections, score_threshold)
    return ObjectDepths(
        name=names,
        occlusion=np.array([-1 if label.occlusion is None else label.occlusion for label in objects], np.int64),
        **{truth: getattr(truths, truth)[taken] for truth in TRUTHS},
        found=matched >= 0,
        box_statistic=statistic.astype(np.float64),
        box_statistic_std=std.astype(np.float64),
        detection=_where_found(prediction.detections.depth, matched),
        detection_std=_where_found(prediction.detections.depth_std, matched),
    )


def match_detections(
    names: NDArray[np.str_], boxes: Floats, detections: Detections, score_threshold: float
) -> Integers:
    """For each object (N,) the index of the detection of its class that finds it, or -1 if it was missed.

    Detections below score_threshold find nothing.
    """
    detected = np.array([detections.name(i) for i in range(len(detections))], dtype=str)
    overlaps = box_iou(boxes, detections.boxes.astype(np.float64).reshape(-1, 4))
    possible = (names[:, None] == detected) & (detections.scores >= score_threshold)
    found = found_objects(np.where(possible, overlaps, 0.0), detections.scores)
    matched = np.full(len(boxes), -1, dtype=np.int64)
    hits = np.flatnonzero(found >= 0)
    matched[found[hits]] = hits
    return matched


def found_objects(overlaps: AnyFloats, scores: AnyFloats) -> Integers:
    """For each detection (M,) the index of the object that it finds, or -1.

    From the highest score (M,) down, each takes, of the objects that it overlaps (N, M) more than MIN_IOU and that are
    still free, the one it overlaps most.
    """
    found = np.full(len(scores), -1, dtype=np.int64)
    free = np.ones(len(overlaps), dtype=bool)
    for j in np.argsort(-scores, kind="stable"):
        candidates = np.where(free, overlaps[:, j], 0.0)
        if candidates.max(initial=0.0) > MIN_IOU:
            found[j] = candidates.argmax()
            free[found[j]] = False
    return found


def join_objects(images: Sequence[ObjectDepths]) -> ObjectDepths:
    """The objects of one image or more together."""
    columns = (field.name for field in fields(ObjectDepths))
    return ObjectDepths(**{name: np.concatenate([getattr(image, name) for image in images]) for name in columns})


def object_figures(objects: ObjectDepths, classes: Sequence[str], score_threshold: float) -> dict[str, Any]:
    """People and Vehicle (our statistic per labelled box, against the depth map), and all others below `measures`.

    measures: measure -> truth -> kind of group -> group -> DEPTH_METRICS (None without objects), `count` of objects
    compared, `without_depth` (true depth known, none measured), and the fractions `within_one_std` and
    `within_two_std` of true depths.  found: kind of group -> group -> objects, found,
    missed, found_fraction; distance there is that of the 3D box's middle.
    """
    measures = {measure: {truth: _errors_by_group(objects, measure, truth) for truth in TRUTHS} for measure in MEASURES}
    return {
        "protocol": {
            "name": "objects",
            "classes": list(classes),
            "detections": f"score >= {score_threshold:g}, right class, IoU > {MIN_IOU:g}",
            "categories": {name: list(members) for name, members in CATEGORIES.items()},
            "headline": "our statistic per labelled box, against the depth map inside its 3D box",
            "mean": "over objects",
        },
        **measures["box_statistic"]["depth_map"]["category"],
        "measures": measures,
        "found": {
            kind: {group: _found(objects.found[mask]) for group, mask in groups}
            for kind, groups in _groups(objects, objects.centre)
        },
    }


def _where_found(values: NDArray[np.float32], matched: Integers) -> Floats:
    """The values of the matched detections, NaN for missed objects."""
    found = np.full(len(matched), np.nan)
    found[matched >= 0] = values[matched[matched >= 0]]
    return found


def _groups(objects: ObjectDepths, distance: Floats) -> Iterator[tuple[str, list[tuple[str, Mask]]]]:
    """Kinds of groups, each with its groups' names and masks (N,)."""
    yield "all", [("all", np.ones(len(objects.name), dtype=bool))]
    yield "class", [(str(name), objects.name == name) for name in sorted(set(objects.name.tolist()))]
    yield "category", [(name, np.isin(objects.name, classes)) for name, classes in CATEGORIES.items()]
    limits = pairwise(DISTANCES)
    yield "distance", [(f"{low}-{high} m", (distance >= low) & (distance < high)) for low, high in limits]
    unknown = ~np.isin(objects.occlusion, list(OCCLUSIONS))
    yield "occlusion", [(name, objects.occlusion == i) for i, name in OCCLUSIONS.items()] + [("unknown", unknown)]


def _errors_by_group(objects: ObjectDepths, measure: str, truth: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Kind of group -> group -> figures of one measure against one truth."""
    true: Floats = getattr(objects, truth)
    measured: Floats = getattr(objects, measure)
    std: Floats = getattr(objects, f"{measure}_std")
    wanted = np.isfinite(true) & (true > 0)
    if measure == "detection":
        wanted = wanted & objects.found
    valid = wanted & np.isfinite(measured) & (measured > 0)
    return {
        kind: {
            group: {
                **_errors(true[mask & valid], measured[mask & valid], std[mask & valid]),
                "count": int((mask & valid).sum()),
                "without_depth": int((mask & wanted & ~valid).sum()),
            }
            for group, mask in groups
        }
        for kind, groups in _groups(objects, true)
    }


def _errors(true: Floats, measured: Floats, std: Floats) -> dict[str, float | None]:
    """DEPTH_METRICS, and the fractions of true depths within one and two standard deviations of the measured one.

    These are 0.68 and 0.95 for normally distributed errors.
    """
    errors: dict[str, float | None] = dict.fromkeys(DEPTH_METRICS)
    if len(true):
        errors |= depth_errors(true, measured)
    error = np.abs(true - measured)
    for name, factor in (("within_one_std", 1), ("within_two_std", 2)):
        errors[name] = float(np.mean(error <= factor * std)) if len(error) else None
    return errors


def _found(found: Mask) -> dict[str, Any]:
    total, hits = len(found), int(found.sum())
    return {
        "objects": total,
        "found": hits,
        "missed": total - hits,
        "found_fraction": hits / total if total else None,
    }
