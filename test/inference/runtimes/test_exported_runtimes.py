"""Exported models in ONNX Runtime and OpenVINO: equal to PyTorch, without PyTorch; errors of one line."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import openvino
import psutil
import pytest
import torch

from mp_perception.errors import UserError
from mp_perception.inference.prediction_settings import PredictionSettings
from mp_perception.inference.predictor import Predictor
from mp_perception.inference.runtimes import openvino_runtime, registry
from mp_perception.inference.runtimes.base import NetworkSource, Runtime
from mp_perception.inference.runtimes.exported_model import DESCRIPTION_KEY, PARAMETERS_KEY, PRECISION_KEY
from mp_perception.inference.runtimes.registry import load_runtime
from mp_perception.inference.runtimes.torch_runtime import count_parameters
from mp_perception.machine import available_cores

#: (runtime, which of the exported models)
RUNTIMES_AND_MODELS = [("onnxruntime", "onnx"), ("openvino", "onnx"), ("openvino", "xml")]


def load(path: Path, runtime: str = "auto", **options: object) -> Runtime:
    return load_runtime(runtime, NetworkSource("mobilenet_v2", path), device="cpu", **options)  # type: ignore[arg-type]


def refused(path: Path, runtime: str = "auto", **options: object) -> str:
    """The error message for a model: one line that contains its path."""
    with pytest.raises(UserError) as caught:
        load(path, runtime, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path.with_suffix("")) in message
    return message


@pytest.mark.parametrize(("runtime", "model"), RUNTIMES_AND_MODELS)
def test_outputs_equal_the_network_at_any_size_and_number_of_images(exported, runtime, model) -> None:
    loaded = load(getattr(exported, model), runtime, precision="fp32")
    # The size of the export, one cell of the coarsest map, wide, high, and the first again.
    for shape in ((1, 64, 96), (3, 64, 96), (1, 32, 32), (2, 32, 352), (1, 288, 64), (1, 64, 96)):
        images = np.random.default_rng(shape[2]).integers(0, 256, (*shape, 3), dtype=np.uint8)
        with torch.inference_mode():
            wanted = exported.network(torch.from_numpy(images).permute(0, 3, 1, 2))
        found = loaded.run(images)
        np.testing.assert_allclose(found.class_logits, wanted.class_logits, atol=1e-3)
        np.testing.assert_allclose(found.box_offsets, wanted.box_offsets, atol=1e-3)
        np.testing.assert_allclose(found.depth, wanted.depth[:, 0], rtol=1e-3)


def test_openvino_compiles_once_for_a_size_and_keeps_some(exported, monkeypatch) -> None:
    compiled: list[tuple[int, ...]] = []
    original = openvino_runtime.compile_for_latency

    def count(network, shape, precision, num_threads):  # type: ignore[no-untyped-def]
        compiled.append(shape[1:3])
        return original(network, shape, precision, num_threads)

    monkeypatch.setattr(openvino_runtime, "compile_for_latency", count)
    loaded = load(exported.onnx, "openvino", num_threads=1)
    for width in (96, 32, 96, 32):
        loaded.run(np.zeros((1, 64, width, 3), np.uint8))
    assert compiled == [(64, 96), (64, 32)]
    for width in range(128, 128 + 32 * openvino_runtime._KEPT_SIZES, 32):
        loaded.run(np.zeros((1, 64, width, 3), np.uint8))
    loaded.run(np.zeros((1, 64, 32, 3), np.uint8))
    assert compiled.count((64, 32)) == 2


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_outputs_are_not_overwritten_by_the_next_run(exported, runtime) -> None:
    loaded = load(exported.onnx, runtime, precision="fp32")
    first = loaded.run(np.full((1, 64, 96, 3), 20, np.uint8))
    copies = [output.copy() for output in first]
    loaded.run(np.full((1, 64, 96, 3), 220, np.uint8))
    for kept, copy in zip(first, copies, strict=True):
        np.testing.assert_array_equal(kept, copy)


@pytest.mark.parametrize(("runtime", "model"), [*RUNTIMES_AND_MODELS, ("onnxruntime", "int8"), ("openvino", "int8")])
def test_the_description_is_in_the_model(exported, runtime, model) -> None:
    loaded = load(getattr(exported, model), runtime)
    assert loaded.description == exported.network.description
    # The metadata of the quantised model lacks it, like those of the first models.
    assert loaded.num_parameters == (None if model == "int8" else count_parameters(exported.network))
    assert (loaded.name, loaded.device) == (runtime, "cpu")
    assert loaded.precision in (("int8",) if model == "int8" else ("fp32", "bf16", "fp16"))


def test_predictions_are_those_of_the_checkpoint(exported) -> None:
    image = np.random.default_rng(9).integers(0, 256, (150, 250, 3), dtype=np.uint8)
    settings = PredictionSettings(score_threshold=0.0, max_detections=5)
    wanted = Predictor.load(weights=exported.checkpoint).predict(image, None, settings)
    for runtime, model in RUNTIMES_AND_MODELS:
        predictor = Predictor.load(weights=getattr(exported, model), runtime=runtime, precision="fp32")
        found = predictor.predict(image, None, settings)
        np.testing.assert_allclose(found.detections.scores, wanted.detections.scores, atol=1e-4)
        np.testing.assert_allclose(found.detections.boxes, wanted.detections.boxes, atol=0.1)
        np.testing.assert_allclose(found.network_depth, wanted.network_depth, rtol=1e-3)


def test_both_files_of_an_openvino_model_are_in_its_hash(exported, tmp_path) -> None:
    for path in (exported.xml, exported.xml.with_suffix(".bin")):
        shutil.copy(path, tmp_path)
    before = Predictor.load(weights=tmp_path / "net.xml").weights_sha256
    weights = bytearray((tmp_path / "net.bin").read_bytes())
    weights[1000] ^= 1
    (tmp_path / "net.bin").write_bytes(weights)
    assert Predictor.load(weights=tmp_path / "net.xml").weights_sha256 != before


@pytest.mark.parametrize(("runtime", "model"), [("onnxruntime", "onnx"), ("auto", "xml")])
def test_torch_is_not_imported(exported, runtime, model) -> None:
    code = """
import sys
import numpy as np
from mp_perception.inference.predictor import Predictor
predictor = Predictor.load(weights=sys.argv[1], runtime=sys.argv[2])
predictor.warm_up()
print(predictor.runtime.name, *sys.modules)
"""
    arguments = [sys.executable, "-c", code, str(getattr(exported, model)), runtime]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    name, *modules = done.stdout.split()
    assert name in modules
    assert {"torch", "torchvision"}.isdisjoint(modules)


def test_a_signal_is_handled_after_openvino_has_ended_its_networks(exported) -> None:
    code = """
import gc, os, signal, sys
from pathlib import Path
from mp_perception.inference.runtimes.base import NetworkSource
from mp_perception.inference.runtimes.registry import load_runtime
signal.signal(signal.SIGTERM, lambda *_: print("handled"))
loaded = [load_runtime("openvino", NetworkSource("mobilenet_v2", Path(sys.argv[1])), "cpu") for _ in range(2)]
while loaded:
    loaded.pop(0).close()
    gc.collect()
os.kill(os.getpid(), signal.SIGTERM)
"""
    arguments = [sys.executable, "-c", code, str(exported.onnx)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr


@pytest.mark.dds
def test_a_node_with_an_exported_model_does_not_import_torch(exported) -> None:
    code = """
import sys
import rclpy
from rclpy.parameter import Parameter
from mp_perception.ros.perception_node import PerceptionNode
rclpy.init()
node = PerceptionNode(parameter_overrides=[Parameter("weights", value=sys.argv[1])])
state = node.trigger_configure()
print(state.name, *sys.modules)
node.destroy_node()
rclpy.shutdown()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(exported.onnx)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    state, *modules = done.stdout.split()
    assert state == "SUCCESS"
    assert "openvino" in modules
    assert {"torch", "torchvision"}.isdisjoint(modules)
    assert "runtime openvino, reason for runtime the best for .onnx files on a CPU" in done.stderr


def test_auto_depends_on_the_file_and_on_the_installed_libraries(exported, monkeypatch) -> None:
    for path, name, reason in (
        (exported.checkpoint, "torch", "the only one for .safetensors files"),
        (exported.onnx, "openvino", "the best for .onnx files on a CPU"),
        (exported.xml, "openvino", "the only one for .xml files"),
    ):
        loaded = load(path)
        assert (loaded.name, loaded.reason) == (name, reason)
    assert load(exported.onnx, "onnxruntime").reason == "as requested"
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(registry, "find_spec", lambda name: None if name == "openvino" else find_spec(name))
    loaded = load(exported.onnx)
    assert loaded.name == "onnxruntime"
    assert loaded.reason == "the best for .onnx files on a CPU; openvino is not installed"
    with pytest.raises(UserError, match="runtime 'openvino' needs the library openvino: pip install openvino"):
        load(exported.xml)


def test_auto_takes_onnx_runtime_if_it_supports_cuda(exported, monkeypatch) -> None:
    monkeypatch.setattr("mp_perception.inference.runtimes.onnxruntime_runtime.has_cuda", lambda: True)
    assert registry._choose(["openvino", "onnxruntime"], ".onnx", "auto") == ("onnxruntime", "it runs on CUDA devices")
    assert registry._choose(["openvino", "onnxruntime"], ".onnx", "cpu")[0] == "openvino"


def test_a_cuda_device_that_is_not_available_is_refused(exported) -> None:
    source = NetworkSource("mobilenet_v2", exported.onnx)
    for runtime, message in (
        ("onnxruntime", "device 'cuda:9'"),
        ("auto", "device 'cuda:9'"),
        ("openvino", "device 'cuda:9' is not supported with OpenVINO: expected auto or cpu"),
    ):
        with pytest.raises(UserError, match=message):
            load_runtime(runtime, source, device="cuda:9")


@pytest.mark.parametrize(
    ("model", "runtime", "precision", "message"),
    [
        ("onnx", "torch", "auto", "expected a .safetensors file for runtime 'torch'"),
        (
            "checkpoint",
            "openvino",
            "auto",
            "expected a .xml or .onnx file for runtime 'openvino' (see mp_perception export)",
        ),
        ("xml", "onnxruntime", "auto", "expected a .onnx file for runtime 'onnxruntime'"),
        ("onnx", "onnxruntime", "bf16", "expected precision auto or fp32, for which this model was exported"),
        ("onnx", "openvino", "int8", "expected a quantised model for precision int8, found fp32"),
        ("int8", "openvino", "fp32", "expected precision auto or int8 for a quantised model, found 'fp32'"),
    ],
)
def test_runtimes_and_precisions_that_do_not_fit_the_file_are_refused(
    exported, model, runtime, precision, message
) -> None:
    assert message in refused(getattr(exported, model), runtime, precision=precision)


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_torch_refuses_precisions_that_it_does_not_support(exported, precision) -> None:
    with pytest.raises(UserError, match=f"precision '{precision}' is not supported by runtime 'torch'"):
        load(exported.checkpoint, precision=precision)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("content", [b"", b"no model", bytes(range(256)) * 40, b"PK\x03\x04" + b"\0" * 500])
def test_a_file_that_is_not_a_model_is_refused(tmp_path, runtime, content) -> None:
    path = tmp_path / "wrong.onnx"
    path.write_bytes(content)
    assert refused(path, runtime).startswith(f"{path}: ")


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("fraction", [0.001, 0.3, 0.9, 0.999])
def test_a_truncated_model_is_refused(exported, tmp_path, runtime, fraction) -> None:
    content = exported.onnx.read_bytes()
    path = tmp_path / "half.onnx"
    path.write_bytes(content[: int(len(content) * fraction)])
    assert refused(path, runtime).startswith(f"{path}: ")


def test_a_damaged_openvino_model_is_refused(exported, tmp_path) -> None:
    path = tmp_path / "net.xml"
    text, weights = exported.xml.read_bytes(), exported.xml.with_suffix(".bin").read_bytes()
    path.write_bytes(text)
    assert "net.bin: missing, expected the weights of net.xml" in refused(path)
    path.with_suffix(".bin").write_bytes(weights[: len(weights) // 2])
    assert refused(path).startswith(f"{path}: ")
    path.with_suffix(".bin").write_bytes(weights)
    assert load(path).name == "openvino"
    for fraction in (0, 0.1, 0.5, 0.99):
        path.write_bytes(text[: int(len(text) * fraction)])
        assert refused(path).startswith(f"{path}: ")


def with_metadata(model: Path, path: Path, metadata: dict[str, str | None]) -> Path:
    """A copy of an ONNX model with entries of its metadata replaced, or removed if None."""
    loaded = onnx.load(model)
    entries = {entry.key: entry.value for entry in loaded.metadata_props} | metadata
    del loaded.metadata_props[:]
    onnx.helper.set_model_props(loaded, {key: value for key, value in entries.items() if value is not None})
    onnx.save(loaded, path)
    return path


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({DESCRIPTION_KEY: None}, "expected a model written by mp_perception export, found another model"),
        ({PARAMETERS_KEY: "many"}, "expected a number of parameters, found 'many'"),
        ({PARAMETERS_KEY: "9" * 5000}, "expected a number of parameters, found '99999999999999999999'"),
        ({PRECISION_KEY: None}, "expected a model written by mp_perception export"),
        ({DESCRIPTION_KEY: "x" * 2_000_000}, "at most 1048576 characters, found 2000000"),
        ({DESCRIPTION_KEY: "[" * 100_000}, "not a usable checkpoint description"),
        ({DESCRIPTION_KEY: '{"format_version": 9}'}, "not a usable checkpoint description"),
        ({PRECISION_KEY: "int4\n" * 100}, "expected precision fp32, fp16, int8, found 'int4"),
    ],
)
def test_hostile_metadata_is_refused(exported, tmp_path, runtime, metadata, message) -> None:
    path = with_metadata(exported.onnx, tmp_path / "hostile.onnx", metadata)
    assert message in refused(path, runtime)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_graph_that_does_not_fit_the_description_is_refused(exported, tmp_path, runtime) -> None:
    other = replace(exported.network.description, class_names=("Car", "Van"))
    path = with_metadata(exported.onnx, tmp_path / "classes.onnx", {DESCRIPTION_KEY: other.to_json()})
    assert "expected output class_logits to be float32 (any, any, 3), found float32 (any, any, 6)" in refused(
        path, runtime
    )
    # As release 0.1 wrote them.
    model = onnx.load(exported.onnx)
    for dimension, side in zip(model.graph.input[0].type.tensor_type.shape.dim[1:3], (64, 96), strict=True):
        dimension.dim_value = side
    onnx.save(model, tmp_path / "size.onnx")
    message = refused(tmp_path / "size.onnx", runtime)
    assert "expected input images to be uint8 (any, any, any, 3), found uint8 (any, 64, 96, 3); models of" in message
    model = onnx.load(exported.onnx)
    del model.graph.output[1]
    onnx.save(model, tmp_path / "two.onnx")
    message = refused(tmp_path / "two.onnx", runtime)
    assert "expected outputs class_logits, box_offsets, depth, found class_logits, depth" in message


def test_a_model_that_openvino_cannot_compile_is_refused(exported, monkeypatch) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("Exception from src/inference/core.cpp:97:\nCheck failed\nno kernel for Conv\n\n")

    monkeypatch.setattr(openvino_runtime, "compile_for_latency", fail)
    assert refused(exported.onnx) == f"{exported.onnx}: OpenVINO cannot run it at 96x64: no kernel for Conv"


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("location", ["../outside.bin", "/dev/zero"])
def test_weights_outside_the_models_folder_are_not_read(exported, tmp_path, runtime, location) -> None:
    model = onnx.load(exported.onnx)
    tensor = max(model.graph.initializer, key=lambda one: len(one.raw_data))
    size = len(tensor.raw_data)
    (tmp_path / "outside.bin").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("length", str(size))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    path = tmp_path / "models" / "reaching.onnx"
    path.parent.mkdir()
    path.write_bytes(model.SerializeToString())
    assert refused(path, runtime).startswith(f"{path}: ")


def test_an_openvino_model_of_another_program_is_refused(tmp_path) -> None:
    pixels = openvino.opset13.parameter([1, 3], np.float32, name="x")
    openvino.save_model(openvino.Model([openvino.opset13.relu(pixels)], [pixels]), tmp_path / "relu.xml")
    assert "expected a model written by mp_perception export" in refused(tmp_path / "relu.xml")


def test_onnx_runtime_uses_the_number_of_threads(exported) -> None:
    process = psutil.Process()
    before = process.num_threads()
    one = load(exported.onnx, "onnxruntime", num_threads=1)
    alone = process.num_threads()
    four = load(exported.onnx, "onnxruntime", num_threads=4)
    assert (alone - before, process.num_threads() - alone) == (0, 3)
    one.close()
    four.close()


@pytest.mark.parametrize("num_threads", [1, 2])
def test_openvino_uses_the_number_of_threads(exported, num_threads) -> None:
    loaded = load(exported.xml, "openvino", num_threads=num_threads)
    compiled = loaded._request_for(64, 96).get_compiled_model()  # type: ignore[attr-defined]
    assert compiled.get_property("INFERENCE_NUM_THREADS") == min(num_threads, available_cores())
    assert compiled.get_property("NUM_STREAMS") == 1


def test_a_closed_runtime_does_not_run(exported) -> None:
    for runtime in ("onnxruntime", "openvino"):
        loaded = load(exported.onnx, runtime)
        loaded.close()
        with pytest.raises(RuntimeError, match="closed"):
            loaded.run(np.zeros((1, 64, 96, 3), np.uint8))
