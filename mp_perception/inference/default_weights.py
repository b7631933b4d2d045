"""The weights that ship with the package for a backbone: a checkpoint, and beside it a model that was exported from it.

The model computes the same (docs/export.md), on a CPU in half the time and a quarter of the memory, without PyTorch;
so it is taken wherever an engine can run it.  The checkpoint is for CUDA devices, other input sizes and PyTorch.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path

from mp_perception.files import share_folder
from mp_perception.inference.runtimes.registry import RUNTIMES

_MODEL_SUFFIX = ".onnx"


@dataclass(frozen=True)
class DefaultWeights:
    """A file, and why this one, in a few words."""

    path: Path
    reason: str


def default_checkpoint(backbone: str) -> Path | None:
    """The checkpoint that ships with the package for a backbone, or None where none does."""
    path = share_folder() / "weights" / f"{backbone}.safetensors"
    return path if path.is_file() else None


def default_weights(
    backbone: str, runtime: str, device: str, input_size: tuple[int, int] | None
) -> DefaultWeights | None:
    """The file that ships for a backbone and suits what is asked of Predictor.load, or None where none ships."""
    checkpoint = default_checkpoint(backbone)
    if checkpoint is None:
        return None
    model = checkpoint.with_suffix(_MODEL_SUFFIX)
    against = _reason_against_model(model, runtime, device, input_size)
    if against is None:
        return DefaultWeights(model, f"default weights {model.name}, exported from {checkpoint.name}")
    return DefaultWeights(checkpoint, f"default weights {checkpoint.name}, because {against}")


def _reason_against_model(model: Path, runtime: str, device: str, input_size: tuple[int, int] | None) -> str | None:
    """Why the exported model is not what is asked for; None if it is."""
    engines = [name for name, entry in RUNTIMES.items() if _MODEL_SUFFIX in entry.suffixes]
    if not model.is_file():
        return f"{model.name} is not there"
    if runtime not in ("auto", *engines):
        return f"runtime '{runtime}' was asked for"
    if input_size is not None:
        return "another input size was asked for"
    if runtime == "auto":
        if not any(RUNTIMES[name].is_installed for name in engines):
            return f"neither {' nor '.join(engines)} is installed"
        if device not in ("auto", "cpu"):
            return f"device '{device}' was asked for"
        if device == "auto" and _torch_has_cuda():
            return "there is a CUDA device"
    return None


def _torch_has_cuda() -> bool:
    """Whether PyTorch would run on a CUDA device; without one it is not even imported."""
    if not _driver_sees_device() or not RUNTIMES["torch"].is_installed:
        return False
    from mp_perception.inference.runtimes.torch_runtime import has_cuda

    return has_cuda()


def _driver_sees_device() -> bool:
    """Whether there is a CUDA driver and a device that it can use."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int()
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
