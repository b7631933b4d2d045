"""The choice between the files that ship under a name, and that model and checkpoint belong together."""

from __future__ import annotations

import hashlib
import importlib
import re
from pathlib import Path

import onnx
import pytest

from mp_perception.errors import UserError
from mp_perception.files import share_folder
from mp_perception.inference import default_weights as module
from mp_perception.inference.default_weights import (
    DefaultWeights,
    default_checkpoint,
    default_weights,
    find_checkpoint,
    is_shipped_name,
)
from mp_perception.inference.predictor import Predictor
from mp_perception.inference.runtimes import registry
from mp_perception.inference.runtimes.exported_model import CHECKPOINT_KEY, DESCRIPTION_KEY, PRECISION_KEY


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A share folder with a checkpoint and its models, on a machine without CUDA and VNNI."""
    (tmp_path / "weights").mkdir()
    for suffix in (".safetensors", ".onnx", "_int8.onnx"):
        (tmp_path / "weights" / f"mobilenet_v2{suffix}").touch()
    monkeypatch.setattr(module, "share_folder", lambda: tmp_path)
    monkeypatch.setattr(module, "_torch_has_cuda", lambda: False)
    monkeypatch.setattr(module, "processor_flags", frozenset)
    return tmp_path / "weights"


def chosen(runtime: str = "auto", device: str = "auto", precision: str = "auto") -> DefaultWeights:
    found = default_weights("mobilenet_v2", runtime, device, precision)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("runtime", "device", "suffix", "reason"),
    [
        ("auto", "auto", ".onnx", "exported from mobilenet_v2.safetensors"),
        ("auto", "cpu", ".onnx", "exported from mobilenet_v2.safetensors"),
        ("openvino", "auto", ".onnx", "exported from mobilenet_v2.safetensors"),
        ("onnxruntime", "cuda:0", ".onnx", "exported from mobilenet_v2.safetensors"),
        ("torch", "auto", ".safetensors", "because runtime 'torch' was requested"),
        ("auto", "cuda", ".safetensors", "because device 'cuda' was requested"),
    ],
)
def test_the_choice_depends_on_the_request(shipped, runtime, device, suffix, reason) -> None:
    found = chosen(runtime, device)
    assert found.path == shipped / f"mobilenet_v2{suffix}"
    assert found.reason == f"default weights mobilenet_v2{suffix}, {reason}"


@pytest.mark.parametrize(
    ("precision", "flags", "name"),
    [
        ("auto", {"avx512_vnni", "avx512_bf16"}, "mobilenet_v2_int8.onnx"),
        ("auto", {"avx_vnni"}, "mobilenet_v2_int8.onnx"),
        ("auto", {"avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"}, "mobilenet_v2.onnx"),
        ("auto", {"avx2"}, "mobilenet_v2.onnx"),
        ("fp32", {"avx512_vnni"}, "mobilenet_v2.onnx"),
        ("bf16", {"avx512_vnni"}, "mobilenet_v2.onnx"),
        ("int8", {"avx2"}, "mobilenet_v2_int8.onnx"),
    ],
)
def test_the_quantised_model_is_for_processors_where_it_is_faster(shipped, monkeypatch, precision, flags, name) -> None:
    monkeypatch.setattr(module, "processor_flags", lambda: frozenset(flags))
    assert chosen(precision=precision).path == shipped / name
    (shipped / "mobilenet_v2_int8.onnx").unlink()
    assert chosen(precision=precision).path == shipped / "mobilenet_v2.onnx"


def test_the_checkpoint_is_chosen_with_a_cuda_device_or_without_runtimes(shipped, monkeypatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(module, "_torch_has_cuda", lambda: True)
        assert chosen().path.suffix == ".safetensors"
        assert chosen().reason.endswith("because a CUDA device is available")
        assert chosen(device="cpu").path.suffix == ".onnx"
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(registry, "find_spec", lambda name: find_spec(name) if name == "torch" else None)
    assert chosen().path.suffix == ".safetensors"
    assert chosen().reason.endswith("because neither openvino nor onnxruntime is installed")


def test_without_model_or_checkpoint(shipped) -> None:
    (shipped / "mobilenet_v2.onnx").unlink()
    assert chosen().reason == "default weights mobilenet_v2.safetensors, because mobilenet_v2.onnx was not found"
    assert default_weights("resnet50", "auto", "auto", "auto") is None


def test_weights_are_named_by_a_file_or_by_a_name_that_ships(shipped: Path, tmp_path: Path, monkeypatch) -> None:
    """A file in the working folder comes before weights that ship under the same name."""
    real = share_folder() / "weights" / "mobilenet_v2"
    for suffix in (".safetensors", ".onnx"):
        (shipped / f"as_in_a_book{suffix}").symlink_to(real.with_suffix(suffix))
    monkeypatch.chdir(tmp_path)
    assert find_checkpoint(None, Path("as_in_a_book")) == shipped / "as_in_a_book.safetensors"
    predictor = Predictor.load("resnet50", "as_in_a_book", runtime="onnxruntime")
    assert predictor.weights_path == shipped / "as_in_a_book.onnx"
    assert predictor.description.backbone == "mobilenet_v2"
    predictor.close()
    for name in ("unknown", "../weights/as_in_a_book", "as_in_a_book.onnx"):
        assert not is_shipped_name(name)
        with pytest.raises(UserError, match=f"{re.escape(name)}: no such weights file"):
            find_checkpoint(None, Path(name))
    (tmp_path / "as_in_a_book").touch()
    assert find_checkpoint(None, Path("as_in_a_book")) == Path("as_in_a_book")


def test_without_a_cuda_driver_no_device_is_found_and_torch_is_not_asked(monkeypatch) -> None:
    def no_library(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr("ctypes.CDLL", no_library)
    assert not module._torch_has_cuda()


@pytest.mark.parametrize("model", sorted((share_folder() / "weights").glob("*.onnx")), ids=lambda path: path.name)
def test_a_shipped_model_was_exported_from_the_checkpoint_beside_it(model: Path) -> None:
    metadata = {entry.key: entry.value for entry in onnx.load(model).metadata_props}
    is_quantised = model.stem.endswith("_int8")
    checkpoint = model.with_name(model.stem.removesuffix("_int8") + ".safetensors")
    remake = (
        f"remake it (weights/README.md): mp_perception export weights/{model.name} --weights weights/{checkpoint.name}"
    )
    assert metadata[CHECKPOINT_KEY] == hashlib.sha256(checkpoint.read_bytes()).hexdigest(), remake
    assert metadata[PRECISION_KEY] == ("int8" if is_quantised else "fp32")
    assert metadata[DESCRIPTION_KEY] == _description(checkpoint), remake


def _description(checkpoint: Path) -> str:
    from mp_perception.network.checkpoint import read_description

    return read_description(checkpoint).to_json()


def test_every_shipped_checkpoint_has_its_model() -> None:
    folder = share_folder() / "weights"
    assert default_checkpoint("mobilenet_v2") == folder / "mobilenet_v2.safetensors"
    for checkpoint in folder.glob("*.safetensors"):
        command = f"mp_perception export weights/{checkpoint.stem}.onnx --weights weights/{checkpoint.name}"
        assert checkpoint.with_suffix(".onnx").is_file(), f"make it: {command}"


def test_the_reason_names_the_file() -> None:
    predictor = Predictor.load("mobilenet_v2", device="cpu", runtime="onnxruntime", precision="fp32")
    assert predictor.weights_path is not None
    assert predictor.weights_path.name == "mobilenet_v2.onnx"
    assert predictor.runtime.reason == (
        "as requested; default weights mobilenet_v2.onnx, exported from mobilenet_v2.safetensors"
    )
    named = Predictor.load(weights=predictor.weights_path, device="cpu", runtime="onnxruntime")
    assert named.runtime.reason == "as requested"


def test_a_malformed_checkpoint_hash_is_refused(exported, tmp_path) -> None:
    model = onnx.load(exported.onnx)
    kept = {entry.key: entry.value for entry in model.metadata_props}
    assert re.fullmatch("[0-9a-f]{64}", kept[CHECKPOINT_KEY])
    onnx.helper.set_model_props(model, kept | {CHECKPOINT_KEY: "abc"})
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(UserError, match="expected the checkpoint's SHA-256, found 'abc'"):
        Predictor.load(weights=tmp_path / "other.onnx", runtime="onnxruntime")
