"""The network with which the training for one camera begins: the old one, whose depth is about right already."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import torch
from torch import nn

from mp_perception.errors import UserError
from mp_perception.model.checkpoint_description import CheckpointDescription
from mp_perception.network.checkpoint import Network, build_network
from mp_perception.network.depth_decoders import SEPARATE
from mp_perception.network.multitask import MultiTaskNetwork

#: Fractions of the depth range within which the median depth is taken: at its ends the sigmoid is flat.
_INNER_RANGE = (0.05, 0.95)


def separate_depth(network: Network) -> Network:
    """The same network with depth layers that detection does not read: a copy of the decoder if need be."""
    if not isinstance(network, MultiTaskNetwork) or network.depth_only_layers is not None:
        return network
    separate = build_network(replace(network.description, decoder=SEPARATE + network.description.decoder))
    tensors = network.state_dict()
    separate.load_state_dict(
        {name: tensors[re.sub(r"^decoder\.(depth|detection)\.", "decoder.", name)] for name in separate.state_dict()}
    )
    return separate.eval()


def rescale_depth(network: Network, description: CheckpointDescription, old_median: float, new_median: float) -> None:
    """Give a network a new description, and change its last layer so that it means about the same depth.

    Before, an output x of the last layer is the depth low * (high / low)^sigmoid(x).  With the new range, a x + b shall
    be new_median where x was old_median, and equal small steps from there shall be equal ratios of depth.  A last layer
    without bias only gets the factor.

    description: differs from the network's own in the depth range, the input and the camera.
    old_median, new_median: metres; of the network's depth before, and of the true depth, in the same images.
    Raises UserError if the network's depth has no bounds.
    """
    if not isinstance(network, MultiTaskNetwork) or network.description.depth_bound != "logarithmic":
        raise UserError("expected weights whose depth is bounded (depth_bound: logarithmic), found none")
    old_position, old_slope = _on_sigmoid(network.description.depth_range, old_median)
    new_position, new_slope = _on_sigmoid(description.depth_range, new_median)
    factor = old_slope / new_slope
    last = next(module for module in network.decoder.last.modules() if isinstance(module, nn.Conv2d))
    with torch.no_grad():
        last.weight.mul_(factor)
        if last.bias is not None:
            last.bias.mul_(factor).add_(new_position - factor * old_position)
    network.description = description


def _on_sigmoid(depth_range: tuple[float, float], depth: float) -> tuple[float, float]:
    """x where low * (high / low)^sigmoid(x) is the depth, and the derivative of the depth's logarithm there."""
    low, high = depth_range
    span = math.log(high / low)
    fraction = min(max(math.log(depth / low) / span, _INNER_RANGE[0]), _INNER_RANGE[1])
    return math.log(fraction / (1 - fraction)), span * fraction * (1 - fraction)
