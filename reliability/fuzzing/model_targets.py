"""Files that describe or hold a network, and training configurations."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path

import openvino

from mp_perception.files import share_folder
from mp_perception.inference.runtimes.base import NetworkSource
from mp_perception.inference.runtimes.onnxruntime_runtime import OnnxRuntime
from mp_perception.inference.runtimes.openvino_runtime import OpenVinoRuntime
from mp_perception.model.checkpoint_description import CheckpointDescription
from mp_perception.network.checkpoint import read_checkpoint, write_checkpoint
from mp_perception.network.multitask import MultiTaskNetwork, describe_network
from mp_perception.training.configuration import read_configuration
from reliability.fuzzing.target import fuzz_bytes, fuzz_file
from reliability.small_network import small_network


@cache
def _checkpoint() -> tuple[bytes, int]:
    """The header of the checkpoint of an untrained network, and how many bytes of tensors follow it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.safetensors"
        write_checkpoint(path, MultiTaskNetwork(describe_network("mobilenet_v2", input_size=(64, 96))))
        content = path.read_bytes()
    size = 8 + int.from_bytes(content[:8], "little")
    return content[:size], len(content) - size


@cache
def _openvino_model() -> tuple[bytes, bytes]:
    """The small network as .xml and .bin."""
    with tempfile.TemporaryDirectory() as folder:
        onnx_path, path = Path(folder) / "model.onnx", Path(folder) / "model.xml"
        onnx_path.write_bytes(small_network())
        openvino.save_model(openvino.convert_model(onnx_path), path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()


@fuzz_bytes(lambda: [json.loads(_checkpoint()[0][8:])["__metadata__"]["mp_perception"].encode()])
def description(data: bytes) -> None:
    """The description in a checkpoint, as JSON."""
    CheckpointDescription.from_json(data.decode("utf-8", "replace"), "description")


@fuzz_file("checkpoint.safetensors", lambda: [_checkpoint()[0]], max_megabytes=1024)
def checkpoint(path: Path) -> None:
    """The header of a safetensors file; its tensors are zeros, as many bytes as those of the seed."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + _checkpoint()[1])
    read_checkpoint(path)


@fuzz_file("model.onnx", lambda: [small_network()], max_megabytes=512)
def onnx_model(path: Path) -> None:
    """An exported model for ONNX Runtime."""
    OnnxRuntime(NetworkSource("mobilenet_v2", path), "cpu", "auto", 1).close()


@fuzz_file("model.xml", lambda: [_openvino_model()[0]], max_megabytes=512)
def openvino_model(path: Path) -> None:
    """The .xml; its .bin is that of the seed."""
    path.with_suffix(".bin").write_bytes(_openvino_model()[1])
    OpenVinoRuntime(NetworkSource("mobilenet_v2", path), "cpu", "auto", 1).close()


@fuzz_file(
    "recipe.yaml", lambda: [file.read_bytes() for file in sorted((share_folder() / "config/train").glob("*.yaml"))]
)
def configuration(path: Path) -> None:
    """A training configuration."""
    read_configuration(path)
