"""A small network and its exported models, each made once per test session."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import openvino
import pytest
import torch
from numpy.typing import NDArray

from mp_perception.inference.export.exporter import export_model
from mp_perception.inference.export.quantisation import quantise
from mp_perception.inference.runtimes.exported_model import ExportedModel
from mp_perception.network.checkpoint import read_checkpoint, write_checkpoint
from mp_perception.network.multitask import MultiTaskNetwork, describe_network

INPUT_SIZE = (64, 96)


class Exported(NamedTuple):
    """The checkpoint, its network, and its models."""

    checkpoint: Path
    network: MultiTaskNetwork
    onnx: Path
    xml: Path
    int8: Path


@pytest.fixture(scope="session")
def network() -> MultiTaskNetwork:
    """A random network whose batch normalisation is not the identity, so that an error in its folding would be seen."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = MultiTaskNetwork(describe_network("mobilenet_v2", input_size=INPUT_SIZE))
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.normal_(module.running_mean, std=0.1)
                torch.nn.init.uniform_(module.running_var, 0.5, 2)
                torch.nn.init.uniform_(module.weight, 0.5, 1.5)
                torch.nn.init.normal_(module.bias, std=0.1)
    return network.eval()


def noise_frames(size: tuple[int, int]) -> list[NDArray[np.uint8]]:
    return [np.random.default_rng(i).integers(0, 256, (*size, 3), dtype=np.uint8) for i in range(4)]


@pytest.fixture(scope="session")
def exported(network: MultiTaskNetwork, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("exported")
    checkpoint = folder / "net.safetensors"
    write_checkpoint(checkpoint, network)
    path = folder / "net.onnx"
    export_model(checkpoint, path, "fp32", noise_frames)
    # As export_model does, but without tracing the network again.
    openvino.save_model(openvino.convert_model(path), folder / "net.xml", compress_to_fp16=False)
    quantised = quantise(onnx.load(path), noise_frames(INPUT_SIZE))
    onnx.helper.set_model_props(quantised, ExportedModel(network.description, "int8").metadata())
    onnx.save(quantised, folder / "int8.onnx")
    stored = read_checkpoint(checkpoint)
    assert isinstance(stored, MultiTaskNetwork)
    return Exported(checkpoint, stored, path, folder / "net.xml", folder / "int8.onnx")
