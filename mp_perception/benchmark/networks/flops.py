"""Floating point operations of a network: what a machine that did nothing else would have to do."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def count_flops(module: nn.Module, *inputs: Tensor) -> dict[str, int]:
    """Operations of one forward pass in convolutions and matrix products; a multiply-add counts as two.

    Returns the sum under "", and that of each child of the module under its name.  What passes over single values
    (normalisation, activations, upsampling) is not counted, as is usual.
    """
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        module(*inputs)
    counts = {path: sum(operations.values()) for path, operations in counter.get_flop_counts().items()}
    found = {"": counts.pop("Global", 0)}
    for path, operations in counts.items():
        names = path.split(".")
        parents = [".".join(names[:depth]) for depth in range(2, len(names))]
        # A list of modules is never called itself: its members count for it, and members of what was called do not.
        if len(names) > 1 and not any(parent in counts for parent in parents):
            found[names[1]] = found.get(names[1], 0) + operations
    return found


def count_gflop(network: nn.Module, input_size: tuple[int, int]) -> dict[str, float]:
    """The same in 10^9 operations, for one image of (height, width), of a network that takes (B, 3, H, W)."""
    found = count_flops(network.eval(), torch.zeros(1, 3, *input_size))
    return {name: operations / 1e9 for name, operations in found.items()}
