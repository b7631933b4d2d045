"""Tables of results: one form for the terminal, for Markdown documents and for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mp_perception.benchmark.interleaved import Measurement

Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    """Results with a title and a note that explains them.

    rows: column name -> text, number, or None if not available; all rows have the same columns.
    """

    title: str
    rows: Sequence[Mapping[str, Cell]]
    note: str

    def to_markdown(self) -> str:
        """Title, table and note as Markdown with aligned columns."""
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
        parts = [f"**{self.title}**", "", line(texts[0]), f"| {rule} |", *map(line, texts[1:]), "", self.note]
        return "\n".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Title, rows and note; None instead of numbers that are not finite."""
        rows = [{name: cell if _is_available(cell) else None for name, cell in row.items()} for row in self.rows]
        return {"title": self.title, "rows": rows, "note": self.note}


def timing_cells(measured: Measurement, reference: Measurement) -> dict[str, Cell]:
    """The columns of a timed competitor: times, and their ratios to the reference within each round.

    A machine that is slower during a whole round does not change its ratio.
    """
    ratios = measured.wall_ms / reference.wall_ms
    ratio_p10, ratio, ratio_p90 = np.percentile(ratios, (10, 50, 90)).tolist()
    return {
        "wall, ms": float(np.median(measured.wall_ms)),
        "p90": float(np.percentile(measured.wall_ms, 90)),
        f"/ {reference.name}": ratio,
        "ratio p10": ratio_p10,
        "ratio p90": ratio_p90,
        "processor, ms": float(np.median(measured.processor_ms)),
        f"processor / {reference.name}": float(np.median(measured.processor_ms / reference.processor_ms)),
        "memory, MiB": measured.memory_mib,
    }


def _is_available(cell: Cell) -> bool:
    return cell is not None and not (isinstance(cell, float) and not math.isfinite(cell))


def _text(cell: Cell) -> str:
    """Three significant digits; integers and numbers above 100 without a fraction."""
    if cell is None or not _is_available(cell):
        return ""
    if isinstance(cell, str | int):
        return str(cell)
    if abs(cell) >= 100:
        return f"{cell:.0f}"
    return f"{cell:.2f}" if abs(cell) < 10 else f"{cell:.1f}"
