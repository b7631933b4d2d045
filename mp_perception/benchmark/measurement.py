"""Measured times, one value per round, and their percentiles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Percentiles(NamedTuple):
    """10th percentile, median and 90th percentile, in the unit of the values."""

    p10: float
    median: float
    p90: float


@dataclass(frozen=True)
class Measurement:
    """The rounds of one competitor.

    wall_ms, processor_ms: (R,) milliseconds of each round; processor time is the sum over all threads.
    memory_mib: resident memory of the process beyond that of an empty Python process; NaN if not measured.
    """

    name: str
    wall_ms: NDArray[np.float64]
    processor_ms: NDArray[np.float64]
    memory_mib: float

    def scaled(self, name: str, factor: float) -> Measurement:
        """The same rounds with all times multiplied by `factor`."""
        return replace(
            self, name=name, wall_ms=self.wall_ms * factor, processor_ms=self.processor_ms * factor, memory_mib=np.nan
        )


def percentiles(values: NDArray[np.float64]) -> Percentiles:
    """Percentiles of values (R,), R >= 1, interpolated linearly.

    >>> percentiles(np.array([0.0, 10.0, 20.0]))
    Percentiles(p10=2.0, median=10.0, p90=18.0)
    """
    return Percentiles(*(float(value) for value in np.percentile(values, (10, 50, 90))))
