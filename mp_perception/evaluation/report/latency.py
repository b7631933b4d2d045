"""How long frames took and what became of them, for the report."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mp_perception.evaluation.report.figure_tables import FigureTable

_NAN = float("nan")


class Latency:
    """The times of frames: 8 bytes per frame and stage.

    stamp_label: what stamps are, as the timeline's axis names it.
    """

    def __init__(self, stamp_label: str = "time, seconds") -> None:
        self.stamp_label = stamp_label
        self._stamps = array("d")
        self._total = array("d")
        self._stages: dict[str, array[float]] = {}

    def __len__(self) -> int:
        return len(self._stamps)

    def add(self, stamp: float, total: float, stages: Mapping[str, float]) -> None:
        """Take a frame.  total: milliseconds from its arrival to its result.  stages: the parts of it, by name."""
        for name in stages:
            if name not in self._stages:
                self._stages[name] = array("d", [_NAN] * len(self))
        for name, values in self._stages.items():
            values.append(stages.get(name, _NAN))
        self._stamps.append(stamp)
        self._total.append(total)

    def merge(self, other: Latency) -> None:
        """Take over the frames of a part."""
        for i, (stamp, total) in enumerate(zip(other._stamps, other._total, strict=True)):
            self.add(stamp, total, {name: values[i] for name, values in other._stages.items()})

    def stamps(self) -> NDArray[np.float64]:
        """(n,) in order."""
        return np.sort(np.frombuffer(self._stamps))

    def total(self) -> NDArray[np.float64]:
        """(n,) milliseconds, in order of the stamps."""
        return np.frombuffer(self._total)[np.argsort(np.frombuffer(self._stamps), kind="stable")]

    def median(self) -> float | None:
        """Of the whole, milliseconds; None without frames."""
        return float(np.median(self.total())) if len(self) else None

    def figures(self) -> dict[str, dict[str, float]]:
        """Of every stage, and of the whole as `total`: median, p90, p99 and max in milliseconds, and frames."""
        figures = {}
        for name, values in {**self._stages, "total": self._total}.items():
            known = np.frombuffer(values)
            known = known[np.isfinite(known)]
            if len(known):
                percentiles = zip(("median", "p90", "p99"), np.percentile(known, [50, 90, 99]).tolist(), strict=True)
                figures[name] = {**dict(percentiles), "max": float(known.max()), "frames": len(known)}
        return figures

    def table(self) -> FigureTable:
        """The figures as a table."""
        rows = [
            (name, str(row["frames"]), *(f"{row[figure]:.2f}" for figure in ("median", "p90", "p99", "max")))
            for name, row in self.figures().items()
        ]
        return FigureTable(
            "Latency, milliseconds",
            ["stage", "frames", "median", "90 % below", "99 % below", "slowest"],
            [rows[:-1], rows[-1:]],
            ["total: from an image's arrival to its result"],
        )


@dataclass(frozen=True)
class FrameCounts:
    """What became of the frames.

    received: all that came.  processed: those that were scored.  dropped: reason -> number of the others.
    """

    received: int
    processed: int
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def num_dropped(self) -> int:
        """All dropped frames, for whatever reason."""
        return sum(self.dropped.values())

    @property
    def unaccounted(self) -> int:
        """Frames that neither were processed nor have a reason why not."""
        return self.received - self.processed - self.num_dropped
