"""What a runtime is: something that runs a network on a batch of images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mp_perception.model.checkpoint_description import CheckpointDescription


class RuntimeOutputs(NamedTuple):
    """Raw outputs for B images, float32; equal for all runtimes within a stated bound.

    class_logits: (B, N, 1 + classes), logit 0 the background.  box_offsets: (B, N, 4).
    depth: (B, h, w) metres at half the input's size.
    """

    class_logits: NDArray[np.float32]
    box_offsets: NDArray[np.float32]
    depth: NDArray[np.float32]


@dataclass(frozen=True)
class NetworkSource:
    """Which network to run: a weights file, or a backbone without trained weights.

    weights: the file, or None for an untrained network of `backbone`.
    input_size: (height, width) instead of the checkpoint's own, or None.
    """

    backbone: str
    weights: Path | None
    input_size: tuple[int, int] | None


class Runtime(ABC):
    """A loaded network.

    name, device, precision: what was taken, for logs and diagnostics.  reason: why this runtime, in a few words.
    description: the network's.  num_parameters: of its backbone and its depth branch, which is what the paper counts;
    None if that is not known.
    """

    name: str
    device: str
    precision: str
    reason: str = "as asked"
    description: CheckpointDescription
    num_parameters: int | None = None

    @abstractmethod
    def __init__(self, source: NetworkSource, device: str, precision: str, num_threads: int) -> None:
        """Load the network; raises UserError for a file, device or precision that cannot be had."""

    @abstractmethod
    def run(self, images: NDArray[np.uint8]) -> RuntimeOutputs:
        """Pixels (B, h, w, 3), RGB, of the description's input size -> raw outputs, the caller's own."""

    def __str__(self) -> str:
        return f"{self.name} on {self.device}, {self.precision} ({self.reason})"

    @abstractmethod
    def close(self) -> None:
        """Give the network's memory back; the runtime cannot run again."""
