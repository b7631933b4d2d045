"""The beginning of a report: a few large figures, and all main figures beside what is known of the paper's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mp_perception.classes import CATEGORIES
from mp_perception.evaluation.depth_metrics import SERVER_METRICS, SIX_METRICS
from mp_perception.evaluation.report.figure_tables import correct_objects, number, object_truth, with_interval
from mp_perception.evaluation.report.latency import FrameCounts, Latency
from mp_perception.evaluation.tables import PAPER_TABLE_1

_COMPARABLE = "Measured as the paper's, whose numbers are not in the copy at hand."
_NOT_CORRECT = "Cannot be compared: the paper measured with its faults."
_OTHER_PROTOCOL = (
    "Cannot be compared: the paper's protocol is another one (--protocol paper), and its numbers are not in the copy "
    "at hand."
)
_OTHER_OBJECTS = (
    "Cannot be compared: the paper takes the mean depth in the box, background included; here it is the median of the "
    "box's core."
)
_EXPLAINED = {
    "d1": "d1: within a factor of 1.25",
    "d2": "d2: within 1.25²",
    "d3": "d3: within 1.25³",
    "rel": "rel: mean |d - p| / d",
    "rmse": "rmse, metres",
    "log10": "log10: mean |log10 d - log10 p|",
}


@dataclass(frozen=True)
class Card:
    """A large figure: what it is, the figure, and of what."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class SummaryGroup:
    """Figures of one kind.  comparison: whether the paper's can be compared.  rows: name, ours, the paper's."""

    title: str
    comparison: str
    rows: Sequence[tuple[str, str, str]]


def headline_cards(result: Mapping[str, Any], latency: Latency | None, frame_counts: FrameCounts | None) -> list[Card]:
    """The figures that people ask for first; only those that there are."""
    cards = []
    if result["depth"] is not None:
        depth = result["depth"].get("correct", result["depth"])
        images = f"{depth['images']} depth maps"
        if depth.get("d1") is not None:
            cards.append(Card("Depth right within a factor of 1.25", f"{100 * depth['d1']:.1f} %", f"d1, {images}"))
            cards.append(Card("Depth error", f"{100 * depth['rel']:.1f} %", f"rel, {images}"))
        if depth.get("SILog") is not None:
            cards.append(Card("Depth, SILog", number(depth["SILog"], "SILog"), images))
    for name, row in (result["detection"] or {}).items():
        if row["AP40"]["moderate"] is not None and " (IoU" not in name:
            counted = f"{row['counted']['moderate']} objects"
            interval = row.get("AP40_interval", {}).get("moderate")
            note = counted if interval is None else f"{interval[0]:.1f} to {interval[1]:.1f}, {counted}"
            cards.append(Card(f"{name}: average precision", f"{row['AP40']['moderate']:.1f} %", note))
    if result["objects"] is not None:
        objects = correct_objects(result)
        truth, _ = object_truth(objects)
        for category, row in objects["measures"]["box_statistic"][truth]["category"].items():
            if row["count"]:
                cards.append(
                    Card(f"{category}: depth error", f"{100 * row['rel']:.1f} %", f"rel, {row['count']} objects")
                )
    if latency is not None:
        cards.append(Card("Latency, median", f"{latency.median():.0f} ms", f"{len(latency)} frames"))
    if frame_counts is not None:
        note = f"{frame_counts.num_dropped} dropped"
        cards.append(Card("Frames processed", f"{frame_counts.processed} of {frame_counts.received}", note))
    return cards


def summary_groups(result: Mapping[str, Any], latency: Latency | None) -> list[SummaryGroup]:
    """All main figures beside the paper's, and whether these can be compared."""
    groups = [_network_group(result, latency)]
    if result["depth"] is not None:
        groups += _depth_groups(result["depth"])
    if result["objects"] is not None:
        groups += _object_groups(result["objects"])
    if result["detection"]:
        rows = [
            (f"{name}, moderate", with_interval(row, "AP40", "moderate"), "none")
            for name, row in result["detection"].items()
        ]
        told = "The paper reports no detection: nothing to compare with."
        groups.append(SummaryGroup("Detection, average precision (AP40), percent", told, rows))
    return groups


def _network_group(result: Mapping[str, Any], latency: Latency | None) -> SummaryGroup:
    weights = result.get("weights") or {}
    backbone = weights.get("description", {}).get("backbone")
    rate, parameters = PAPER_TABLE_1.get(backbone, (None, "not known"))
    ours = weights.get("parameters")
    median = None if latency is None else latency.median()
    return SummaryGroup(
        "Network",
        "Parameters can be compared: both count the backbone and the depth branch. Frame rates cannot: the paper's is "
        "that of an RTX 2080 Ti, its timing method is not known; this run's is 1 / median latency on its own machine.",
        [
            ("backbone", str(backbone or "not known"), str(backbone if rate else "other ones")),
            ("parameters", "not known" if ours is None else f"{ours:,}", parameters),
            (
                "frames per second",
                "not measured" if not median else f"{1000 / median:.1f}",
                "not known" if rate is None else f"{rate:g}",
            ),
        ],
    )


def _depth_groups(depth: Mapping[str, Any]) -> list[SummaryGroup]:
    name = depth["protocol"]["name"]
    if name == "paper":
        parts = {"Depth maps, the paper's way with its faults": depth, "Depth maps, scored correctly": depth["correct"]}
    else:
        parts = {f"Depth maps, protocol {name}": depth}
    comparable = (_COMPARABLE, _NOT_CORRECT) if name == "paper" else (_OTHER_PROTOCOL,)
    return [
        SummaryGroup(title, told, _six_rows(part) or _server_rows(part))
        for (title, part), told in zip(parts.items(), comparable, strict=True)
    ]


def _object_groups(objects: Mapping[str, Any]) -> list[SummaryGroup]:
    groups = []
    for category in CATEGORIES:
        if "correct" in objects and objects[category]["count"]:
            title = f"Depth of objects, {category}, the paper's way with its faults"
            groups.append(SummaryGroup(title, _COMPARABLE, _six_rows(objects[category])))
        correct = objects.get("correct", objects)
        truth, told = object_truth(correct)
        row = correct["measures"]["box_statistic"][truth]["category"][category]
        if row["count"]:
            title = f"Depth of objects, {category}: {row['count']} labelled boxes, against {told}"
            groups.append(SummaryGroup(title, _OTHER_OBJECTS, _six_rows(row)))
    return groups


def _six_rows(figures: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (_EXPLAINED[metric], number(figures[metric], metric), "not known")
        for metric in SIX_METRICS
        if metric in figures
    ]


def _server_rows(figures: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [(metric, number(figures.get(metric), metric), "none") for metric in SERVER_METRICS]
