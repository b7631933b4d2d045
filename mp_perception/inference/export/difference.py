"""Differences between an exported model and its network in PyTorch, and their bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mp_perception.errors import UserError
from mp_perception.inference.runtimes.base import Runtime
from mp_perception.progress import track


class Difference(NamedTuple):
    """Differences between two runtimes: absolute for logits and offsets, relative for depth."""

    logits: float
    offsets: float
    depth: float

    def exceeds(self, bound: Difference) -> bool:
        """Whether one of the three is above that of the bound, or NaN."""
        return not all(value <= limit for value, limit in zip(self, bound, strict=True))

    def __str__(self) -> str:
        return f"logits {self.logits:.2g}, offsets {self.offsets:.2g}, depth {self.depth:.2g} (relative)"


#: Bounds of the maximum differences.  Another order of the same sums differs by some 1e-5, by 2e-4 for extreme logits;
#: these bounds change a score by at most 0.00125, a box by 0.01 % of its size, and a depth by 8 cm at 80 m.
MAXIMUM_BOUNDS = {"fp32": Difference(5e-3, 1e-3, 1e-3)}
#: Bounds of the mean differences.  With fewer bits extreme logits differ by whole units without an effect on scores, so
#: a bound of the maximum would be meaningless; good models reach a third of these bounds.
MEAN_BOUNDS = {"fp16": Difference(0.04, 0.02, 0.01), "int8": Difference(0.6, 0.3, 0.15)}


class Comparison(NamedTuple):
    """Maximum and mean difference over all outputs of some frames."""

    maximum: Difference
    mean: Difference


def compare_outputs(runtime: Runtime, reference: Runtime, frames: Sequence[NDArray[np.uint8]]) -> Comparison:
    """The differences of a runtime's outputs from those of the reference.

    frames: network inputs (h, w, 3), uint8; at least one.
    """
    maximum: NDArray[np.float64] = np.zeros(3)
    mean: NDArray[np.float64] = np.zeros(3)
    for frame in track(frames, f"compare {runtime.name}"):
        found, wanted = runtime.run(frame[None]), reference.run(frame[None])
        differences = [np.abs(a - b) for a, b in zip(found, wanted, strict=True)]
        differences[2] /= np.maximum(np.abs(wanted.depth), np.finfo(np.float32).tiny)
        # np.maximum and the mean propagate NaN.
        maximum = np.maximum(maximum, [difference.max() for difference in differences])
        mean += [difference.mean(dtype=np.float64) / len(frames) for difference in differences]
    return Comparison(Difference(*map(float, maximum)), Difference(*map(float, mean)))


def check_bounds(name: str, precision: str, comparison: Comparison) -> None:
    """Raises UserError if a model of this precision exceeds a bound.

    name: of model and runtime, for the message.
    """
    for kind, found, bounds in zip(Comparison._fields, comparison, (MAXIMUM_BOUNDS, MEAN_BOUNDS), strict=True):
        if precision in bounds and found.exceeds(bounds[precision]):
            raise UserError(
                f"{name}: expected {kind} differences from PyTorch of at most {bounds[precision]}, found {found}"
            )
