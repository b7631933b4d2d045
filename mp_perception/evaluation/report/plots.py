"""The plots of an evaluation, once for the folder of pictures (PNG) and for the report (SVG, see `svg`).

A `Plot` says what to draw; `render` draws it.  All plots have the size at which they are readable on a phone.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mp_perception.evaluation.detection_metrics import NUM_RECALLS, Curve
from mp_perception.evaluation.report.figure_tables import correct_objects, object_truth
from mp_perception.evaluation.report.latency import Latency
from mp_perception.files import write_atomically

#: Colours of text, of helping lines, and of what is shown; the report exchanges them where the page is dark.
INK, FAINT = "#1c2733", "#b4bec8"
BLUE, RED, GREEN = "#1f5fa8", "#b23a48", "#3d8a5f"

_STYLE: dict[Any, Any] = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "legend.fontsize": 8,
    "legend.frameon": False,
    # Names of classes come from files: a dollar sign in one is a dollar sign.
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "mp_perception",
}
#: Colour and line of each difficulty: told apart in grey, too.
_DIFFICULTY_LINES = {"easy": (GREEN, "-"), "moderate": (BLUE, "--"), "hard": (RED, ":")}
_MAX_CLASSES = 16
_MAX_NAME = 20
_MAX_POINTS = 240


@dataclass(frozen=True)
class Plot:
    """Something to draw.

    name: of its file, without ending.  title: above it.  description: what it shows, for those who cannot see it.
    draw: draws into an empty figure.  size: width and height, inches.
    """

    name: str
    title: str
    description: str
    draw: Callable[[Figure], None]
    size: tuple[float, float] = (4.0, 2.9)


def render(plot: Plot, form: Literal["png", "svg"]) -> bytes:
    """The plot as a PNG with its title, or as an SVG without title and background."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=plot.size, dpi=160, layout="constrained")
        FigureCanvasAgg(figure)
        plot.draw(figure)
        content = io.BytesIO()
        if form == "svg":
            figure.savefig(content, format=form, transparent=True, metadata={"Date": None})
        else:
            figure.suptitle(plot.title, fontsize="medium")
            figure.savefig(content, format=form)
        return content.getvalue()


def write_plots(folder: Path, plots: Iterable[Plot]) -> None:
    """Write <folder>/<name>.png of every plot."""
    for plot in plots:
        write_atomically(folder / f"{plot.name}.png", render(plot, "png"))


def result_plots(result: Mapping[str, Any], curves: Sequence[Curve]) -> list[Plot]:
    """The plots of all figures that there are, latency not among them."""
    plots = precision_recall_plots(curves)
    if result["depth"] is not None:
        plots += depth_plots(result["depth"])
    if result["objects"] is not None:
        plots += object_plots(result)
    return plots


def depth_plots(depth: Mapping[str, Any]) -> list[Plot]:
    """Relative error, rmse and the share within a factor of 1.25, over true distance."""
    by_distance = depth["by_distance"]
    rows = [row for row in by_distance if row["images"]]
    if not rows:
        return []

    def draw_metric(metric: str, label: str) -> Callable[[Figure], None]:
        def draw(figure: Figure) -> None:
            axes = figure.subplots()
            edges = [(row["from"], row["to"]) for row in rows]
            centres, widths = [sum(limits) / 2 for limits in edges], [0.9 * (end - start) for start, end in edges]
            axes.bar(centres, [row[metric] for row in rows], widths, color=BLUE)
            axes.set(xlabel="true distance, metres", ylabel=label, xlim=(0, by_distance[-1]["to"]))
            axes.grid(axis="y")

        return draw

    metrics = {
        "rel": ("Relative depth error by distance", "mean |d - p| / d"),
        "rmse": ("Depth error by distance", "rmse, metres"),
        "d1": ("Depth right within a factor of 1.25, by distance", "share of pixels"),
    }
    return [
        Plot(
            f"depth_{metric}_by_distance",
            title,
            f"Bars of {metric} over true distance: from {_figure(rows[0][metric])} at {_limits(rows[0])} m to "
            f"{_figure(rows[-1][metric])} at {_limits(rows[-1])} m.",
            draw_metric(metric, label),
        )
        for metric, (title, label) in metrics.items()
    ]


def object_plots(result: Mapping[str, Any]) -> list[Plot]:
    """Relative depth error of single objects, by class and by distance: in labelled boxes, and of detections."""
    objects = correct_objects(result)
    truth, told = object_truth(objects)
    plots = []
    for kind in ("class", "distance"):
        in_boxes, found = (objects["measures"][measure][truth][kind] for measure in ("box_statistic", "detection"))
        names = [name for name, row in in_boxes.items() if row["count"]]
        if kind == "class":
            names = sorted(names, key=lambda name: -in_boxes[name]["count"])[:_MAX_CLASSES]
        if not names:
            continue
        errors = ", ".join(f"{name} {_figure(in_boxes[name]['rel'])} ({in_boxes[name]['count']})" for name in names)
        plots.append(
            Plot(
                f"object_depth_rel_by_{kind}",
                f"Relative depth error of objects by {kind}",
                f"Bars of the mean relative error in labelled boxes against {told}, by {kind} (number of objects): "
                f"{errors}; beside them those of detections.",
                _object_bars(names, in_boxes, found),
                size=(4.0, 1.2 + 0.34 * len(names)),
            )
        )
    return plots


def precision_recall_plots(curves: Sequence[Curve]) -> list[Plot]:
    """Precision over recall, one plot for every class and overlap in which anything counts."""
    plots = []
    for class_name, min_iou in dict.fromkeys((curve.class_name, curve.min_iou) for curve in curves):
        chosen = [c for c in curves if (c.class_name, c.min_iou) == (class_name, min_iou) and c.counted]
        if not chosen:
            continue
        figures = "; ".join(f"{c.difficulty}: AP40 {c.ap40:.2f}, {c.counted} objects" for c in chosen)
        plots.append(
            Plot(
                f"precision_recall_{class_name.lower()}_{min_iou:g}",
                f"{class_name}, IoU > {min_iou:g}",
                f"Precision over recall of {class_name} at an IoU above {min_iou:g}. {figures}.",
                _precision_recall(chosen),
            )
        )
    return plots


def latency_plots(latency: Latency) -> list[Plot]:
    """Histogram of the whole latency, and its course."""
    total = latency.total()
    median, most = np.percentile(total, [50, 90])

    def draw_histogram(figure: Figure) -> None:
        axes = figure.subplots()
        # The slowest of many frames would squeeze all others into one bar.
        end = np.percentile(total, 99.5) * 1.05
        axes.hist(np.minimum(total, end), bins=40, color=BLUE)
        axes.axvline(median, color=INK, linestyle="--", label=f"median {median:.1f} ms")
        axes.axvline(most, color=RED, linestyle=":", label=f"90 % below {most:.1f} ms")
        axes.set(xlabel="milliseconds (the last bar holds all beyond)", ylabel="frames")
        axes.grid(axis="y")
        figure.legend(loc="outside upper center", ncols=2)

    def draw_course(figure: Figure) -> None:
        axes = figure.subplots()
        stamps, typical, slowest = _course(latency.stamps(), total)
        axes.plot(stamps, typical, color=BLUE, linewidth=1.4, label="median")
        axes.set(xlabel=latency.stamp_label, ylabel="milliseconds", ylim=(0, None))
        axes.grid(axis="y")
        if len(total) > len(stamps):
            axes.fill_between(stamps, typical, slowest, color=RED, alpha=0.35, linewidth=0, label="slowest")
            figure.legend(loc="outside upper center", ncols=2)

    words = f"median {median:.1f} ms, 90 % below {most:.1f} ms, slowest {total.max():.1f} ms"
    return [
        Plot("latency_histogram", "Latency", f"Histogram of {len(total)} frames: {words}.", draw_histogram),
        Plot(
            "latency_timeline",
            "Latency over the run",
            f"Median and slowest latency of up to {_MAX_POINTS} parts of the run: {words}.",
            draw_course,
        ),
    ]


def _course(stamps: Any, total: Any) -> tuple[Any, Any, Any]:
    """Stamps, median and greatest latency of equally many frames each, at most _MAX_POINTS of them."""
    parts = [part for part in np.array_split(np.arange(len(total)), min(len(total), _MAX_POINTS)) if len(part)]
    return (
        np.array([stamps[part].mean() for part in parts]) - stamps[0],
        np.array([np.median(total[part]) for part in parts]),
        np.array([total[part].max() for part in parts]),
    )


def _precision_recall(curves: Sequence[Curve]) -> Callable[[Figure], None]:
    recalls = [i / (NUM_RECALLS - 1) for i in range(NUM_RECALLS)]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for curve in curves:
            color, line = _DIFFICULTY_LINES[curve.difficulty]
            label = f"{curve.difficulty}: AP40 {curve.ap40:.2f} ({curve.counted} objects)"
            axes.plot(recalls, curve.precision, color=color, linestyle=line, linewidth=2, label=label)
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
        axes.grid()
        figure.legend(loc="outside upper center")

    return draw


def _object_bars(
    names: Sequence[str], in_boxes: Mapping[str, Any], found: Mapping[str, Any]
) -> Callable[[Figure], None]:
    def draw(figure: Figure) -> None:
        axes: Axes = figure.subplots()
        places = np.arange(len(names))
        for rows, shift, color, label in (
            (in_boxes, -0.2, BLUE, "in labelled boxes"),
            (found, 0.2, RED, "of detections"),
        ):
            axes.barh(places + shift, [rows[name]["rel"] or 0 for name in names], 0.38, color=color, label=label)
        axes.set_yticks(places, [f"{_short(name)} ({in_boxes[name]['count']})" for name in names])
        axes.invert_yaxis()
        axes.set(xlabel="mean |d - p| / d")
        axes.grid(axis="x")
        figure.legend(loc="outside upper center", ncols=2)

    return draw


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _limits(row: Mapping[str, Any]) -> str:
    return f"{row['from']}-{row['to']}"


def _short(name: str) -> str:
    """A class name of untrusted origin that fits beside a bar."""
    printable = "".join(character if character.isprintable() else "?" for character in name)
    return printable if len(printable) <= _MAX_NAME else f"{printable[: _MAX_NAME - 1]}…"
