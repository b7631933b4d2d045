"""What is worth a look, as data: charts that the sections give and `plots` draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mp_perception.benchmark.tables import Table


@dataclass(frozen=True)
class Bars:
    """Horizontal bars, one below the other; each is made of the same parts, end to end.

    labels: of the bars, first at the top.  parts: name -> one value per bar; one part needs no legend.
    strong: numbers of the bars that the eye shall find.
    """

    title: str
    unit: str
    labels: Sequence[str]
    parts: Mapping[str, Sequence[float]]
    strong: Sequence[int] = ()


@dataclass(frozen=True)
class Lines:
    """One line per name through (x, y)."""

    title: str
    x_label: str
    y_label: str
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]


@dataclass(frozen=True)
class SectionResult:
    """What a section found."""

    tables: Sequence[Table]
    charts: Sequence[Bars | Lines] = field(default_factory=list)
