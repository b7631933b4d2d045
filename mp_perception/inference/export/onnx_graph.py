"""The network as an ONNX graph from 8-bit pixels to the outputs of RuntimeOutputs.

Normalisation and the conversion of depth to metres are part of the graph.  Softmax, best class and box decoding are
not: NumPy computes them for the few boxes above the threshold, in less time than the graph (docs/export.md).
"""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import onnx
import torch
from onnxscript.optimizer import remove_unused_nodes
from torch import Tensor, nn

from mp_perception.inference.runtimes.exported_model import INPUT_NAME, OUTPUT_NAMES
from mp_perception.model.checkpoint_description import INPUT_SIZE_MULTIPLE
from mp_perception.network.multitask import MultiTaskNetwork


class _PixelsLast(nn.Module):
    """A network with the input and the outputs of a runtime."""

    def __init__(self, network: MultiTaskNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        outputs = self.network(images.permute(0, 3, 1, 2))
        return outputs.class_logits.float(), outputs.box_offsets.float(), outputs.depth.squeeze(1).float()


def trace_network(network: MultiTaskNetwork, half: bool) -> onnx.ModelProto:
    """The graph of a network in evaluation mode, for any number of images and any size of multiples of 32.

    Batch normalisation is folded into the convolutions.

    half: weights and arithmetic in float16; input and outputs keep their types.
    """
    traced = _PixelsLast(copy.deepcopy(network)).eval().cpu()
    if half:
        traced.half()
    # torch.export treats sizes of one as constants, also those of the coarsest maps.
    side = 2 * network.description.levels[-1].stride
    example = torch.zeros((2, side, side + INPUT_SIZE_MULTIPLE, 3), dtype=torch.uint8)
    rows, columns = torch.export.Dim("rows"), torch.export.Dim("columns")
    sizes = {0: torch.export.Dim("batch"), 1: INPUT_SIZE_MULTIPLE * rows, 2: INPUT_SIZE_MULTIPLE * columns}
    with warnings.catch_warnings():
        # Deprecation warnings inside the exporter.
        warnings.simplefilter("ignore")
        program: Any = torch.onnx.export(
            traced,
            (example,),
            dynamo=True,
            verbose=False,
            input_names=[INPUT_NAME],
            output_names=list(OUTPUT_NAMES),
            dynamic_shapes={"images": sizes},
        )
    model: onnx.ModelProto = program.model_proto
    copy_batch_in_reshapes(model)
    _remove_stack_traces(model)
    return model


def copy_batch_in_reshapes(model: onnx.ModelProto) -> None:
    """Make the target of each Reshape a constant: 0 copies the number of images, -1 is what remains.

    The exporter computes it from the shape of the input, which OpenCV, for one, cannot read.
    """
    makers = {node.output[0]: node for node in model.graph.node}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    targets: dict[str, onnx.TensorProto] = {}
    for node in model.graph.node:
        if node.op_type == "Reshape" and node.input[1] in makers:
            batch, *others = makers[node.input[1]].input
            assert makers[batch].op_type == "Shape"
            sides = [int(onnx.numpy_helper.to_array(constants[name]).item()) for name in others]
            target = onnx.numpy_helper.from_array(np.array([0, *sides]), f"target_{'_'.join(map(str, sides))}")
            targets[target.name] = target
            node.input[1] = target.name
            del node.attribute[:]  # allowzero, for which 0 is a size
    model.graph.initializer.extend(targets.values())
    remove_unused_nodes(model)


def _remove_stack_traces(model: onnx.ModelProto) -> None:
    """Remove the exporter's stack traces, which contain paths of this machine."""
    del model.metadata_props[:]
    model.doc_string = model.graph.doc_string = ""
    del model.graph.metadata_props[:]
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    for tensor in model.graph.initializer:
        del tensor.metadata_props[:]
        tensor.doc_string = ""
