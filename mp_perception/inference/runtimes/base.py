"""The interface of a runtime, which runs a network on a batch of images."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mp_perception.errors import UserError
from mp_perception.model.checkpoint_description import CheckpointDescription


class RuntimeOutputs(NamedTuple):
    """Raw outputs for B images, float32; equal in all runtimes within the bounds of docs/export.md.

    class_logits: (B, N, 1 + classes), logit 0 is the background.  box_offsets: (B, N, 4).
    depth: (B, h, w) metres at half the input's size.
    """

    class_logits: NDArray[np.float32]
    box_offsets: NDArray[np.float32]
    depth: NDArray[np.float32]


@dataclass(frozen=True)
class NetworkSource:
    """The network to run.

    weights: a file, or None for an untrained network with `backbone`.
    """

    backbone: str
    weights: Path | None


class Runtime(ABC):
    """A loaded network.

    name, device, precision: those in use, for logs and diagnostics.
    reason: why this runtime was chosen, in a few words.
    description: of the network.
    num_parameters: of backbone and depth branch, as the paper counts them; None if unknown.
    fixed_input_size: (height, width), if the network runs at this input size only; None for any multiples of 32.
    """

    name: str
    device: str
    precision: str
    reason: str = "as requested"
    description: CheckpointDescription
    num_parameters: int | None = None
    fixed_input_size: tuple[int, int] | None = None

    @abstractmethod
    def __init__(self, source: NetworkSource, device: str, precision: str, num_threads: int) -> None:
        """Load the network.

        Raises:
            UserError: the file is not valid, or the device or precision is not available.
        """

    @abstractmethod
    def run(self, images: NDArray[np.uint8]) -> RuntimeOutputs:
        """Raw outputs of pixels (B, h, w, 3), RGB, h and w multiples of 32; the caller owns the outputs."""

    def __str__(self) -> str:
        return f"{self.name} on {self.device}, {self.precision} ({self.reason})"

    @abstractmethod
    def close(self) -> None:
        """Release the network; the runtime cannot run again."""


def cuda_index(device: str) -> int | None:
    """Number of the device cuda (0) or cuda:N; None for auto and cpu.  Raises UserError for another name."""
    if device in ("auto", "cpu"):
        return None
    if not re.fullmatch(r"cuda(:\d{1,3})?", device):
        raise UserError(f"unknown device '{device}': expected auto, cpu, cuda or cuda:N")
    return int(device.partition(":")[2] or 0)
