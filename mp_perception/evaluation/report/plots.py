"""The plots of an evaluation, once for the folder of plots (PNG) and for the report (SVG).

A `Plot` says what to draw; `render` draws it.  All plots have a size at which they are readable on a phone.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mp_perception.evaluation.average_precision import NUM_RECALLS
from mp_perception.files import write_atomically

_INK, _FAINT = "#1c2733", "#b4bec8"
_BLUE, _RED, _GREEN = "#1f5fa8", "#b23a48", "#3d8a5f"
_STYLE: dict[Any, Any] = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK),
    "grid.color": _FAINT,
    "grid.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "mp_perception",
}
#: Width and height of all plots, inches.
_SIZE = (4.0, 2.9)
#: Name and title of the plots of errors over true distance.
_BY_DISTANCE = ("depth_rel_by_distance", "Relative depth error by distance")
#: Colour and line of each difficulty: told apart in grey, too.
_DIFFICULTY_LINES = {"easy": (_GREEN, "-"), "moderate": (_BLUE, "--"), "hard": (_RED, ":")}


@dataclass(frozen=True)
class Plot:
    """Something to draw.  name: of its file, without ending.  draw: draws into an empty figure."""

    name: str
    title: str
    draw: Callable[[Figure], None]


def render(plot: Plot, form: Literal["png", "svg"]) -> bytes:
    """The plot as a PNG with its title, or as an SVG without title."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=_SIZE, dpi=160, layout="constrained")
        FigureCanvasAgg(figure)
        plot.draw(figure)
        content = io.BytesIO()
        if form == "png":
            figure.suptitle(plot.title, fontsize="medium")
        figure.savefig(content, format=form, metadata={"Date": None} if form == "svg" else None)
        return content.getvalue()


def write_plots(folder: Path, plots: Iterable[Plot]) -> None:
    """Write <folder>/<name>.png of every plot."""
    for plot in plots:
        write_atomically(folder / f"{plot.name}.png", render(plot, "png"))


def depth_plots(result: Mapping[str, Any]) -> list[Plot]:
    """Relative error of depth maps over true distance."""
    rows = [row for row in result["depth"]["by_distance"][:-1] if row["images"]] if result["depth"] else []
    if not rows:
        return []
    return [Plot(*_BY_DISTANCE, partial(_draw_errors, rows))]


def comparison_plot(candidates: Mapping[str, Sequence[Mapping[str, Any]]]) -> Plot:
    """Relative error over true distance, a line for each candidate.

    candidates: name -> rows with "from", "to" (metres), "pixels" and, if there are any, "rel".
    """
    return Plot(*_BY_DISTANCE, partial(_draw_comparison, candidates))


def precision_recall_plots(result: Mapping[str, Any]) -> list[Plot]:
    """Precision over recall, one plot for every class and overlap in which anything counts."""
    plots = []
    for name, row in (result["detection"] or {}).items():
        counted = [difficulty for difficulty, count in row["counted"].items() if count]
        if not counted:
            continue
        class_name = name.partition(" (IoU > ")[0]
        labels = {
            difficulty: f"{difficulty}: AP40 {row['AP40'][difficulty]:.2f} ({row['counted'][difficulty]} objects)"
            for difficulty in counted
        }
        plots.append(
            Plot(
                f"precision_recall_{class_name.lower()}_{row['min_iou']:g}",
                f"Precision over recall: {class_name}, IoU > {row['min_iou']:g}",
                partial(_draw_precision_recall, row["precision"], labels),
            )
        )
    return plots


def _draw_errors(rows: list[Mapping[str, Any]], figure: Figure) -> None:
    axes = figure.subplots()
    centres, widths = zip(*(((row["from"] + row["to"]) / 2, row["to"] - row["from"]) for row in rows), strict=True)
    axes.bar(centres, [row["rel"] for row in rows], [0.9 * width for width in widths], color=_BLUE)
    axes.set(xlabel="true distance, metres", ylabel="mean |d - p| / d", xlim=(0, None))
    axes.grid(axis="y")


def _draw_comparison(candidates: Mapping[str, Sequence[Mapping[str, Any]]], figure: Figure) -> None:
    axes = figure.subplots()
    for (name, rows), color, line in zip(
        candidates.items(), (_FAINT, _RED, _GREEN, _BLUE), (":", ":", "--", "-"), strict=False
    ):
        known = [row for row in rows if row["pixels"]]
        centres = [(row["from"] + row["to"]) / 2 for row in known]
        axes.plot(centres, [row["rel"] for row in known], line, color=color, marker=".", label=name)
    axes.set(xlabel="true distance, metres", ylabel="mean |d - p| / d", xscale="log", ylim=(0, 1))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid()
    figure.legend(loc="outside upper center", ncols=2)


def _draw_precision_recall(precision: Mapping[str, list[float]], labels: Mapping[str, str], figure: Figure) -> None:
    axes = figure.subplots()
    recalls = [i / (NUM_RECALLS - 1) for i in range(NUM_RECALLS)]
    for difficulty, label in labels.items():
        color, line = _DIFFICULTY_LINES[difficulty]
        axes.plot(recalls, precision[difficulty], color=color, linestyle=line, linewidth=2, label=label)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axes.grid()
    figure.legend(loc="outside upper center")
