"""`export_model`: a checkpoint in, a checked model file out."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import openvino
from numpy.typing import NDArray

from mp_perception.errors import UserError
from mp_perception.inference.export.difference import Difference, check_difference, measure_difference
from mp_perception.inference.export.onnx_graph import trace_network
from mp_perception.inference.export.quantisation import quantise
from mp_perception.inference.runtimes.base import NetworkSource
from mp_perception.inference.runtimes.exported_model import MODEL_PRECISIONS, ExportedModel
from mp_perception.inference.runtimes.registry import RUNTIMES, load_runtime
from mp_perception.inference.runtimes.torch_runtime import TorchRuntime, count_parameters
from mp_perception.network.checkpoint import read_checkpoint
from mp_perception.network.multitask import MultiTaskNetwork

#: Endings of exported models, and so their formats: ONNX, OpenVINO (weights in a .bin beside it).
SUFFIXES = (".onnx", ".xml")
#: Frames on which a model is compared with its network.
NUM_COMPARED = 10

#: Gives the frames to calibrate and compare with, network inputs (h, w, 3), uint8, for an input size (height, width).
FrameSource = Callable[[tuple[int, int]], Sequence[NDArray[np.uint8]]]


@dataclass(frozen=True)
class Comparison:
    """One runtime against PyTorch: largest and mean difference."""

    runtime: str
    largest: Difference
    mean: Difference


def export_model(
    checkpoint: Path,
    out: Path,
    precision: str,
    make_frames: FrameSource,
    input_size: tuple[int, int] | None = None,
) -> list[Comparison]:
    """Write a checkpoint as `out` (.onnx, or .xml with its .bin), after comparing it with PyTorch in every runtime.

    precision: one of MODEL_PRECISIONS; int8 calibrates with all frames.
    input_size: (height, width) instead of the checkpoint's.
    Raises UserError for another ending or precision, for what the checkpoint's reader refuses, for a file that cannot
    be written, and for a model that is further from PyTorch than its precision allows; then an older `out` is as it
    was.
    """
    if out.suffix not in SUFFIXES:
        raise UserError(f"{out}: expected a name that ends in {' or '.join(SUFFIXES)}")
    if out.is_dir():
        raise UserError(f"{out}: expected the name of a file, found a folder")
    if precision not in MODEL_PRECISIONS:
        raise UserError(f"unknown precision '{precision}': expected one of {', '.join(MODEL_PRECISIONS)}")
    network = read_checkpoint(checkpoint)
    checkpoint_sha256 = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    if not isinstance(network, MultiTaskNetwork):
        raise UserError(f"{checkpoint}: head '{network.description.head}' cannot be exported, it only runs in PyTorch")
    if input_size is not None:
        network.description = network.description.with_input_size(*input_size)
    with _folder_beside(out) as folder:
        frames = make_frames(network.description.input_size)
        model = _build_model(network, precision, out.suffix, frames)
        exported = ExportedModel(network.description, precision, checkpoint_sha256, count_parameters(network))
        onnx.helper.set_model_props(model, exported.metadata())
        written = folder / out.name
        _write(model, written, precision)
        compared = frames[:: -(-len(frames) // NUM_COMPARED)]
        comparisons = [
            _compare(runtime, written, out, network, precision, compared)
            for runtime, entry in RUNTIMES.items()
            if out.suffix in entry.suffixes
        ]
        _put_in_place(written, out)
    return comparisons


def _build_model(
    network: MultiTaskNetwork, precision: str, suffix: str, frames: Sequence[NDArray[np.uint8]]
) -> onnx.ModelProto:
    # OpenVINO stores float16 and computes in what the processor does best; in ONNX the types say what is computed.
    half = precision == "fp16" and suffix == ".onnx"
    model = trace_network(network, network.description.input_size, half)
    if precision == "int8":
        model = quantise(model, frames)
    return model


def _write(model: onnx.ModelProto, path: Path, precision: str) -> None:
    if path.suffix == ".onnx":
        onnx.save(model, path)
        return
    original = path.with_suffix(".onnx")
    onnx.save(model, original)
    openvino.save_model(openvino.convert_model(original), path, compress_to_fp16=precision != "fp32")
    original.unlink()


def _compare(
    runtime: str,
    written: Path,
    out: Path,
    network: MultiTaskNetwork,
    precision: str,
    frames: Sequence[NDArray[np.uint8]],
) -> Comparison:
    # OpenVINO computes a model of floats in what the processor does best; here in what the file was made for.
    arithmetic = "fp32" if runtime == "openvino" and precision != "int8" else precision
    source = NetworkSource(network.description.backbone, written, None)
    loaded = load_runtime(runtime, source, device="cpu", precision=arithmetic)
    largest, mean = measure_difference(loaded, TorchRuntime.around(network), frames)
    loaded.close()
    check_difference(f"{out} in {runtime}", precision, largest, mean)
    return Comparison(runtime, largest, mean)


@contextmanager
def _folder_beside(out: Path) -> Iterator[Path]:
    """A new folder on the same disk as `out`, gone afterwards.  Raises UserError if that disk fails in between."""
    folder = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        folder.mkdir()
        yield folder
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _put_in_place(written: Path, out: Path) -> None:
    """Move the new file, or both files, over the old; a crash in between leaves no .xml beside another's .bin."""
    if out.suffix == ".xml":
        out.unlink(missing_ok=True)
        written.with_suffix(".bin").replace(out.with_suffix(".bin"))
    written.replace(out)
