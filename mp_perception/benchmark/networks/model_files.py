"""The model files that are timed: a checkpoint in fp32 and int8, its branches as separate networks, and peers."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from mp_perception.benchmark.workloads import noise
from mp_perception.inference.export.exporter import export_model
from mp_perception.inference.export.quantisation import quantise
from mp_perception.inference.runtimes.exported_model import OUTPUT_NAMES, ExportedModel
from mp_perception.model.checkpoint_description import CheckpointDescription
from mp_perception.network.checkpoint import read_description
from mp_perception.synthetic.render import render
from mp_perception.synthetic.sensors import camera_of_size
from mp_perception.synthetic.streets import random_scene


@dataclass(frozen=True)
class ModelFiles:
    """Models of a checkpoint, written into a folder when they are first used."""

    checkpoint: Path
    folder: Path

    @cached_property
    def description(self) -> CheckpointDescription:
        """The description of the network."""
        return read_description(self.checkpoint)

    @cached_property
    def fp32(self) -> Path:
        """The network as `mp_perception export` writes it.

        Raises:
            UserError: the network cannot be exported.
        """
        path = self.folder / "fp32.onnx"
        export_model(self.checkpoint, path, "fp32", _synthetic_images)
        return path

    @cached_property
    def int8(self) -> Path:
        """The network in eight bits, calibrated on one synthetic scene: for its speed, not for its accuracy."""
        path = self.folder / "int8.onnx"
        model = quantise(onnx.load(self.fp32), _synthetic_images(self.description.input_size))
        onnx.helper.set_model_props(model, ExportedModel(self.description, "int8").metadata())
        onnx.save(model, path)
        return path

    @cached_property
    def detection(self) -> Path:
        """The detection branch with its own copy of the backbone."""
        return self._branch("detection", OUTPUT_NAMES[:2])

    @cached_property
    def depth(self) -> Path:
        """The depth branch with its own copy of the backbone."""
        return self._branch("depth", OUTPUT_NAMES[2:])

    def _branch(self, name: str, outputs: tuple[str, ...]) -> Path:
        path = self.folder / f"{name}.onnx"
        inputs = [entry.name for entry in onnx.load(self.fp32).graph.input]
        onnx.utils.extract_model(self.fp32, path, inputs, list(outputs))
        return path


def export_peer(network: nn.Module, input_size: tuple[int, int], out: Path) -> Path:
    """Write a network that takes 8-bit pixels (1, h, w, 3) as an ONNX model."""
    images = torch.from_numpy(noise((1, *input_size, 3)))
    with warnings.catch_warnings():
        # The older exporter takes seconds where the newer one takes a minute; it warns that it is deprecated.
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (images,), out, dynamo=False)
    return out


def _synthetic_images(size: tuple[int, int]) -> list[NDArray[np.uint8]]:
    height, width = size
    return [render(random_scene(0), camera_of_size(width, height)).image]
