"""Runtimes by name, and the choice of one for a weights file.

The module of a runtime is imported when it is chosen, so that other runtimes cost nothing.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.util import find_spec

from mp_perception.errors import UserError, unknown_name
from mp_perception.extensions import extension_names, load_extension
from mp_perception.inference.runtimes.base import NetworkSource, Runtime
from mp_perception.machine import spare_cores


@dataclass(frozen=True)
class RuntimeEntry:
    """A runtime: its module and class, the library it needs, and the suffixes of the weights files it reads."""

    module: str
    class_name: str
    package: str
    suffixes: tuple[str, ...]

    @property
    def is_installed(self) -> bool:
        """Whether its library can be imported."""
        return find_spec(self.package) is not None


_PACKAGE = "mp_perception.inference.runtimes"
#: Runtimes by name; "auto" chooses the first installed one that reads the file.
RUNTIMES = {
    "openvino": RuntimeEntry(f"{_PACKAGE}.openvino_runtime", "OpenVinoRuntime", "openvino", (".xml", ".onnx")),
    "onnxruntime": RuntimeEntry(f"{_PACKAGE}.onnxruntime_runtime", "OnnxRuntime", "onnxruntime", (".onnx",)),
    "torch": RuntimeEntry(f"{_PACKAGE}.torch_runtime", "TorchRuntime", "torch", (".safetensors",)),
}

#: Precisions of runtimes; "auto" leaves the choice to the runtime.
PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")


def load_runtime(
    name: str, source: NetworkSource, device: str, precision: str = "auto", num_threads: int = 0
) -> Runtime:
    """The network of `source` in a runtime.

    Args:
        name: one of runtime_names().
        source: the network.
        device: auto, cpu, cuda or cuda:N.
        precision: one of PRECISIONS.
        num_threads: CPU threads; 0 for all cores but one.

    Raises:
        UserError: a name is unknown, the runtime does not read the file or is not installed, or loading fails.
    """
    if name not in runtime_names():
        raise unknown_name("runtime", name, runtime_names())
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    extension = load_extension("runtimes", name)
    runtime, reason = (extension, "as requested") if extension else _own_runtime(name, source, device)
    if not isinstance(runtime, type):
        raise UserError(f"extension '{name}': expected a class derived from Runtime, found {runtime!r:.80}")
    loaded: Runtime = runtime(source, device, precision, num_threads or spare_cores())
    loaded.reason = reason
    return loaded


def runtime_names() -> tuple[str, ...]:
    """ "auto", the names of RUNTIMES, and those of other installed packages, which "auto" does not choose."""
    return ("auto", *RUNTIMES, *extension_names("runtimes"))


def _own_runtime(name: str, source: NetworkSource, device: str) -> tuple[type[Runtime], str]:
    """The class of one of RUNTIMES that reads the file of the source, and the reason for the choice."""
    suffix = source.weights.suffix if source.weights is not None else ".safetensors"
    # PyTorch builds untrained networks, and reports files of unknown types.
    fitting = [runtime for runtime, entry in RUNTIMES.items() if suffix in entry.suffixes] or ["torch"]
    chosen, reason = (name, "as requested") if name != "auto" else _choose(fitting, suffix, device)
    entry = RUNTIMES[chosen]
    if chosen not in fitting:
        raise UserError(
            f"{source.weights or 'no weights'}: expected a {' or '.join(entry.suffixes)} file for runtime '{chosen}' "
            "(see mp_perception export)"
        )
    if not entry.is_installed:
        raise UserError(f"runtime '{chosen}' needs the library {entry.package}: pip install {entry.package}")
    return getattr(importlib.import_module(entry.module), entry.class_name), reason


def _choose(fitting: list[str], suffix: str, device: str) -> tuple[str, str]:
    """The best of the runtimes that read files with this suffix, and the reason."""
    if len(fitting) == 1:
        return fitting[0], f"the only one for {suffix} files"
    if device != "cpu" and RUNTIMES["onnxruntime"].is_installed:
        from mp_perception.inference.runtimes.onnxruntime_runtime import has_cuda

        if device != "auto" or has_cuda():
            return "onnxruntime", "it runs on CUDA devices"
    chosen = next((name for name in fitting if RUNTIMES[name].is_installed), fitting[0])
    better = fitting[: fitting.index(chosen)]
    absent = f"; {', '.join(better)} is not installed" if better else ""
    return chosen, f"the best for {suffix} files on a CPU{absent}"
