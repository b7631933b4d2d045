"""Checkpoints: one safetensors file that holds a network's tensors and, in its metadata, its description.

The file is sufficient to build the network, and nothing in it is ever executed.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from mp_perception.errors import UserError, one_line
from mp_perception.files import write_atomically
from mp_perception.model.checkpoint_description import CheckpointDescription
from mp_perception.network.faster_rcnn import FASTER_RCNN, FasterRcnnNetwork
from mp_perception.network.multitask import MultiTaskNetwork

#: Metadata entry that holds the description.
METADATA_KEY = "mp_perception"
Network = MultiTaskNetwork | FasterRcnnNetwork
_PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def build_network(description: CheckpointDescription) -> Network:
    """The network of a description, with random weights.  Raises UserError for names or levels that do not exist."""
    return (FasterRcnnNetwork if description.head == FASTER_RCNN else MultiTaskNetwork)(description)


def write_checkpoint(path: Path, network: Network, dtype: torch.dtype = torch.float32) -> None:
    """Write a network to `path`; an old file stays until the new one is complete.

    dtype: of the floating-point tensors in the file (float16 halves its size); integer tensors keep theirs, and so do
    those with a value that is out of its range, such as a variance of the first feature map.
    Raises UserError if a tensor is not finite or the file cannot be written.
    """
    _check_finite(path, network)
    tensors = {name: _converted(value, dtype).contiguous().cpu() for name, value in network.state_dict().items()}
    write_atomically(path, save(tensors, metadata={METADATA_KEY: network.description.to_json()}))


def _converted(value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    converted = value.to(dtype) if value.is_floating_point() else value
    return converted if converted.isfinite().all() else value


def read_description(path: Path) -> CheckpointDescription:
    """The description in a checkpoint, without its tensors.

    Raises UserError for a missing, truncated, pickled or foreign file.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if start.startswith(_PICKLE_STARTS):
            raise UserError(
                f"{path}: expected a safetensors checkpoint, found a pickle (.pt, .pth), which could run code"
            )
        with safe_open(path, framework="pt") as opened:
            metadata = opened.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: expected a safetensors checkpoint, found: {one_line(error)}") from error
    if METADATA_KEY not in metadata:
        raise UserError(f"{path}: expected a checkpoint of mp_perception, found a safetensors file of something else")
    return CheckpointDescription.from_json(metadata[METADATA_KEY], str(path))


def read_checkpoint(path: Path) -> Network:
    """The network in a checkpoint, float32, in evaluation mode.

    Raises UserError for a file that `read_description` refuses or whose tensors do not fit or are not finite.
    """
    network = build_network(read_description(path))
    wanted = network.state_dict()
    with safe_open(path, framework="pt") as file:
        shapes = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        for name, value in wanted.items():
            if shapes.get(name) != list(value.shape):
                found = shapes.get(name, "nothing")
                raise UserError(f"{path}: expected tensor '{name}' of shape {list(value.shape)}, found {found}")
        unknown = sorted(set(shapes) - set(wanted))
        if unknown:
            raise UserError(f"{path}: expected only tensors of a {network.description.backbone}, found '{unknown[0]}'")
        network.load_state_dict({name: file.get_tensor(name).to(value.dtype) for name, value in wanted.items()})
    _check_finite(path, network)
    return network.eval()


def _check_finite(path: Path, network: Network) -> None:
    for name, value in network.state_dict().items():
        if not value.isfinite().all():
            raise UserError(f"{path}: expected finite weights, found NaN or infinity in '{name}'")
