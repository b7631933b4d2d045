"""Exported models: the graph, its quantisation, the comparison with PyTorch, and files that are complete or absent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from mp_perception.errors import UserError
from mp_perception.inference.export.difference import Difference, compare_outputs
from mp_perception.inference.export.exporter import _complete_openvino_model, export_model, write_compared
from mp_perception.inference.runtimes.base import NetworkSource
from mp_perception.inference.runtimes.registry import load_runtime
from mp_perception.inference.runtimes.torch_runtime import TorchRuntime
from mp_perception.network.checkpoint import build_network, write_checkpoint
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


def test_a_quantised_graph_is_float_after_its_last_convolutions(exported) -> None:
    model = onnx.load(exported.int8)
    producers = {name: node for node in model.graph.node for name in node.output}
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type in ("Conv", "ConvTranspose")]
    weights = [producers[node.input[1]].input[0] for node in convolutions]
    assert len(weights) > 50
    assert {stored[name].data_type for name in weights} == {onnx.TensorProto.INT8}
    operations = []
    node = producers["depth"]
    while node.op_type != "DequantizeLinear":
        operations.append(node.op_type)
        node = producers[node.input[0]]
    assert "Exp" in operations
    assert "QuantizeLinear" not in operations


def test_a_quantised_model_is_close_to_its_network_but_not_equal(exported) -> None:
    reference = TorchRuntime.around(exported.network)
    loaded = load_runtime("onnxruntime", NetworkSource("mobilenet_v2", exported.int8), "cpu")
    other_sizes = [
        np.random.default_rng(9).integers(0, 256, (*size, 3), dtype=np.uint8) for size in [(96, 64), (128, 32)]
    ]
    for frames in (NOISE, other_sizes):
        mean = compare_outputs(loaded, reference, frames).mean
        std = reference.run(frames[0][None]).class_logits.std()
        assert 0 < mean.logits < 0.1 * std
        assert 0 < mean.depth < 0.05


@pytest.mark.parametrize(("name", "precision"), [("m.onnx", "int8"), ("m.xml", "int8"), ("m.xml", "fp16")])
def test_other_formats_of_the_same_graph(exported, tmp_path, name, precision) -> None:
    """The graph of the fixture, not traced again: quantised, or stored by OpenVINO in half precision."""
    graph = onnx.load(exported.int8 if precision == "int8" else exported.onnx)
    comparisons = write_compared(graph, tmp_path / name, exported.network, precision, NOISE)
    is_onnx = name.endswith(".onnx")
    assert list(comparisons) == (["openvino", "onnxruntime"] if is_onnx else ["openvino"])
    assert all(0 < one.mean.logits < 0.1 for one in comparisons.values())
    assert {path.name for path in tmp_path.iterdir()} == ({"m.onnx"} if is_onnx else {"m.xml", "m.bin"})
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert size < {"int8": 0.4, "fp16": 0.6}[precision] * exported.onnx.stat().st_size


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "decoder", "precision", "name"),
    [
        ("mobilenet_v2", "bilinear", "fp16", "net.onnx"),
        ("mobilenet_v2", "unet", "int8", "net.xml"),
        ("mobilenet_v2", "separate_pyramid", "int8", "net.onnx"),
        ("resnet50", "deconvolution", "fp32", "net.onnx"),
    ],
)
@pytest.mark.extended
def test_every_backbone_decoder_and_precision_can_be_exported(tmp_path, backbone, decoder, precision, name) -> None:
    """The `exported` fixture is the remaining combination: MobileNetV2 with deconvolutions in fp32."""
    torch.manual_seed(1)
    network = MultiTaskNetwork(describe_network(backbone, decoder, input_size=(64, 96)))
    write_checkpoint(tmp_path / "net.safetensors", network)
    comparisons = export_model(tmp_path / "net.safetensors", tmp_path / name, precision, lambda size: NOISE)
    assert comparisons
    assert max(one.mean.logits for one in comparisons.values()) < {"fp32": 1e-4, "fp16": 0.01, "int8": 0.1}[precision]


def test_a_model_beyond_a_bound_is_not_written_and_the_old_one_stays(exported, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("mp_perception.inference.export.difference.MAXIMUM_BOUNDS", {"fp32": Difference(1e-12, 1, 1)})
    out = tmp_path / "model.xml"
    out.write_text("old")
    with pytest.raises(UserError, match="model.xml in openvino: expected maximum differences"):
        write_compared(onnx.load(exported.onnx), out, exported.network, "fp32", NOISE)
    assert [path.name for path in tmp_path.iterdir()] == ["model.xml"]
    assert out.read_text() == "old"


def replace_model(out: Path, text: str, fail: bool = False) -> None:
    with _complete_openvino_model(out) as written:
        written.write_text(text)
        written.with_suffix(".bin").write_text(text)
        if fail:
            raise RuntimeError


def test_both_files_of_an_openvino_model_are_replaced_or_neither(tmp_path) -> None:
    files = [tmp_path / "net.bin", tmp_path / "net.xml"]
    replace_model(files[1], "old")
    with pytest.raises(RuntimeError):
        replace_model(files[1], "half", fail=True)
    assert [path.read_text() for path in files] == ["old", "old"]
    replace_model(files[1], "new")
    assert [path.read_text() for path in files] == ["new", "new"]
    assert sorted(tmp_path.iterdir()) == files


def test_a_graph_does_not_stay_beside_weights_that_cannot_be_replaced(tmp_path) -> None:
    (tmp_path / "net.xml").write_text("old")
    (tmp_path / "net.bin").mkdir()
    with pytest.raises(UserError, match=r"net.bin: cannot be written: Is a directory"):
        replace_model(tmp_path / "net.xml", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["net.bin"]


def test_names_and_checkpoints_that_cannot_be_exported_are_refused(exported, tmp_path) -> None:
    faster_rcnn = tmp_path / "rcnn.safetensors"
    description = replace(
        exported.network.description,
        head="faster_rcnn",
        decoder="none",
        levels=exported.network.description.levels[2:3],
    )
    write_checkpoint(faster_rcnn, build_network(description))
    (tmp_path / "folder.onnx").mkdir()
    before = sorted(tmp_path.iterdir())
    for checkpoint, out, precision, message in (
        (exported.checkpoint, "model.pt", "fp32", "model.pt: expected a name that ends in .onnx or .xml"),
        (exported.checkpoint, "folder.onnx", "fp32", "folder.onnx: expected a file name, found a folder"),
        (exported.checkpoint, "model.onnx", "int4", "unknown precision 'int4': expected one of fp32, fp16, int8"),
        (
            exported.checkpoint,
            "rcnn.safetensors/m.onnx",
            "fp32",
            "m.onnx: cannot be written: .*rcnn.safetensors is not",
        ),
        (exported.onnx, "model.onnx", "fp32", "net.onnx: expected a safetensors checkpoint"),
        (faster_rcnn, "model.onnx", "fp32", "head 'faster_rcnn' cannot be exported, it only runs in PyTorch"),
    ):
        with pytest.raises(UserError, match=message):
            export_model(checkpoint, tmp_path / out, precision, lambda size: NOISE)
        assert sorted(tmp_path.iterdir()) == before
