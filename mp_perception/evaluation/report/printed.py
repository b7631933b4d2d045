"""The figures of an evaluation as printed tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table

from mp_perception.evaluation.depth_metrics import SERVER_METRICS, SIX_METRICS
from mp_perception.evaluation.detection_metrics import NUM_RECALLS

#: Decimals of a metric; others have three.
_DECIMALS = {"rmse": 3, "SILog": 2, "sqErrorRel": 2, "absErrorRel": 2, "iRMSE": 2}
_DIFFICULTIES = ("easy", "moderate", "hard")


def result_tables(result: Mapping[str, Any]) -> list[Table]:
    """Tables of what Evaluation.result gives, for rich; those without figures are left out."""
    tables = []
    if result["depth"] is not None:
        tables += [depth_table(result["depth"]), distance_table(result["depth"]["by_distance"])]
    if result["detection"]:
        tables.append(detection_table(result["detection"], result["coco"]))
    if result["objects"] is not None:
        objects = result["objects"].get("correct", result["objects"])
        tables += object_tables(objects)
    return tables


def depth_table(depth: Mapping[str, Any]) -> Table:
    """Depth maps by the protocol, its parts in rows of their own."""
    protocol = depth["protocol"]["name"]
    rows = {protocol: depth}
    rows |= {f"{protocol}, {part}": depth[part] for part in ("correct", "official") if part in depth}
    metrics = [name for name in (*SIX_METRICS, *SERVER_METRICS) if any(name in row for row in rows.values())]
    table = _table("Depth maps (per image, then mean)", ["protocol", "images", *metrics])
    for name, row in rows.items():
        table.add_row(name, str(row["images"]), *(number(row.get(metric), metric) for metric in metrics))
    return table


def distance_table(by_distance: Iterable[Mapping[str, Any]]) -> Table:
    """Depth maps by true distance."""
    table = _table("Depth maps by distance (all known pixels)", ["distance, m", "images", *SIX_METRICS])
    for row in by_distance:
        figures = (number(row.get(metric), metric) for metric in SIX_METRICS)
        table.add_row(f"{row['from']}-{row['to']}", str(row["images"]), *figures)
    return table


def detection_table(detection: Mapping[str, Any], coco: Mapping[str, Any] | None) -> Table:
    """Average precision by class and difficulty, with intervals where they were computed."""
    table = _table("Average precision, percent (KITTI 2D)", ["class", "IoU >", "figure", *_DIFFICULTIES])
    for name, row in detection.items():
        table.add_section()
        table.add_row(
            name.partition(" (")[0], f"{row['min_iou']:g}", "objects", *(str(row["counted"][d]) for d in _DIFFICULTIES)
        )
        for kind in ("AP40", "AP11"):
            table.add_row("", "", kind, *(_with_interval(row, kind, d) for d in _DIFFICULTIES))
    notes = []
    if any(0 < count < NUM_RECALLS for row in detection.values() for count in row["counted"].values()):
        notes.append("KITTI's AP40 of N < 41 objects is at most (N - 1) / 40: a perfect detector gets no more.")
    if coco is not None:
        by_class = ", ".join(f"{name} {_percent(value)}" for name, value in coco["mAP_by_class"].items())
        notes.append(
            f"COCO: mAP {_percent(coco['mAP'])}, AP50 {_percent(coco['AP50'])}, AP75 {_percent(coco['AP75'])}; "
            f"mAP by class: {by_class}"
        )
    table.caption = "\n".join(notes)
    return table


def object_tables(objects: Mapping[str, Any]) -> list[Table]:
    """Depth of single objects: per labelled box, and per detection with the share of objects missed."""
    # Without a scan the visible surface of the labelled 3D box is all there is.
    has_lidar = objects["measures"]["box_statistic"]["lidar"]["all"]["all"]["count"] > 0
    truth = "lidar" if has_lidar else "surface"
    told = "the lidar inside the object" if has_lidar else "the visible surface of the 3D box"
    metrics = ("d1", "d2", "d3", "rel", "rmse", "log10")
    boxes = _table(f"Depth in labelled boxes, against {told}", ["objects", "count", *metrics])
    found = _table(
        f"Depth of detections, against {told}", ["objects", "found", "missed", "count", "d1", "rel", "rmse", "log10"]
    )
    for kind, groups in objects["measures"]["box_statistic"][truth].items():
        boxes.add_section()
        found.add_section()
        for group, row in groups.items():
            if row["count"]:
                boxes.add_row(group, str(row["count"]), *(number(row[metric], metric) for metric in metrics))
        for group, seen in objects["found"][kind].items():
            if not seen["objects"]:
                continue
            row = objects["measures"]["detection"][truth][kind][group]
            missed = f"{100 * seen['missed'] / seen['objects']:.1f} %"
            figures = (number(row[metric], metric) for metric in ("d1", "rel", "rmse", "log10"))
            found.add_row(group, f"{seen['found']} of {seen['objects']}", missed, str(row["count"]), *figures)
    return [boxes, found]


def number(value: float | None, metric: str) -> str:
    """A metric's figure, or a dash where there is none."""
    return "-" if value is None else f"{value:.{_DECIMALS.get(metric, 3)}f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _with_interval(row: Mapping[str, Any], kind: str, difficulty: str) -> str:
    interval = row.get(f"{kind}_interval", {}).get(difficulty)
    text = _percent(row[kind][difficulty])
    return text if interval is None else f"{text} ({interval[0]:.1f}-{interval[1]:.1f})"


def _table(title: str, columns: Iterable[str]) -> Table:
    table = Table(title=title, title_justify="left", caption_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right")
    return table
