"""Networks as model files for the engines: ours, its branches each with a backbone of its own, peers, single layers."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper, utils
from torch import nn

from mp_perception.benchmark.engines import noise
from mp_perception.errors import UserError
from mp_perception.inference.export.onnx_graph import trace_network
from mp_perception.inference.export.quantisation import quantise
from mp_perception.inference.runtimes.exported_model import OUTPUT_NAMES, ExportedModel, read_metadata
from mp_perception.network.checkpoint import read_checkpoint
from mp_perception.network.multitask import MultiTaskNetwork
from mp_perception.synthetic.render import render
from mp_perception.synthetic.sensors import camera_of_size
from mp_perception.synthetic.streets import random_scene

#: The feature map (channels, height, width) of the single layers, and how many follow each other.
LAYER_MAP, NUM_LAYERS = (64, 48, 160), 8


def export_checkpoint(checkpoint: Path, out: Path) -> Path:
    """A checkpoint as an ONNX model in float32.  Raises UserError for a network that cannot be exported."""
    network = read_checkpoint(checkpoint)
    if not isinstance(network, MultiTaskNetwork):
        raise UserError(f"{checkpoint}: head '{network.description.head}' cannot be exported")
    return export_network(network, out)


def export_network(network: MultiTaskNetwork, out: Path) -> Path:
    """The same for a network in memory."""
    model = trace_network(network, network.description.input_size)
    helper.set_model_props(model, ExportedModel(network.description, "fp32").metadata())
    onnx.save(model, out)
    return out


def quantise_model(exported: Path, out: Path) -> Path:
    """An exported model in eight bits, calibrated on one drawn street: for its speed, not for its accuracy."""
    model = onnx.load(exported)
    description = read_metadata({entry.key: entry.value for entry in model.metadata_props}, exported).description
    height, width = description.input_size
    quantised = quantise(model, [render(random_scene(0), camera_of_size(width, height)).image])
    helper.set_model_props(quantised, ExportedModel(description, "int8").metadata())
    onnx.save(quantised, out)
    return out


def split_model(exported: Path, detection: Path, depth: Path) -> tuple[Path, Path]:
    """Write each branch of an exported model as a model of its own, with all that it needs and nothing else."""
    inputs = [entry.name for entry in onnx.load(exported).graph.input]
    utils.extract_model(exported, detection, inputs, list(OUTPUT_NAMES[:2]))
    utils.extract_model(exported, depth, inputs, list(OUTPUT_NAMES[2:]))
    return detection, depth


def export_peer(network: nn.Module, input_size: tuple[int, int], out: Path) -> Path:
    """A peer that takes 8-bit pixels (1, h, w, 3) as an ONNX model."""
    images = torch.from_numpy(noise((1, *input_size, 3)))
    with warnings.catch_warnings():
        # The exporter that traces: it takes seconds where the newer takes a minute, and knows Faster R-CNN.
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (images,), out, dynamo=False)
    return out


def write_layers(out: Path, depthwise: bool) -> float:
    """NUM_LAYERS 3x3 convolutions, one after the other, as a model; its 10^9 operations."""
    channels, height, width = LAYER_MAP
    per_filter = 1 if depthwise else channels
    weights = torch.randn(channels, per_filter, 3, 3).numpy() / (3 * per_filter**0.5)
    nodes = [helper.make_node("Cast", ["images"], ["map0"], to=TensorProto.FLOAT)]
    nodes += [
        helper.make_node(
            "Conv",
            [f"map{number}", "weights"],
            [f"map{number + 1}"],
            pads=[1, 1, 1, 1],
            group=channels if depthwise else 1,
        )
        for number in range(NUM_LAYERS)
    ]
    _write_model(out, nodes, [1, *LAYER_MAP], weights)
    return 2 * NUM_LAYERS * int(weights.size) * height * width / 1e9


def write_matrix_product(out: Path, side: int) -> None:
    """One product of two square float32 matrices as a model."""
    nodes = [
        helper.make_node("Cast", ["images"], ["left"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["left", "weights"], ["out"]),
    ]
    _write_model(out, nodes, [1, side, side], torch.randn(side, side).numpy())


def _write_model(out: Path, nodes: list[NodeProto], shape: list[int], weights: NDArray[np.float32]) -> None:
    """A model from 8-bit "images" to floats of the same shape, with one tensor of "weights"."""
    graph = helper.make_graph(
        nodes,
        "layers",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(weights, "weights")],
    )
    # The oldest version of the format that has all of it, so that any engine reads the file.
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), out)
