"""All charts of a run in one picture."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mp_perception.benchmark.charts import Bars, Lines
from mp_perception.errors import UserError
from mp_perception.files import write_atomically

#: Endings of pictures.
SUFFIXES = (".png", ".svg")
_INK, _FAINT, _QUIET, _STRONG = "#1c2733", "#b4bec8", "#9db4cf", "#1f5fa8"
_COLORS = ("#1f5fa8", "#e0a030", "#3d8a5f", "#b23a48", "#7b5ea7", "#6b7785", "#4aa3a8")
_STYLE: dict[Any, Any] = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "grid.color": _FAINT,
    "grid.linewidth": 0.6,
    "font.size": 9,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "mp_perception",
}
#: Inches.
_COLUMN_WIDTH, _BAR_HEIGHT, _LEAST_HEIGHT = 6.2, 0.3, 2.8


def check_picture_name(path: Path) -> None:
    """Raises UserError unless the ending is one of SUFFIXES."""
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path}: expected a name that ends in {' or '.join(SUFFIXES)}")


def write_plot(path: Path, charts: Sequence[Bars | Lines], caption: str) -> None:
    """Write all charts, two beside each other, with a line below.  Raises UserError for another ending."""
    check_picture_name(path)
    rows = math.ceil(len(charts) / 2)
    heights = [max(_height(chart) for chart in charts[2 * row : 2 * row + 2]) for row in range(rows)]
    columns = min(2, len(charts))
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_COLUMN_WIDTH * columns, sum(heights) + 0.3), dpi=130, layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(rows, columns, squeeze=False, gridspec_kw={"height_ratios": heights})
        for axes, chart in zip(grid.flat, charts, strict=False):
            (_draw_bars if isinstance(chart, Bars) else _draw_lines)(axes, chart)  # type: ignore[arg-type]
        for axes in list(grid.flat)[len(charts) :]:
            axes.set_axis_off()
        figure.supxlabel(textwrap.fill(caption, 95 * columns), fontsize=8, color="#6b7785")
        content = io.BytesIO()
        figure.savefig(content, format=path.suffix[1:], metadata={"Date": None} if path.suffix == ".svg" else None)
    write_atomically(path, content.getvalue())


def _height(chart: Bars | Lines) -> float:
    return max(_LEAST_HEIGHT, _BAR_HEIGHT * len(chart.labels) + 1.1) if isinstance(chart, Bars) else _LEAST_HEIGHT


def _draw_bars(axes: Axes, chart: Bars) -> None:
    places = list(range(len(chart.labels)))
    ends = [0.0] * len(places)
    several = len(chart.parts) > 1
    for (name, values), color in zip(chart.parts.items(), _COLORS, strict=False):
        colors = color if several else [_STRONG if place in chart.strong else _QUIET for place in places]
        axes.barh(places, values, left=ends, height=0.72, color=colors, label=name)
        ends = [end + value for end, value in zip(ends, values, strict=True)]
    for place, end in zip(places, ends, strict=True):
        axes.annotate(f"{end:.3g}", (end, place), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set(title=chart.title, xlabel=chart.unit, yticks=places, xlim=(0, 1.12 * max(ends)))
    axes.set_yticklabels(chart.labels)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    if several:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _draw_lines(axes: Axes, chart: Lines) -> None:
    for (name, (x, y)), color in zip(chart.lines.items(), _COLORS, strict=False):
        axes.plot(x, y, "o-", color=color, label=name, markersize=4)
    axes.set(title=chart.title, xlabel=chart.x_label, ylabel=chart.y_label, ylim=(0, None), xlim=(0, None))
    axes.grid()
    if len(chart.lines) > 1:
        axes.legend(loc="best")
