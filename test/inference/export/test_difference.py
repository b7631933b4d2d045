"""Differences between runtimes by hand, and their bounds."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch

from mp_perception.errors import UserError
from mp_perception.inference.export.difference import Comparison, Difference, check_bounds, compare_outputs
from mp_perception.inference.runtimes.torch_runtime import TorchRuntime
from mp_perception.network.multitask import MultiTaskNetwork, describe_network

NOISE = [np.random.default_rng(i).integers(0, 256, (64, 96, 3), dtype=np.uint8) for i in range(3)]
ZERO = Difference(0, 0, 0)


def test_difference_of_two_networks_by_hand(network) -> None:
    """Half a logit more for the first of four boxes per cell on the finest level (8 x 12 of 126 cells), else equal."""
    changed = copy.deepcopy(network)
    head = changed.heads[0].classification[-1]
    with torch.no_grad():
        head.bias[0] += 0.5
    runtimes = TorchRuntime.around(changed), TorchRuntime.around(network)
    maximum, mean = compare_outputs(*runtimes, NOISE)
    logits = runtimes[1].run(NOISE[0][None]).class_logits[0]
    assert maximum.logits == pytest.approx(0.5, rel=1e-4)
    assert mean.logits == pytest.approx(0.5 * 8 * 12 / logits.size, rel=1e-3)
    assert (maximum.offsets, maximum.depth, mean.offsets, mean.depth) == (0, 0, 0, 0)


def test_depth_is_compared_as_a_ratio() -> None:
    """2 m everywhere against 2.5 m is 25 %."""
    torch.manual_seed(0)
    description = describe_network("mobilenet_v2", input_size=(64, 96))
    network = MultiTaskNetwork(description).eval()
    other = copy.deepcopy(network)
    low, high = description.depth_range
    for changed, metres in ((network, 2.0), (other, 2.5)):
        sigmoid = math.log(metres / low) / math.log(high / low)
        last = changed.decoder.last
        last.bias = torch.nn.Parameter(torch.tensor([math.log(sigmoid / (1 - sigmoid))]))
        torch.nn.init.zeros_(last.weight)
    maximum, mean = compare_outputs(TorchRuntime.around(other), TorchRuntime.around(network), NOISE[:1])
    assert maximum.depth == pytest.approx(0.25, rel=1e-4)
    assert mean.depth == pytest.approx(0.25, rel=1e-4)


@pytest.mark.parametrize(
    ("precision", "maximum", "mean", "accepted"),
    [
        ("fp32", Difference(9e-4, 9e-4, 9e-4), ZERO, True),
        ("fp32", Difference(0, 2e-3, 0), ZERO, False),
        ("fp32", Difference(0, 0, math.nan), ZERO, False),
        ("fp16", Difference(2, 2, 2), Difference(0.01, 0.01, 0.002), True),
        ("fp16", ZERO, Difference(0, 0.04, 0), False),
        ("int8", Difference(50, 50, 50), Difference(0.2, 0.1, 0.05), True),
        ("int8", ZERO, Difference(0, 0, 0.3), False),
        ("int8", ZERO, Difference(math.nan, 0, 0), False),
    ],
)
def test_bounds(precision, maximum, mean, accepted) -> None:
    if accepted:
        check_bounds("m.onnx", precision, Comparison(maximum, mean))
        return
    with pytest.raises(UserError, match="m.onnx: expected .* differences from PyTorch of at most logits .*, found"):
        check_bounds("m.onnx", precision, Comparison(maximum, mean))
