"""PyTorch's own ways to run our network, and the machine's matrix product, as functions to time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch

from mp_perception.benchmark.engines import noise
from mp_perception.network.checkpoint import read_checkpoint

#: Side of the square matrices: large enough for full speed, small enough for a cache.
MATRIX_SIDE = 1024
#: Operations of one product, a multiply-add counted as two.
MATRIX_FLOPS = 2 * MATRIX_SIDE**3

#: How PyTorch runs a network.
Way = Literal["eager", "channels-last", "compile"]


def run_torch(weights: Path, num_threads: int, way: Way) -> Callable[[], object]:
    """A checkpoint in PyTorch on one image of noise.

    way: "eager" is PyTorch as it comes; "channels-last" the layout of the runtime `torch`; "compile" torch.compile,
    which needs a C++ compiler.
    """
    torch.set_num_threads(num_threads)
    network = read_checkpoint(weights)
    pixels = torch.from_numpy(noise((1, *network.description.input_size, 3))).permute(0, 3, 1, 2)
    if way == "eager":
        pixels = pixels.contiguous()
    else:
        network = network.to(memory_format=torch.channels_last)
    forward = torch.compile(network) if way == "compile" else network

    def run() -> None:
        with torch.inference_mode():
            forward(pixels)

    run()
    return run


def multiply_matrices(num_threads: int) -> Callable[[], object]:
    """One product of two square float32 matrices of MATRIX_SIDE."""
    torch.set_num_threads(num_threads)
    left, right = torch.randn(2, MATRIX_SIDE, MATRIX_SIDE)
    out = torch.empty(MATRIX_SIDE, MATRIX_SIDE)
    return lambda: torch.mm(left, right, out=out)
