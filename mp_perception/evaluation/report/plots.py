"""Curves of an evaluation as PNG pictures: precision over recall, and depth error over distance."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mp_perception.atomic_files import write_atomically
from mp_perception.evaluation.detection_metrics import NUM_RECALLS, Curve

#: One colour per difficulty, told apart in grey too.
_COLORS = {"easy": "#4c9f70", "moderate": "#1f5fa8", "hard": "#b23a48"}


def write_precision_recall(folder: Path, curves: Sequence[Curve]) -> None:
    """Write precision_recall_<class>_<IoU>.png for every class and overlap in which anything counts."""
    recalls = [i / (NUM_RECALLS - 1) for i in range(NUM_RECALLS)]
    for class_name, min_iou in sorted({(curve.class_name, curve.min_iou) for curve in curves}):
        chosen = [c for c in curves if (c.class_name, c.min_iou) == (class_name, min_iou) and c.counted]
        if not chosen:
            continue
        figure = new_figure(6.4, 4.8)
        axes = figure.subplots()
        for curve in chosen:
            label = f"{curve.difficulty}: AP40 {curve.ap40:.1f} ({curve.counted} objects)"
            axes.plot(recalls, curve.precision, color=_COLORS[curve.difficulty], linewidth=2, label=label)
        axes.set(title=f"{class_name}, IoU > {min_iou:g}", xlabel="recall", ylabel="precision")
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        axes.grid(alpha=0.3)
        axes.legend(loc="best")
        write_figure(figure, folder / f"precision_recall_{class_name.lower()}_{min_iou:g}.png")


def write_depth_by_distance(folder: Path, by_distance: Sequence[Mapping[str, Any]]) -> None:
    """Write depth_error_by_distance.png: relative error, rmse and the share within 1.25, over true distance."""
    rows = [row for row in by_distance if row["images"]]
    if not rows:
        return
    centres = [(row["from"] + row["to"]) / 2 for row in rows]
    widths = [(row["to"] - row["from"]) * 0.9 for row in rows]
    figure = new_figure(12, 3.8)
    panels = (("rel", "mean |d - p| / d"), ("rmse", "rmse, metres"), ("d1", "share within a factor of 1.25"))
    for axes, (metric, label) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        axes.bar(centres, [row[metric] for row in rows], widths, color="#1f5fa8")
        axes.set(xlabel="true distance, metres", ylabel=label, xlim=(0, by_distance[-1]["to"]))
        axes.grid(alpha=0.3, axis="y")
    write_figure(figure, folder / "depth_error_by_distance.png")


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, inches, that needs no display."""
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; the file appears whole or not at all."""
    content = io.BytesIO()
    figure.savefig(content, format="png")
    write_atomically(path, content.getvalue())
