"""`export_model` writes a checkpoint as a model file after a comparison with PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import openvino
from numpy.typing import NDArray

from mp_perception.errors import UserError, unknown_name
from mp_perception.files import check_can_be_written, complete_file, sha256
from mp_perception.inference.export.difference import Comparison, check_bounds, compare_outputs
from mp_perception.inference.export.onnx_graph import trace_network
from mp_perception.inference.export.quantisation import quantise
from mp_perception.inference.runtimes.base import NetworkSource
from mp_perception.inference.runtimes.exported_model import MODEL_PRECISIONS, ExportedModel
from mp_perception.inference.runtimes.registry import RUNTIMES, load_runtime
from mp_perception.inference.runtimes.torch_runtime import TorchRuntime, count_parameters
from mp_perception.network.checkpoint import read_checkpoint
from mp_perception.network.multitask import MultiTaskNetwork

#: File name suffixes and formats of exported models: ONNX, and OpenVINO with its weights in a .bin file.
SUFFIXES = (".onnx", ".xml")
#: Frames on which a model is compared with its network.
NUM_COMPARED = 10

#: Returns frames for calibration and comparison, (h, w, 3) uint8, h and w multiples of 32, given the input size
#: (height, width) in training.
FrameSource = Callable[[tuple[int, int]], Sequence[NDArray[np.uint8]]]


def export_model(
    checkpoint: Path,
    out: Path,
    precision: str,
    make_frames: FrameSource,
) -> dict[str, Comparison]:
    """Write a checkpoint as a model; returns its comparison with PyTorch in each runtime that reads it.

    Args:
        checkpoint: a .safetensors file.
        out: the model, .onnx or .xml (with its .bin); an older model stays until the new one is complete.
        precision: one of MODEL_PRECISIONS; int8 is calibrated with all frames.
        make_frames: gives at least one frame.

    Raises:
        UserError: a wrong file name or precision, an unreadable checkpoint, a file that cannot be written, or a model
            that differs from PyTorch more than its precision allows.
    """
    if out.suffix not in SUFFIXES:
        raise UserError(f"{out}: expected a name that ends in {' or '.join(SUFFIXES)}")
    if out.is_dir():
        raise UserError(f"{out}: expected a file name, found a folder")
    if precision not in MODEL_PRECISIONS:
        raise unknown_name("precision", precision, MODEL_PRECISIONS)
    check_can_be_written(out)
    network = read_checkpoint(checkpoint)
    if not isinstance(network, MultiTaskNetwork):
        raise UserError(f"{checkpoint}: head '{network.description.head}' cannot be exported, it only runs in PyTorch")
    frames = make_frames(network.description.input_size)
    # OpenVINO stores float16 and computes in the best arithmetic of the processor; in ONNX the types determine it.
    model = trace_network(network, half=precision == "fp16" and out.suffix == ".onnx")
    if precision == "int8":
        model = quantise(model, frames)
    exported = ExportedModel(network.description, precision, sha256(checkpoint), count_parameters(network))
    onnx.helper.set_model_props(model, exported.metadata())
    return write_compared(model, out, network, precision, frames)


def write_compared(
    model: onnx.ModelProto,
    out: Path,
    network: MultiTaskNetwork,
    precision: str,
    frames: Sequence[NDArray[np.uint8]],
) -> dict[str, Comparison]:
    """Write a model of a network with its metadata to `out`; otherwise as `export_model`."""
    complete = complete_file(out) if out.suffix == ".onnx" else _complete_openvino_model(out)
    with complete as written:
        _write(model, written, precision)
        compared = frames[:: -(-len(frames) // NUM_COMPARED)]
        return {
            runtime: _compare(runtime, written, out, network, precision, compared)
            for runtime, entry in RUNTIMES.items()
            if out.suffix in entry.suffixes
        }


def _write(model: onnx.ModelProto, path: Path, precision: str) -> None:
    if path.suffix == ".onnx":
        onnx.save(model, path)
        return
    with TemporaryDirectory() as folder:
        original = Path(folder) / "model.onnx"
        onnx.save(model, original)
        openvino.save_model(openvino.convert_model(original), path, compress_to_fp16=precision != "fp32")


def _compare(
    runtime: str,
    written: Path,
    out: Path,
    network: MultiTaskNetwork,
    precision: str,
    frames: Sequence[NDArray[np.uint8]],
) -> Comparison:
    # OpenVINO's default is the best arithmetic of the processor; the bounds are those of the file's precision.
    arithmetic = "fp32" if runtime == "openvino" and precision != "int8" else precision
    source = NetworkSource(network.description.backbone, written)
    loaded = load_runtime(runtime, source, device="cpu", precision=arithmetic)
    comparison = compare_outputs(loaded, TorchRuntime.around(network), frames)
    loaded.close()
    check_bounds(f"{out} in {runtime}", precision, comparison)
    return comparison


@contextmanager
def _complete_openvino_model(out: Path) -> Iterator[Path]:
    """`complete_file` for an .xml and its .bin; a crash never leaves an .xml beside the .bin of another model."""
    out = out.resolve()
    # OpenVINO derives the name of the .bin from that of the .xml; so does complete_file for the temporary names.
    with complete_file(out) as written, complete_file(out.with_suffix(".bin")):
        yield written
        out.unlink(missing_ok=True)
