"""The weights that ship with the package by name: a checkpoint, and models that were exported from it.

Checkpoint and model give the same results (docs/export.md).  On a CPU the model needs half the time and a quarter of
the memory, and no PyTorch, so it is the default.  The quantised model is for processors that multiply eight bits
faster than bfloat16.  The checkpoint is for CUDA devices and PyTorch.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path

from mp_perception.errors import UserError
from mp_perception.files import share_folder
from mp_perception.inference.runtimes.registry import RUNTIMES
from mp_perception.machine import processor_flags

_MODEL_SUFFIX = ".onnx"


@dataclass(frozen=True)
class DefaultWeights:
    """A file, and the reason for its choice in a few words."""

    path: Path
    reason: str


def default_checkpoint(name: str) -> Path | None:
    """The checkpoint that ships under a name, such as that of a backbone, or None."""
    path = share_folder() / "weights" / f"{name}.safetensors"
    return path if path.is_file() else None


def is_shipped_name(weights: str | Path) -> bool:
    """Whether this is not a file but the name of weights that ship, such as mobilenet_v2_paper."""
    name = str(weights)
    return name.isidentifier() and not Path(name).is_file() and default_checkpoint(name) is not None


def find_checkpoint(backbone: str | None, weights: Path | None) -> Path:
    """The checkpoint that a user names by its file, or that ships under the name of a backbone or another one.

    Raises:
        UserError: the file does not exist, or no weights ship under the name.
    """
    if weights is None or is_shipped_name(weights):
        checkpoint = default_checkpoint(str(weights or backbone))
        if checkpoint is None:
            raise UserError(f"no default weights for {backbone}: expected --weights CHECKPOINT.safetensors")
        return checkpoint
    if not weights.is_file():
        raise UserError(f"{weights}: no such weights file")
    return weights


def default_weights(name: str, runtime: str, device: str, precision: str) -> DefaultWeights | None:
    """The file that ships under a name and suits the arguments of `Predictor.load`, or None if none ships."""
    checkpoint = default_checkpoint(name)
    if checkpoint is None:
        return None
    model = checkpoint.with_suffix(_MODEL_SUFFIX)
    obstacle = _reason_against_model(model, runtime, device)
    if obstacle is not None:
        return DefaultWeights(checkpoint, f"default weights {checkpoint.name}, because {obstacle}")
    origin = f"exported from {checkpoint.name}"
    quantised = model.with_stem(f"{model.stem}_int8")
    if quantised.is_file() and (precision == "int8" or (precision == "auto" and _prefers_int8())):
        model = quantised
        origin += ", as requested" if precision == "int8" else ", as this processor has VNNI and no AMX"
    return DefaultWeights(model, f"default weights {model.name}, {origin}")


def _prefers_int8() -> bool:
    """Whether this processor multiplies eight bits faster than bfloat16, which is as fast with AMX."""
    flags = processor_flags()
    return bool(flags & {"avx512_vnni", "avx_vnni"}) and "amx_bf16" not in flags


def _reason_against_model(model: Path, runtime: str, device: str) -> str | None:
    """Why the exported model does not suit the request; None if it does."""
    runtimes = [name for name, entry in RUNTIMES.items() if _MODEL_SUFFIX in entry.suffixes]
    if not model.is_file():
        return f"{model.name} was not found"
    if runtime not in ("auto", *runtimes):
        return f"runtime '{runtime}' was requested"
    if runtime == "auto":
        if not any(RUNTIMES[name].is_installed for name in runtimes):
            return f"neither {' nor '.join(runtimes)} is installed"
        if device not in ("auto", "cpu"):
            return f"device '{device}' was requested"
        if device == "auto" and _torch_has_cuda():
            return "a CUDA device is available"
    return None


def _torch_has_cuda() -> bool:
    """Whether PyTorch can run on a CUDA device; it is imported only if a CUDA driver sees a device."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value == 0:
        return False
    if not RUNTIMES["torch"].is_installed:
        return False
    from mp_perception.inference.runtimes.torch_runtime import has_cuda

    return has_cuda()
