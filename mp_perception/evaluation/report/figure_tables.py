"""The figures of an evaluation as tables of text: what `printed` shows in a terminal and `html` in a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mp_perception.evaluation.depth_metrics import SERVER_METRICS, SIX_METRICS
from mp_perception.evaluation.detection_metrics import NUM_RECALLS
from mp_perception.evaluation.kitti_matching import DIFFICULTIES
from mp_perception.evaluation.object_depth_metrics import MIN_IOU

_DIFFICULTIES = tuple(difficulty.name for difficulty in DIFFICULTIES)
#: Decimals of a metric; others have three.
_DECIMALS = {"SILog": 2, "sqErrorRel": 2, "absErrorRel": 2, "iRMSE": 2}


@dataclass(frozen=True)
class FigureTable:
    """A table of text.

    columns: headings, the first one over the rows' names.  groups: rows that belong together; each row has a cell per
    column.  notes: sentences below the table.
    """

    title: str
    columns: Sequence[str]
    groups: Sequence[Sequence[Sequence[str]]]
    notes: Sequence[str] = ()


def figure_tables(result: Mapping[str, Any]) -> list[FigureTable]:
    """All tables of what Evaluation.result gives; those without figures are left out."""
    tables = []
    if result["depth"] is not None:
        tables += [depth_table(result["depth"]), distance_table(result["depth"]["by_distance"])]
    if result["detection"]:
        tables.append(detection_table(result["detection"], result["coco"]))
    if result["objects"] is not None:
        tables += object_tables(correct_objects(result))
    return tables


def depth_table(depth: Mapping[str, Any]) -> FigureTable:
    """Depth maps by the protocol, its parts in rows of their own."""
    protocol = depth["protocol"]["name"]
    rows = {protocol: depth}
    rows |= {f"{protocol}, {part}": depth[part] for part in ("correct", "official") if part in depth}
    metrics = [name for name in (*SIX_METRICS, *SERVER_METRICS) if any(name in row for row in rows.values())]
    cells = [
        (name, str(row["images"]), *(number(row.get(metric), metric) for metric in metrics))
        for name, row in rows.items()
    ]
    return FigureTable("Depth maps (per image, then mean)", ["protocol", "images", *metrics], [cells])


def distance_table(by_distance: Iterable[Mapping[str, Any]]) -> FigureTable:
    """Depth maps by true distance."""
    rows = [
        (f"{row['from']}-{row['to']}", str(row["images"]), *(number(row.get(metric), metric) for metric in SIX_METRICS))
        for row in by_distance
    ]
    return FigureTable("Depth maps by distance (all known pixels)", ["distance, m", "images", *SIX_METRICS], [rows])


def detection_table(detection: Mapping[str, Any], coco: Mapping[str, Any] | None) -> FigureTable:
    """Average precision by class and difficulty, with intervals where they were computed."""
    groups = []
    for name, row in detection.items():
        class_name = name.partition(" (IoU > ")[0]
        counted = (class_name, f"{row['min_iou']:g}", "objects", *(str(row["counted"][d]) for d in _DIFFICULTIES))
        precisions = (
            ("", "", kind, *(with_interval(row, kind, d) for d in _DIFFICULTIES)) for kind in ("AP40", "AP11")
        )
        groups.append([counted, *precisions])
    notes = []
    if any(0 < count < NUM_RECALLS for row in detection.values() for count in row["counted"].values()):
        notes.append("KITTI's AP40 of N < 41 objects is at most (N - 1) / 40: a perfect detector gets no more.")
    if coco is not None:
        by_class = ", ".join(f"{name} {percent(value)}" for name, value in coco["mAP_by_class"].items())
        notes.append(
            f"COCO: mAP {percent(coco['mAP'])}, AP50 {percent(coco['AP50'])}, AP75 {percent(coco['AP75'])}; "
            f"mAP by class: {by_class}"
        )
    title = "Average precision, percent (KITTI 2D)"
    return FigureTable(title, ["class", "IoU\u00a0>", "figure", *_DIFFICULTIES], groups, notes)


def correct_objects(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """The figures of objects; by the paper's protocol, those that stand beside it under `correct`."""
    objects: Mapping[str, Any] = result["objects"]
    correct: Mapping[str, Any] = objects.get("correct", objects)
    return correct


def object_truth(objects: Mapping[str, Any]) -> tuple[str, str]:
    """What objects are compared with, as the figures name it and in words: the lidar; without a scan the surface."""
    # The visible surface of the labelled 3D box is all that is left then.
    if objects["measures"]["box_statistic"]["lidar"]["all"]["all"]["count"]:
        return "lidar", "the lidar inside the object"
    return "surface", "the visible surface of the 3D box"


def object_tables(objects: Mapping[str, Any]) -> list[FigureTable]:
    """Depth of single objects: per labelled box, and per detection with the share of objects missed."""
    truth, told = object_truth(objects)
    in_boxes, of_detections = [], []
    for kind, groups in objects["measures"]["box_statistic"][truth].items():
        in_boxes.append(
            [
                (group, str(row["count"]), *(number(row[metric], metric) for metric in SIX_METRICS))
                for group, row in groups.items()
                if row["count"]
            ]
        )
        found = {group: seen for group, seen in objects["found"][kind].items() if seen["objects"]}
        rows = {group: objects["measures"]["detection"][truth][kind][group] for group in found}
        of_detections.append(
            [
                (
                    group,
                    f"{seen['found']} of {seen['objects']}",
                    f"{100 * seen['missed'] / seen['objects']:.1f} %",
                    str(rows[group]["count"]),
                    *(number(rows[group][metric], metric) for metric in ("d1", "rel", "rmse", "log10")),
                )
                for group, seen in found.items()
            ]
        )
    return [
        FigureTable(f"Depth in labelled boxes, against {told}", ["objects", "count", *SIX_METRICS], in_boxes),
        FigureTable(
            f"Depth of detections, against {told}",
            ["objects", "found", "missed", "count", "d1", "rel", "rmse", "log10"],
            of_detections,
            [f"found: a detection of the class overlaps the object with an IoU above {MIN_IOU:g}"],
        ),
    ]


def number(value: float | None, metric: str) -> str:
    """A metric's figure, or a dash where there is none."""
    return "-" if value is None else f"{value:.{_DECIMALS.get(metric, 3)}f}"


def percent(value: float | None) -> str:
    """A figure that is in percent already, or a dash where there is none."""
    return "-" if value is None else f"{value:.2f}"


def with_interval(row: Mapping[str, Any], kind: str, difficulty: str) -> str:
    """AP40 or AP11 of a class's row in the figures, with the bootstrap interval where there is one."""
    interval = row.get(f"{kind}_interval", {}).get(difficulty)
    text = percent(row[kind][difficulty])
    return text if interval is None else f"{text} ({interval[0]:.1f}-{interval[1]:.1f})"
