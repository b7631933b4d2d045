"""The network in PyTorch without the settings of our runtime, and PyTorch's matrix product, as functions to time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from mp_perception.benchmark.workloads import noise
from mp_perception.network.checkpoint import read_checkpoint

#: Side of the square matrices: large enough for full speed, small enough for a cache.
_MATRIX_SIDE = 1024
#: Operations of one product; a multiply-add counts as two.
MATRIX_OPERATIONS = 2 * _MATRIX_SIDE**3


def run_eager(weights: Path, num_threads: int) -> Callable[[], object]:
    """A checkpoint in PyTorch's default settings on one noise image."""
    torch.set_num_threads(num_threads)
    network = read_checkpoint(weights)
    pixels = torch.from_numpy(noise((1, *network.description.input_size, 3))).permute(0, 3, 1, 2).contiguous()

    def run() -> None:
        with torch.inference_mode():
            network(pixels)

    return run


def multiply_matrices(num_threads: int) -> Callable[[], object]:
    """One product of two square float32 matrices, MATRIX_OPERATIONS operations."""
    torch.set_num_threads(num_threads)
    left, right = torch.randn(2, _MATRIX_SIDE, _MATRIX_SIDE)
    out = torch.empty(_MATRIX_SIDE, _MATRIX_SIDE)
    return lambda: torch.mm(left, right, out=out)
