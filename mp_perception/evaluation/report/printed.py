"""The figures of an evaluation as tables in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from mp_perception.evaluation.report.figure_tables import FigureTable, figure_tables


def result_tables(result: Mapping[str, Any]) -> list[Table]:
    """Tables of what Evaluation.result gives, for rich."""
    return [printed_table(table) for table in figure_tables(result)]


def printed_table(content: FigureTable) -> Table:
    """A table for rich."""
    table = Table(title=content.title, title_justify="left", caption_justify="left")
    table.caption = Text("\n".join(content.notes))
    for i, column in enumerate(content.columns):
        table.add_column(column, justify="left" if i == 0 else "right")
    for rows in content.groups:
        for row in rows:
            # Text: names of classes come from files, and rich would read their brackets as styles.
            table.add_row(*(Text(cell) for cell in row))
        table.add_section()
    return table
