"""What a timing gave: one entry per round, by the wall clock and by processor time, and what is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Spread(NamedTuple):
    """Median, 90th and 99th percentile, in the unit of the values."""

    median: float
    p90: float
    p99: float


class Ratio(NamedTuple):
    """How many times the reference's time something takes, by the wall clock and by processor time."""

    wall: float
    processor: float


@dataclass(frozen=True)
class Measurement:
    """One competitor's rounds.

    wall_ms, processor_ms: (R,) milliseconds of each round; processor time is the sum over all threads.
    memory_mib: what the process came to hold beyond a bare Python, resident; NaN where it means nothing.
    """

    name: str
    wall_ms: NDArray[np.float64]
    processor_ms: NDArray[np.float64]
    memory_mib: float

    def scaled(self, name: str, factor: float) -> Measurement:
        """As if each round had taken `factor` times as long."""
        return replace(
            self,
            name=name,
            wall_ms=self.wall_ms * factor,
            processor_ms=self.processor_ms * factor,
            memory_mib=np.nan,
        )


def spread(values: NDArray[np.float64]) -> Spread:
    """Percentiles of values (R,), R >= 1, interpolated linearly."""
    return Spread(*(float(value) for value in np.percentile(values, (50, 90, 99))))


def ratio(measured: Measurement, reference: Measurement) -> Ratio:
    """The median over the rounds of a round's ratio: what slows a whole round down cancels out."""
    return Ratio(
        float(np.median(measured.wall_ms / reference.wall_ms)),
        float(np.median(measured.processor_ms / reference.processor_ms)),
    )


def total(name: str, parts: Sequence[Measurement]) -> Measurement:
    """One after the other, round by round."""
    return Measurement(
        name,
        np.sum([part.wall_ms for part in parts], axis=0),
        np.sum([part.processor_ms for part in parts], axis=0),
        np.nan,
    )


def fastest(measurements: Sequence[Measurement]) -> Measurement:
    """The one of least median processor time, which other load on the machine hardly moves."""
    return min(measurements, key=lambda measured: float(np.median(measured.processor_ms)))
