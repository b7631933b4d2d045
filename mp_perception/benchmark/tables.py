"""Tables of results: one form that is read in a terminal, pasted into a document and kept as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mp_perception.benchmark.measurement import Measurement, ratio, spread

Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    """A title, rows of equal columns, and what must be known to read them.

    rows: column name -> text, number, or None where there is nothing.
    """

    title: str
    rows: Sequence[Mapping[str, Cell]]
    note: str = ""

    def to_markdown(self) -> str:
        """Title, table and note as Markdown, columns aligned so that it is readable as it stands."""
        names = list(self.rows[0])
        texts = [names, *([_text(row[name]) for name in names] for row in self.rows)]
        widths = [max(len(line[i]) for line in texts) for i in range(len(names))]
        are_numbers = [all(not isinstance(row[name], str) for row in self.rows) for name in names]

        def line(cells: Sequence[str]) -> str:
            padded = (
                cell.rjust(width) if number else cell.ljust(width)
                for cell, width, number in zip(cells, widths, are_numbers, strict=True)
            )
            return f"| {' | '.join(padded)} |"

        rule = " | ".join(
            "-" * (width - 1) + (":" if number else "-") for width, number in zip(widths, are_numbers, strict=True)
        )
        parts = [f"**{self.title}**", "", line(texts[0]), f"| {rule} |", *map(line, texts[1:])]
        return "\n".join([*parts, "", self.note] if self.note else parts)

    def to_json(self) -> dict[str, Any]:
        """Title, rows and note; what is not a number is null."""
        rows = [{name: _plain(cell) for name, cell in row.items()} for row in self.rows]
        return {"title": self.title, "rows": rows, "note": self.note}


def measured_row(name: str, measured: Measurement, reference: Measurement) -> dict[str, Cell]:
    """The usual columns of a competitor; ratios are to the reference, round by round."""
    wall, processor = spread(measured.wall_ms), spread(measured.processor_ms)
    to_reference = ratio(measured, reference)
    return {
        name: measured.name,
        "clock, ms": wall.median,
        "p90": wall.p90,
        "p99": wall.p99,
        f"/ {reference.name}": to_reference.wall,
        "processor, ms": processor.median,
        f"/ {reference.name}, processor": to_reference.processor,
    }


def _text(cell: Cell) -> str:
    """Three significant digits, thousands in full."""
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return ""
    if isinstance(cell, str | int):
        return str(cell)
    if abs(cell) >= 100:
        return f"{cell:.0f}"
    digits = 2 if abs(cell) < 10 else 1
    return f"{cell:.{digits}f}"


def _plain(cell: Cell) -> Cell:
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell
