"""The results of an evaluation in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from mp_perception.evaluation.report.figure_tables import FigureTable, figure_tables
from mp_perception.progress import console, warn


def print_result(result: Mapping[str, Any], report: Path | None) -> None:
    """Print all tables, then warnings on standard error, what was mended, what was scored by what, and the report."""
    for tables in figure_tables(result).values():
        for content in tables:
            print_table(content)
    for kind, problem in result["data_set"]["problems"].items():
        warn(f"{kind} in {problem['frames']} frames; the first: {problem['first']}")
    for what in result["data_set"]["mended"]:
        console.print(f"mended: {what}")
    frames, images, seconds = result["frames"], result["images"], result["run"]["seconds"]
    dropped = "".join(f", {count} dropped ({reason})" for reason, count in frames["dropped"].items())
    lines = [
        f"{frames['scored']} of {frames['received']} frames scored{dropped}; depth known in {images['with_depth']}, "
        f"objects in {images['with_labels']}; {seconds:.1f} s, {frames['scored'] / seconds:.1f} frames per second"
    ]
    if "runtime" in result:
        runtime = result["runtime"]
        (pixels, size) = (result["input"][key] for key in ("pixels", "size"))
        given = f"{pixels} pixels that fit the image" if size is None else f"{size[1]}x{size[0]}"
        lines.append(
            f"network run by {runtime['name']} on {runtime['device']}, {runtime['precision']}, input of {given}"
        )
    if report is not None:
        lines.append(f"report: {report}")
    for line in lines:
        console.print(line, style="dim")


def print_table(content: FigureTable) -> None:
    """Print a table that fits into 80 columns."""
    table = Table(title=content.title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    # Text: names of classes come from files, and rich would read their brackets as styles.
    table.caption, table.caption_justify = Text("\n".join(content.notes)), "left"
    for i, column in enumerate(content.columns):
        table.add_column(column, justify="left" if i == 0 else "right")
    for rows in content.groups:
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        table.add_section()
    console.print(table, soft_wrap=False)
