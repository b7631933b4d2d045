"""The figures of an evaluation as tables of text, for the terminal and for the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mp_perception.evaluation.average_precision import NUM_RECALLS
from mp_perception.evaluation.depth_metrics import DEPTH_METRICS, SERVER_METRICS, SIX_METRICS
from mp_perception.evaluation.kitti_matching import DIFFICULTIES
from mp_perception.evaluation.object_depth_metrics import MIN_IOU

_DIFFICULTIES = tuple(difficulty.name for difficulty in DIFFICULTIES)


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


def figure_tables(result: Mapping[str, Any]) -> dict[str, list[FigureTable]]:
    """All tables by the part of the result that they show; parts without figures are left out."""
    objects = result["objects"]
    tables = {
        "depth": _depth_tables(result["depth"]) if result["depth"] else [],
        "beyond": [_beyond_table(result["beyond"])] if result["beyond"] else [],
        "detection": [_detection_table(result["detection"], result["coco"])] if result["detection"] else [],
        "objects": _object_tables(result) if objects else [],
        "detected": [_detected_table(result)] if result["detected"] and not objects else [],
        "tracking": _tracking_tables(result["tracking"]) if result["tracking"] else [],
        "latency_ms": [_latency_table(result["latency_ms"])] if result["latency_ms"] else [],
    }
    return {name: of_part for name, of_part in tables.items() if of_part}


def _depth_tables(depth: Mapping[str, Any]) -> list[FigureTable]:
    """Depth maps by the protocol, its parts in rows of their own, and by true distance."""
    protocol = depth["protocol"]["name"]
    rows = {protocol: depth}
    rows |= {f"{protocol}, {part}": depth[part] for part in ("correct", "official") if part in depth}
    tables = []
    for metrics in (DEPTH_METRICS, SERVER_METRICS):
        cells = [(name, str(row["images"]), *numbers(row, metrics)) for name, row in rows.items() if metrics[0] in row]
        if cells:
            columns = ["protocol", "images", *metrics]
            tables.append(FigureTable("Depth maps (per image, then mean)", columns, [cells]))
    by_distance = [
        (f"{row['from']}-{row['to']}", str(row["images"]), *numbers(row, DEPTH_METRICS)) for row in depth["by_distance"]
    ]
    columns = ["metres", "images", *DEPTH_METRICS]
    return [*tables, FigureTable("Depth maps by distance (all known pixels)", columns, [by_distance])]


def _beyond_table(beyond: Mapping[str, Any]) -> FigureTable:
    """How well the sky is told from surfaces."""
    rows = [
        (name, str(beyond[pixels]), "-" if beyond[fraction] is None else f"{100 * beyond[fraction]:.2f} %")
        for name, pixels, fraction in (
            ("sky with a distance", "sky", "near_fraction"),
            ("surfaces up to 80 m lost as beyond", "surface", "lost_fraction"),
        )
        if beyond[pixels]
    ]
    return FigureTable("Sky and surfaces", ["error", "pixels", "wrong"], [rows])


def _detection_table(detection: Mapping[str, Any], coco: Mapping[str, Any] | None) -> FigureTable:
    """Average precision by class and difficulty, with intervals where they were computed."""
    groups = []
    for name, row in detection.items():
        class_name = name.partition(" (IoU > ")[0]
        counted = (class_name, f"{row['min_iou']:g}", "objects", *(str(row["counted"][d]) for d in _DIFFICULTIES))
        precisions = (("", "", kind, *(_precision(row, kind, d) for d in _DIFFICULTIES)) for kind in ("AP40", "AP11"))
        groups.append([counted, *precisions])
    notes = []
    if any(0 < count < NUM_RECALLS for row in detection.values() for count in row["counted"].values()):
        notes.append(f"KITTI's AP40 of N < {NUM_RECALLS} objects is at most (N - 1) / 40, also for a perfect detector.")
    if coco is not None:
        by_class = ", ".join(f"{name} {_number(value, 2)}" for name, value in coco["mAP_by_class"].items())
        total = ", ".join(f"{name} {_number(coco[name], 2)}" for name in ("mAP", "AP50", "AP75"))
        notes.append(f"COCO: {total}; mAP by class: {by_class}")
    title = "Average precision, percent (KITTI 2D)"
    return FigureTable(title, ["class", "IoU\u00a0>", "figure", *_DIFFICULTIES], groups, notes)


def correct_figures(result: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    """The figures of `depth` or `objects`; by the paper's protocol, those below `correct`.  Empty without figures."""
    figures: Mapping[str, Any] = result[part] or {}
    correct: Mapping[str, Any] = figures.get("correct", figures)
    return correct


def object_truth(result: Mapping[str, Any]) -> tuple[str, str]:
    """What the depth of objects is compared with: the name in the figures, and in words.

    Without a depth map inside any object, it is the visible surface of the labelled 3D boxes.
    """
    if not correct_figures(result, "objects")["measures"]["box_statistic"]["depth_map"]["all"]["all"]["count"]:
        return "surface", "the visible surface of the 3D box"
    return "depth_map", f"the {depth_truth(result)} inside the object"


def depth_truth(result: Mapping[str, Any]) -> str:
    """What the true depth is, in two words."""
    protocol = result["depth"]["protocol"]
    ground_truth = protocol.get("ground_truth") or protocol["eigen"]["ground_truth"]
    if ground_truth.startswith("exact"):
        return "exact depth"
    return "lidar points" if "scan" in ground_truth and not ground_truth.startswith("mixed") else "depth image"


def _object_tables(result: Mapping[str, Any]) -> list[FigureTable]:
    """Depth of single objects: per labelled box, and per detection with the fraction of objects missed."""
    objects = correct_figures(result, "objects")
    truth, words = object_truth(result)
    in_boxes, of_detections = [], []
    for kind, groups in objects["measures"]["box_statistic"][truth].items():
        in_boxes.append(
            [(group, str(row["count"]), *numbers(row, SIX_METRICS)) for group, row in groups.items() if row["count"]]
        )
        detected = objects["measures"]["detection"][truth][kind]
        of_detections.append(
            [
                (
                    group,
                    f"{found['found']} of {found['objects']}",
                    f"{100 * found['missed'] / found['objects']:.1f} %",
                    str(detected[group]["count"]),
                    *numbers(detected[group], ("d1", "rel", "rmse", "log10")),
                )
                for group, found in objects["found"][kind].items()
                if found["objects"]
            ]
        )
    return [
        FigureTable(f"Depth in labelled boxes, against {words}", ["objects", "count", *SIX_METRICS], in_boxes),
        FigureTable(
            f"Depth of detections, against {words}",
            ["objects", "found", "missed", "count", "d1", "rel", "rmse", "log10"],
            of_detections,
            [f"found: a detection of the class overlaps the object with an IoU above {MIN_IOU:g}"],
        ),
    ]


def _detected_table(result: Mapping[str, Any]) -> FigureTable:
    """What was detected, for images without labels."""
    rows = [
        (name, str(row["objects"]), str(row["images"]), _number(row["median_distance"], 1))
        for name, row in result["detected"].items()
    ]
    columns = ["class", "objects", "images", "median distance, m"]
    return FigureTable(f"Detected, score of at least {result['score_threshold']:g}", columns, [rows])


def _tracking_tables(tracking: Mapping[str, Any]) -> list[FigureTable]:
    """Identity over time, and what tracks know better than single images, by frame and group of classes."""
    tables = []
    for frame, groups in tracking.items():
        seen = {name: row for name, row in groups.items() if row["hits"] + row["misses"] + row["false_alarms"]}
        identity = [
            (
                name,
                f"{row['object_seconds']:.1f}",
                *numbers(row, ("HOTA", "DetA", "AssA", "IDF1", "MOTA")),
                str(row["switches"]),
                _number(row["switches_per_100_object_seconds"], 2),
            )
            for name, row in seen.items()
        ]
        gains = [
            (
                name,
                *(_before_and_after(row["recall"][kind], "images") for kind in ("high_precision", "usual_precision")),
                f"{_number(row['distance']['before'], 3)} \u2192 {_number(row['distance']['after'], 3)}",
                _number(row["velocity"]["median_error"], 2),
                _number(row["time_to_contact"]["median_error"], 2),
            )
            for name, row in seen.items()
        ]
        tables.append(
            FigureTable(
                f"Tracks formed in the {frame} frame",
                ["objects", "seconds", "HOTA", "DetA", "AssA", "IDF1", "MOTA", "switches", "/ 100 s"],
                [identity],
                ["seconds: sum over objects; / 100 s: identity switches per 100 of them"],
            )
        )
        tables.append(
            FigureTable(
                f"Single images \u2192 tracks, {frame} frame",
                ["objects", "recall (0.9)", "recall (usual)", "distance rel", "velocity", "contact"],
                [gains],
                [
                    "recall: of detections and of tracks, at precision 0.9, and at that of the detections at the score "
                    "threshold",
                    "velocity, contact: median error of moving objects, m/s, and of the time to contact, s",
                ],
            )
        )
    return tables


def _latency_table(latency: Mapping[str, Mapping[str, float]]) -> FigureTable:
    """Milliseconds by stage, the total last."""
    rows = [
        (stage, str(row["frames"]), *(f"{row[figure]:.2f}" for figure in ("median", "p90", "p99", "max")))
        for stage, row in sorted(latency.items(), key=lambda entry: entry[0] == "total")
    ]
    columns = ["stage", "frames", "median", "90 % below", "99 % below", "maximum"]
    return FigureTable("Latency, milliseconds", columns, [rows[:-1], rows[-1:]])


def numbers(figures: Mapping[str, Any], metrics: Iterable[str]) -> list[str]:
    """Metrics as text, a dash where there is no figure."""
    return [_number(figures.get(metric), 2 if metric in SERVER_METRICS else 3) for metric in metrics]


def _number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"


def _before_and_after(recall: Mapping[str, Any], unit: str) -> str:
    """Recall of detections and of tracks."""
    before, after = (None if recall[kind] is None else recall[kind][unit] for kind in ("detections", "tracks"))
    return f"{_number(before, 3)} \u2192 {_number(after, 3)}"


def _precision(row: Mapping[str, Any], kind: str, difficulty: str) -> str:
    """AP40 or AP11 of a class, with the bootstrap interval where there is one."""
    interval = row.get(f"{kind}_interval", {}).get(difficulty)
    text = _number(row[kind][difficulty], 2)
    return text if interval is None else f"{text} ({interval[0]:.1f}-{interval[1]:.1f})"
