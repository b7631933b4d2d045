"""The last layer after a change of the depth range: the old depth times a factor."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mp_perception.adaptation.initial_weights import rescale_depth, separate_depth
from mp_perception.errors import UserError
from mp_perception.network.multitask import MultiTaskNetwork, describe_network


@pytest.mark.parametrize("decoder", ["pyramid", "unet", "bilinear"])
def test_depth_around_the_median_is_the_old_one_times_a_factor(decoder: str) -> None:
    torch.manual_seed(0)
    old = replace(describe_network("mobilenet_v2", decoder, input_size=(64, 96)), depth_range=(1.0, 160.0))
    network = MultiTaskNetwork(old).eval()
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    with torch.no_grad():
        before = network(images).depth
        median = float(before.median())
        rescale_depth(network, replace(old, depth_range=(0.2, 10.0)), median, 1.5)
        after = network(images).depth
    near = (before / median).log().abs() < 0.1
    assert near.sum() > 20
    torch.testing.assert_close(after[near], before[near] * 1.5 / median, rtol=0.02, atol=0)
    assert network.description.depth_range == (0.2, 10.0)


@pytest.mark.parametrize("decoder", ["deconvolution", "bilinear", "unet", "pyramid"])
def test_separate_depth_computes_the_same_until_it_is_trained(decoder: str) -> None:
    torch.manual_seed(0)
    sources = ("decoder", "decoder", "backbone", "extra")
    old = MultiTaskNetwork(describe_network("mobilenet_v2", decoder, sources=sources, input_size=(64, 96))).eval()
    separate = separate_depth(old)
    assert separate.description.decoder == f"separate_{decoder}"
    assert separate_depth(separate) is separate
    images = torch.randint(0, 256, (1, 3, 64, 96), dtype=torch.uint8)
    with torch.no_grad():
        before = old(images)
        assert all(map(torch.equal, separate(images), before))
        for parameter in separate.depth_only_layers.parameters():
            parameter.add_(0.1)
        after = separate(images)
    assert torch.equal(after.class_logits, before.class_logits)
    assert torch.equal(after.box_offsets, before.box_offsets)
    assert not torch.allclose(after.depth, before.depth)


def test_depth_is_separate_already_if_detection_does_not_read_the_decoder() -> None:
    network = MultiTaskNetwork(describe_network("mobilenet_v2", "pyramid", input_size=(64, 96)))
    assert separate_depth(network) is network
    assert network.depth_only_layers is network.decoder


def test_unbounded_depth_is_refused() -> None:
    description = replace(describe_network("mobilenet_v2", input_size=(64, 96)), depth_bound="none")
    with pytest.raises(UserError, match="depth_bound: logarithmic"):
        rescale_depth(MultiTaskNetwork(description), description, 10.0, 1.0)
