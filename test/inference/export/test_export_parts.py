"""The parts of an export: the graph, the eight-bit graph, and the measure of how far a model is from its network."""

from __future__ import annotations

import copy
import errno
import math
import os
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from mp_perception.errors import UserError
from mp_perception.inference.export.difference import Difference, check_difference, measure_difference
from mp_perception.inference.export.run import _folder_beside, export_model
from mp_perception.inference.runtimes.base import NetworkSource
from mp_perception.inference.runtimes.registry import load_runtime
from mp_perception.inference.runtimes.torch_runtime import TorchRuntime
from mp_perception.network.checkpoint import build_network, write_checkpoint
from mp_perception.network.depth_decoders import DEPTH_DECODERS
from mp_perception.network.multitask import MultiTaskNetwork, describe_network

NOISE = [np.random.default_rng(i).integers(0, 256, (64, 96, 3), dtype=np.uint8) for i in range(3)]


def test_batch_norm_is_folded_and_no_path_of_this_machine_is_inside(exported) -> None:
    model = onnx.load(exported.onnx)
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    assert model.opset_import[0].version >= 18
    for path in (exported.onnx, exported.int8, exported.xml):
        content = path.read_bytes()
        assert b".py" not in content
        assert b"stack_trace" not in content


def test_a_model_is_no_folder(tmp_path) -> None:
    out = tmp_path / "net.onnx"
    out.mkdir()
    with pytest.raises(UserError, match=r"net.onnx: expected the name of a file, found a folder$"):
        export_model(tmp_path / "net.safetensors", out, "fp32", lambda size: NOISE)


def test_a_disk_that_fails_is_said_in_one_line_and_nothing_is_left(tmp_path) -> None:
    out = tmp_path / "net.onnx"
    with pytest.raises(UserError, match=r"net.onnx: cannot be written: No space left on device$"), _folder_beside(out):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not any(tmp_path.iterdir())


def test_a_quantised_graph_stays_float_after_its_last_convolutions(exported) -> None:
    model = onnx.load(exported.int8)
    makers = {name: node for node in model.graph.node for name in node.output}
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    weights = [makers[node.input[1]].input[0] for node in model.graph.node if node.op_type in ("Conv", "ConvTranspose")]
    assert len(weights) > 50
    assert {stored[name].data_type for name in weights} == {onnx.TensorProto.INT8}
    operations = []
    node = makers["depth"]
    while node.op_type != "DequantizeLinear":
        operations.append(node.op_type)
        node = makers[node.input[0]]
    assert "Exp" in operations
    assert "QuantizeLinear" not in operations


def test_a_quantised_model_is_close_to_its_network_but_not_equal(exported) -> None:
    reference = TorchRuntime.around(exported.network)
    loaded = load_runtime("onnxruntime", NetworkSource("mobilenet_v2", exported.int8, None), "cpu")
    _, mean = measure_difference(loaded, reference, NOISE)
    spread = reference.run(NOISE[0][None]).class_logits.std()
    assert 0 < mean.logits < 0.1 * spread
    assert 0 < mean.depth < 0.05


def test_difference_of_two_networks_by_hand(exported) -> None:
    """Half a logit more for the first of four boxes per cell on the finest level (8 x 12 of 126 cells), else equal."""
    changed = copy.deepcopy(exported.network)
    head = changed.heads[0].classification[-1]
    with torch.no_grad():
        head.bias[0] += 0.5
    runtimes = TorchRuntime.around(changed), TorchRuntime.around(exported.network)
    largest, mean = measure_difference(*runtimes, NOISE)
    logits = runtimes[1].run(NOISE[0][None]).class_logits[0]
    assert largest.logits == pytest.approx(0.5, rel=1e-4)
    assert mean.logits == pytest.approx(0.5 * 8 * 12 / logits.size, rel=1e-3)
    assert (largest.offsets, largest.depth, mean.offsets, mean.depth) == (0, 0, 0, 0)


def test_depth_is_compared_in_ratios() -> None:
    """A raw depth of ln(1.25) less, unbounded: 1 m against 0.8 m is 25 %."""
    torch.manual_seed(0)
    description = describe_network("mobilenet_v2", input_size=(64, 96))
    network = MultiTaskNetwork(description).eval()
    other = copy.deepcopy(network)
    low, high = description.depth_range
    for changed, metres in ((network, 2.0), (other, 2.5)):
        share = math.log(metres / low) / math.log(high / low)
        last = changed.decoder.last
        last.bias = torch.nn.Parameter(torch.tensor([math.log(share / (1 - share))]))
        torch.nn.init.zeros_(last.weight)
    largest, mean = measure_difference(TorchRuntime.around(other), TorchRuntime.around(network), NOISE[:1])
    assert largest.depth == pytest.approx(0.25, rel=1e-4)
    assert mean.depth == pytest.approx(0.25, rel=1e-4)


ZERO = Difference(0, 0, 0)


@pytest.mark.parametrize(
    ("precision", "largest", "mean", "accepted"),
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
def test_bounds(precision, largest, mean, accepted) -> None:
    if accepted:
        check_difference("m.onnx", precision, largest, mean)
        return
    with pytest.raises(UserError, match="m.onnx: expected .* differences from PyTorch of at most logits .*, found"):
        check_difference("m.onnx", precision, largest, mean)


def test_a_model_beyond_the_bound_is_not_written_and_the_old_one_stays(exported, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("mp_perception.inference.export.difference.LARGEST_ALLOWED", {"fp32": Difference(1e-12, 1, 1)})
    out = tmp_path / "model.xml"
    out.write_text("old")
    with pytest.raises(UserError, match="model.xml in openvino: expected largest differences"):
        export_model(exported.checkpoint, out, "fp32", lambda size: NOISE)
    assert [path.name for path in tmp_path.iterdir()] == ["model.xml"]
    assert out.read_text() == "old"


def test_names_and_checkpoints_that_cannot_be_exported_are_refused(exported, tmp_path) -> None:
    faster_rcnn = tmp_path / "rcnn.safetensors"
    description = replace(
        exported.network.description,
        head="faster_rcnn",
        decoder="none",
        levels=exported.network.description.levels[2:3],
    )
    write_checkpoint(faster_rcnn, build_network(description))
    for checkpoint, out, precision, message in (
        (exported.checkpoint, "model.pt", "fp32", "model.pt: expected a name that ends in .onnx or .xml"),
        (exported.checkpoint, "model.onnx", "int4", "unknown precision 'int4': expected one of fp32, fp16, int8"),
        (exported.onnx, "model.onnx", "fp32", "net.onnx: expected a safetensors checkpoint"),
        (faster_rcnn, "model.onnx", "fp32", "head 'faster_rcnn' cannot be exported, it only runs in PyTorch"),
        (exported.checkpoint, "no/model.onnx", "fp32", "no/model.onnx: cannot be written: No such file"),
    ):
        with pytest.raises(UserError, match=message):
            export_model(checkpoint, tmp_path / out, precision, lambda size: NOISE)
        assert [path.name for path in tmp_path.iterdir()] == ["rcnn.safetensors"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("decoder", "precision", "suffix"),
    [
        *((name, "fp32", ".onnx") for name in sorted(DEPTH_DECODERS)),
        *((name, "int8", ".xml") for name in sorted(DEPTH_DECODERS)),
        ("deconvolution", "fp16", ".onnx"),
        ("deconvolution", "fp16", ".xml"),
    ],
)
def test_every_decoder_can_be_exported(tmp_path, decoder, precision, suffix) -> None:
    torch.manual_seed(1)
    network = MultiTaskNetwork(describe_network("mobilenet_v2", decoder, input_size=(64, 96)))
    write_checkpoint(tmp_path / "net.safetensors", network)
    out = tmp_path / f"net{suffix}"
    comparisons = export_model(tmp_path / "net.safetensors", out, precision, lambda size: NOISE)
    assert [one.runtime for one in comparisons] == (["openvino", "onnxruntime"] if suffix == ".onnx" else ["openvino"])
    wanted = {"net.safetensors", out.name} | ({"net.bin"} if suffix == ".xml" else set())
    assert {path.name for path in tmp_path.iterdir()} == wanted


@pytest.mark.slow
def test_the_other_backbone_can_be_exported(tmp_path) -> None:
    torch.manual_seed(1)
    write_checkpoint(tmp_path / "net.safetensors", MultiTaskNetwork(describe_network("resnet50", input_size=(64, 96))))
    comparisons = export_model(tmp_path / "net.safetensors", tmp_path / "net.onnx", "fp32", lambda size: NOISE)
    assert max(one.largest.logits for one in comparisons) < 1e-3
