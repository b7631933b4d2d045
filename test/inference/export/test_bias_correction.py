"""Bias correction against the channel means that a session measures on the models."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mp_perception.inference.export import quantisation
from mp_perception.inference.export.quantisation import quantise
from mp_perception.inference.runtimes.exported_model import INPUT_NAME

HEIGHT, WIDTH = 48, 64


def a_model() -> onnx.ModelProto:
    """A convolution, a depthwise, a grouped, two transposed ones (stride 2), and one without a bias; ReLU between."""
    generator = np.random.default_rng(3)
    tensors, nodes = [], []

    def convolution(
        kind: str, source: str, shape: tuple[int, ...], channels: int, bias: bool, **attributes: int
    ) -> str:
        name = f"c{len(nodes)}"
        inputs = [source, f"{name}.weight"]
        # Most weights have one sign, so their rounding errors do not cancel.
        weight = generator.uniform(0.05, 1, shape) * generator.choice([-0.3, 1], shape)
        tensors.append(numpy_helper.from_array(weight.astype(np.float32), inputs[1]))
        if bias:
            inputs.append(f"{name}.bias")
            tensors.append(numpy_helper.from_array(generator.normal(0, 1, channels).astype(np.float32), inputs[2]))
        nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def relu(source: str) -> str:
        nodes.append(helper.make_node("Relu", [source], [f"{source}.relu"], name=f"{source}.relu"))
        return f"{source}.relu"

    nodes.append(helper.make_node("Cast", [INPUT_NAME], ["pixels"], name="cast", to=TensorProto.FLOAT))
    nodes.append(helper.make_node("Transpose", ["pixels"], ["planes"], name="transpose", perm=[0, 3, 1, 2]))
    top = relu(convolution("Conv", "planes", (8, 3, 3, 3), 8, True, pads=[1, 1, 1, 1]))
    top = relu(convolution("Conv", top, (8, 1, 3, 3), 8, True, pads=[1, 1, 1, 1], group=8))
    top = relu(convolution("Conv", top, (12, 4, 1, 1), 12, True, group=2))
    top = relu(convolution("ConvTranspose", top, (12, 5, 4, 4), 5, True, pads=[1, 1, 1, 1], strides=[2, 2]))
    top = relu(convolution("ConvTranspose", top, (5, 4, 4, 4), 4, True, pads=[1, 1, 1, 1], strides=[2, 2]))
    convolution("Conv", top, (4, 4, 1, 1), 4, False)
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.UINT8, [1, HEIGHT, WIDTH, 3])],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, [1, 4, 4 * HEIGHT, 4 * WIDTH])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


def channel_means(model: onnx.ModelProto, name: str, frames: list[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """Means (channels,) of a convolution's output, as a session computes them."""
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    made = next(node.output[0] for node in exposed.graph.node if node.name == name)
    del exposed.graph.output[:]
    exposed.graph.output.append(onnx.ValueInfoProto(name=made))
    session = onnxruntime.InferenceSession(exposed.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.mean([session.run(None, {INPUT_NAME: f[None]})[0].mean(axis=(0, 2, 3)) for f in frames], axis=0)


@pytest.fixture(scope="module")
def frames() -> list[NDArray[np.uint8]]:
    generator = np.random.default_rng(5)
    return [generator.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8) for _ in range(4)]


def test_channels_keep_their_means(frames: list[NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch) -> None:
    model = a_model()
    corrected = quantise(model, frames)
    monkeypatch.setattr(quantisation, "correct_biases", lambda *arguments: None)
    rounded = quantise(model, frames)
    for name in ("c2", "c4", "c6", "c8", "c10"):
        wanted = channel_means(model, name, frames)
        before = np.abs(channel_means(rounded, name, frames) - wanted).mean()
        after = np.abs(channel_means(corrected, name, frames) - wanted).mean()
        assert after < 0.05 * before, name


def test_only_biases_change(frames: list[NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch) -> None:
    corrected = quantise(a_model(), frames)
    monkeypatch.setattr(quantisation, "correct_biases", lambda *arguments: None)
    rounded = quantise(a_model(), frames)
    assert [node.name for node in corrected.graph.node] == [node.name for node in rounded.graph.node]
    before = {tensor.name: numpy_helper.to_array(tensor) for tensor in rounded.graph.initializer}
    after = {tensor.name: numpy_helper.to_array(tensor) for tensor in corrected.graph.initializer}
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed
    assert {before[name].dtype for name in changed} == {np.dtype(np.int32)}


def test_one_pixel_wide_convolution_by_hand() -> None:
    """Weights 1 and 0.6 in steps of 1/64: 0.6 is 38.4 steps and becomes 38, so 0.4/64 is lost per input of 200."""
    weight = numpy_helper.from_array(np.array([[1.0, 0.6, 0.0]], np.float32).reshape(1, 3, 1, 1), "w")
    bias = numpy_helper.from_array(np.array([7.0], np.float32), "b")
    graph = helper.make_graph(
        [
            helper.make_node("Cast", [INPUT_NAME], ["pixels"], name="cast", to=TensorProto.FLOAT),
            helper.make_node("Transpose", ["pixels"], ["planes"], name="transpose", perm=[0, 3, 1, 2]),
            helper.make_node("Conv", ["planes", "w", "b"], ["y"], name="conv"),
        ],
        "network",
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.UINT8, [1, 1, 2, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 1, 2])],
        [weight, bias],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    frame = np.full((1, 2, 3), 200, np.uint8)
    quantised = quantise(model, [frame])
    maker = {node.output[0]: node for node in quantised.graph.node}
    conv = next(node for node in quantised.graph.node if node.name == "conv")
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in quantised.graph.initializer}
    steps, scale = (tensors[name] for name in maker[conv.input[2]].input[:2])
    assert steps * scale == pytest.approx([7.0 + 200 * 0.4 / 64], abs=float(scale.max()))
