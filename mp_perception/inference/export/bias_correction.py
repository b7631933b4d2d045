"""Bias correction: quantised weights shift the mean of a channel, and its bias compensates for the shift.

The error of a quantised weight is at most half a step, but after a ReLU all inputs have the same sign: the errors do
not cancel in the sum of a convolution.  The expected shift of a channel is the error of its weights times the mean of
each input channel.  Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction"
(2019), section 4.2, with means that are measured on frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import numpy_helper

from mp_perception.inference.runtimes.exported_model import INPUT_NAME
from mp_perception.progress import track


def correct_biases(quantised: onnx.ModelProto, original: onnx.ModelProto, frames: Sequence[NDArray[np.uint8]]) -> None:
    """Change the biases of `quantised` so that its convolutions have the channel means of `original`.

    Convolutions without a bias, or left in float, stay unchanged.  Padding at the border is neglected.

    Args:
        quantised: made from `original` by ONNX Runtime's tool, with the same node names; biases are int32.
        original: the float32 model.
        frames: network inputs (h, w, 3), uint8; at least one.
    """
    convolutions = {node.name: node for node in original.graph.node if node.op_type in ("Conv", "ConvTranspose")}
    means = _channel_means(original, [node.input[0] for node in convolutions.values()], frames)
    weights = {tensor.name: tensor for tensor in original.graph.initializer}
    tensors = {tensor.name: tensor for tensor in quantised.graph.initializer}
    makers = {node.output[0]: node for node in quantised.graph.node}
    for node in quantised.graph.node:
        if node.name not in convolutions or len(node.input) < 3 or not makers.keys() >= set(node.input[1:3]):
            continue
        trained = convolutions[node.name]
        weight, bias = makers[node.input[1]], makers[node.input[2]]
        error = _dequantised(weight, tensors) - numpy_helper.to_array(weights[trained.input[1]])
        shift = _expected_shift(trained, error, means[trained.input[0]])
        steps = numpy_helper.to_array(tensors[bias.input[0]]) - shift / numpy_helper.to_array(tensors[bias.input[1]])
        tensors[bias.input[0]].CopyFrom(numpy_helper.from_array(np.rint(steps).astype(np.int32), bias.input[0]))


def _channel_means(
    model: onnx.ModelProto, names: Iterable[str], frames: Sequence[NDArray[np.uint8]]
) -> Mapping[str, NDArray[np.float64]]:
    """(channels,) mean of each channel of the feature maps with these names."""
    names = list(dict.fromkeys(names))
    averaging = onnx.ModelProto()
    averaging.CopyFrom(model)
    del averaging.graph.output[:]
    for name in names:
        averaging.graph.node.append(onnx.helper.make_node("GlobalAveragePool", [name], [f"{name}/mean"]))
        averaging.graph.output.append(onnx.ValueInfoProto(name=f"{name}/mean"))
    session = onnxruntime.InferenceSession(averaging.SerializeToString(), providers=["CPUExecutionProvider"])
    found = [session.run(None, {INPUT_NAME: frame[None]}) for frame in track(frames, "correct biases")]
    return {
        name: np.mean([maps[i].ravel() for maps in found], axis=0, dtype=np.float64) for i, name in enumerate(names)
    }


def _dequantised(node: onnx.NodeProto, tensors: Mapping[str, onnx.TensorProto]) -> NDArray[np.float64]:
    """The output of a DequantizeLinear of an initializer, with one scale for each index of its axis."""
    steps, scale, zero = (numpy_helper.to_array(tensors[name]).astype(np.float64) for name in node.input)
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
    shape = [-1 if dimension == axis else 1 for dimension in range(steps.ndim)]
    return np.asarray((steps - zero.reshape(shape)) * scale.reshape(shape))


def _expected_shift(
    node: onnx.NodeProto, error: NDArray[np.float64], means: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(channels out,) expected shift of the outputs of a convolution.

    error: of the weights, (out, in / groups, h, w); of a transposed convolution (in, out / groups, h, w).
    means: of the inputs, (channels in,).
    """
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    groups = attributes.get("group", 1)
    by_group = means.reshape(groups, -1)
    summed = error.sum(axis=(2, 3))
    by_output = "goi,gi->go"
    if node.op_type == "ConvTranspose":  # each output pixel receives one in stride x stride taps
        summed /= np.prod(attributes.get("strides", [1, 1]))
        by_output = "gio,gi->go"
    return np.asarray(np.einsum(by_output, summed.reshape(groups, -1, summed.shape[1]), by_group)).ravel()
