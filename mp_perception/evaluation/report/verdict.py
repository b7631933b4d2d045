"""The beginning of a report: how good the network is, in three sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mp_perception.evaluation.report.figure_tables import correct_figures, depth_truth, object_truth


def verdict(result: Mapping[str, Any]) -> list[str]:
    """Three sentences at most: on depth maps, on objects, on frames and time."""
    sentences = []
    depth = correct_figures(result, "depth")
    if depth.get("d1") is not None:
        sentences.append(
            f"The predicted depth differs from the {depth_truth(result)} by {_percent(depth['rel'])} on average, and "
            f"{_percent(depth['d1'])} of the pixels are within a factor of 1.25."
        )
    elif depth.get("SILog") is not None:
        sentences.append(
            f"The predicted depth has a scale-invariant logarithmic error (SILog) of {depth['SILog']:.2f}."
        )
    if not result["depth"] and not result["objects"]:
        sentences.append("Neither depth nor objects were scored: no image has a depth map or labelled objects.")
    if result["objects"] is not None:
        objects = correct_figures(result, "objects")
        truth, _ = object_truth(result)
        found = {name: row for name, row in objects["found"]["class"].items() if row["objects"]}
        counts = ", ".join(f"{row['found']} of {row['objects']} {name}" for name, row in found.items())
        error = objects["measures"]["detection"][truth]["all"]["all"]["rel"]
        distance = "" if error is None else f"; their distance differs by {_percent(error)} on average"
        threshold = f"with a score of at least {result['score_threshold']:g}"
        sentences.append(f"Of the labelled objects it finds, {threshold}, {counts or 'none'}{distance}.")
    else:
        seen = ", ".join(f"{row['objects']} {name}" for name, row in result["detected"].items())
        sentences.append(f"With a score of at least {result['score_threshold']:g} it detects {seen or 'nothing'}.")
    frames = result["frames"]
    reasons = ", ".join(f"{count} dropped: {reason}" for reason, count in frames["dropped"].items())
    total = result["latency_ms"].get("total")
    time = "" if total is None else f"; the median latency is {total['median']:.0f} ms"
    scored = f"{frames['scored']} of {frames['received']} frames were scored{f' ({reasons})' if reasons else ''}{time}."
    return [*sentences, scored]


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"
