"""How far an exported model is from the network it was made of, and how far it may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mp_perception.errors import UserError
from mp_perception.inference.runtimes.base import Runtime
from mp_perception.progress import track


@dataclass(frozen=True)
class Difference:
    """Differences between two runtimes over some frames: absolute of logits and offsets, relative of depth."""

    logits: float
    offsets: float
    depth: float

    def exceeds(self, bound: Difference) -> bool:
        """Whether any of the three is above the bound's, or not a number."""
        pairs = ((self.logits, bound.logits), (self.offsets, bound.offsets), (self.depth, bound.depth))
        return not all(value <= limit for value, limit in pairs)

    def __str__(self) -> str:
        return f"logits {self.logits:.2g}, offsets {self.offsets:.2g}, depth {self.depth:.2g} (relative)"


#: Largest differences that are allowed.  Another order of the same sums differs by some 1e-5, by 2e-4 where a logit is
#: far out; these bounds move a score by 0.00125 at most, a box by 0.01 % of its size, and a depth by 8 cm at 80 m.
LARGEST_ALLOWED = {"fp32": Difference(5e-3, 1e-3, 1e-3)}
#: Mean differences that are allowed.  A model of fewer bits differs by whole logits where nothing is at stake, so its
#: largest difference says little; a broken one differs everywhere.  Sound ones lie at a third of these bounds.
MEAN_ALLOWED = {"fp16": Difference(0.04, 0.02, 0.01), "int8": Difference(0.6, 0.3, 0.15)}


def measure_difference(
    runtime: Runtime, reference: Runtime, frames: Sequence[NDArray[np.uint8]]
) -> tuple[Difference, Difference]:
    """(largest, mean) difference of a runtime's outputs from the reference's.

    frames: network inputs (h, w, 3), uint8; at least one.
    """
    largest: NDArray[np.float64] = np.zeros(3)
    mean: NDArray[np.float64] = np.zeros(3)
    for frame in track(frames, f"compare {runtime.name}"):
        found, wanted = runtime.run(frame[None]), reference.run(frame[None])
        differences = [np.abs(a - b) for a, b in zip(found, wanted, strict=True)]
        differences[2] /= np.maximum(np.abs(wanted.depth), np.finfo(np.float32).tiny)
        # A NaN stays one: np.maximum hands it on, and so does the mean.
        largest = np.maximum(largest, [difference.max() for difference in differences])
        mean += [difference.mean(dtype=np.float64) / len(frames) for difference in differences]
    return Difference(*map(float, largest)), Difference(*map(float, mean))


def check_difference(name: str, precision: str, largest: Difference, mean: Difference) -> None:
    """Raises UserError with one line if a model of a precision is further from its network than it may be.

    name: of model and runtime, for the message.
    """
    for kind, found, allowed in (("largest", largest, LARGEST_ALLOWED), ("mean", mean, MEAN_ALLOWED)):
        if precision in allowed and found.exceeds(allowed[precision]):
            raise UserError(
                f"{name}: expected {kind} differences from PyTorch of at most {allowed[precision]}, found {found}"
            )
