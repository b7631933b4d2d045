"""Runtimes by name, and which one suits a weights file.

Their modules are imported when chosen, so that an engine that is not used costs nothing.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mp_perception.errors import UserError
from mp_perception.extensions import extension_names, load_extension
from mp_perception.inference.runtimes.base import NetworkSource, Runtime
from mp_perception.machine import spare_cores


@dataclass(frozen=True)
class RuntimeEntry:
    """One runtime: its module and class, the package it needs, and the endings of the weights files it takes."""

    module: str
    class_name: str
    package: str
    suffixes: tuple[str, ...]

    @property
    def is_installed(self) -> bool:
        """Whether its package can be imported."""
        return find_spec(self.package) is not None


_ROOM = "mp_perception.inference.runtimes"
#: Runtimes by name; of those that take a file "auto" takes the first that is installed.
RUNTIMES = {
    "openvino": RuntimeEntry(f"{_ROOM}.openvino_runtime", "OpenVinoRuntime", "openvino", (".xml", ".onnx")),
    "onnxruntime": RuntimeEntry(f"{_ROOM}.onnxruntime_runtime", "OnnxRuntime", "onnxruntime", (".onnx",)),
    "torch": RuntimeEntry(f"{_ROOM}.torch_runtime", "TorchRuntime", "torch", (".safetensors",)),
}

#: Precisions a runtime may offer; "auto" lets it choose.
PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")


def load_runtime(
    name: str, source: NetworkSource, device: str = "auto", precision: str = "auto", num_threads: int = 0
) -> Runtime:
    """The network of `source` in a runtime (one of runtime_names()).

    num_threads: CPU threads; 0 leaves one core to the rest of the robot.
    Raises UserError for an unknown name, a file that the runtime does not take, a package that is not installed, or
    for what the runtime refuses.
    """
    if name not in runtime_names():
        raise UserError(f"unknown runtime '{name}': expected one of {', '.join(runtime_names())}")
    if precision not in PRECISIONS:
        raise UserError(f"unknown precision '{precision}': expected one of {', '.join(PRECISIONS)}")
    extension = load_extension("runtimes", name)
    runtime, reason = (extension, "as asked") if extension else _own_runtime(name, source, device)
    if not isinstance(runtime, type):
        raise UserError(f"extension '{name}': expected a class derived from Runtime, found {runtime!r:.80}")
    loaded: Runtime = runtime(source, device, precision, num_threads or spare_cores())
    loaded.reason = reason
    return loaded


def runtime_names() -> tuple[str, ...]:
    """The names of RUNTIMES, before them "auto", and those of other installed packages, which auto never takes."""
    return ("auto", *RUNTIMES, *extension_names("runtimes"))


def _own_runtime(name: str, source: NetworkSource, device: str) -> tuple[type[Runtime], str]:
    """The class of a runtime of ours that takes the source's file, and why this one."""
    suffix = _suffix(source.weights)
    fitting = [entry for entry, found in RUNTIMES.items() if suffix in found.suffixes]
    chosen, reason = (name, "as asked") if name != "auto" else _choose(fitting, suffix, device)
    if chosen not in fitting:
        wanted = " or ".join(RUNTIMES[chosen].suffixes)
        raise UserError(
            f"{source.weights or 'no weights'}: expected a {wanted} file for runtime '{chosen}' (mp_perception export "
            "makes them)"
        )
    entry = RUNTIMES[chosen]
    if not entry.is_installed:
        raise UserError(f"runtime '{chosen}' needs the package {entry.package}: pip install {entry.package}")
    return getattr(importlib.import_module(entry.module), entry.class_name), reason


def _suffix(weights: Path | None) -> str:
    """The ending that decides the runtime; torch builds untrained networks and explains files of unknown endings."""
    known = {suffix for entry in RUNTIMES.values() for suffix in entry.suffixes}
    return weights.suffix if weights is not None and weights.suffix in known else ".safetensors"


def _choose(fitting: list[str], suffix: str, device: str) -> tuple[str, str]:
    """The best of the runtimes that take a file of this ending, and why."""
    if len(fitting) == 1:
        return fitting[0], f"the only one for {suffix} files"
    if device != "cpu" and RUNTIMES["onnxruntime"].is_installed:
        from mp_perception.inference.runtimes.onnxruntime_runtime import has_cuda

        if device != "auto" or has_cuda():
            return "onnxruntime", "it runs on CUDA devices"
    installed = [name for name in fitting if RUNTIMES[name].is_installed]
    if not installed:
        return fitting[0], f"the best for {suffix} files on a CPU"
    missing = fitting[: fitting.index(installed[0])]
    absent = f"; {', '.join(missing)} is not installed" if missing else ""
    return installed[0], f"the best for {suffix} files on a CPU{absent}"
