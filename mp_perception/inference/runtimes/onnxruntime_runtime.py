"""ONNX Runtime: exported models (.onnx) on the CPU, or on a CUDA device where its GPU package is installed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mp_perception.errors import UserError
from mp_perception.inference.runtimes.base import NetworkSource, Runtime, RuntimeOutputs
from mp_perception.inference.runtimes.exported_model import (
    INPUT_NAME,
    OUTPUT_NAMES,
    TensorType,
    check_tensors,
    check_wanted_size,
    read_metadata,
)

#: ONNX Runtime's names of the providers that run on a CUDA device, best first.
_CUDA_PROVIDERS = ("TensorrtExecutionProvider", "CUDAExecutionProvider")
_CPU_PROVIDER = "CPUExecutionProvider"
_ERRORS_ONLY = 3


class OnnxRuntime(Runtime):
    """See Runtime.  The precision is the file's own; batches of any size run in one call."""

    name = "onnxruntime"

    def __init__(self, source: NetworkSource, device: str, precision: str, num_threads: int) -> None:
        assert source.weights is not None
        path = source.weights
        self._session: onnxruntime.InferenceSession | None = _open(path, _providers(device), num_threads)
        try:
            metadata = self._session.get_modelmeta().custom_metadata_map
            inputs, outputs = _types(self._session.get_inputs()), _types(self._session.get_outputs())
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: expected names in UTF-8, found: {error}") from error
        model = read_metadata(metadata, path)
        check_tensors(path, model.description, inputs, outputs)
        check_wanted_size(path, model.description, source.input_size)
        if precision not in ("auto", model.precision):
            raise UserError(
                f"{path}: expected precision auto or {model.precision}, for which this model was exported, "
                f"found '{precision}'"
            )
        self.description, self.precision = model.description, model.precision
        self.num_parameters = model.num_parameters
        self.device = _device_in_use(device, self._session.get_providers())

    def run(self, images: NDArray[np.uint8]) -> RuntimeOutputs:
        """See Runtime.run."""
        if self._session is None:
            raise RuntimeError("the runtime is closed")
        return RuntimeOutputs(*self._session.run(OUTPUT_NAMES, {INPUT_NAME: images}))

    def close(self) -> None:
        """See Runtime.close."""
        self._session = None


def has_cuda() -> bool:
    """Whether the installed ONNX Runtime can run on CUDA devices."""
    return any(provider in onnxruntime.get_available_providers() for provider in _CUDA_PROVIDERS)


def _open(path: Path, providers: list[Any], num_threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    # Waiting threads would spin and take cores from the rest of the robot: 2.7 times the processor time per image.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # its classes derive from Exception directly
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: expected an ONNX model, found: {reason[:200]}") from error


def _providers(device: str) -> list[Any]:
    """What ONNX Runtime is to try, best first; raises UserError for a device that it knows nothing of."""
    if device == "cpu":
        return [_CPU_PROVIDER]
    if device != "auto" and not re.fullmatch(r"cuda(:\d{1,3})?", device):
        raise UserError(f"unknown device '{device}': expected auto, cpu, cuda or cuda:N")
    if not has_cuda():
        if device == "auto":
            return [_CPU_PROVIDER]
        raise UserError(
            f"device '{device}' needs ONNX Runtime's CUDA provider: pip install onnxruntime-gpu in place of onnxruntime"
        )
    index = int(device.partition(":")[2] or 0)
    available = onnxruntime.get_available_providers()
    on_cuda = [(provider, {"device_id": index}) for provider in _CUDA_PROVIDERS if provider in available]
    return [*on_cuda, _CPU_PROVIDER]


def _device_in_use(asked: str, providers: list[str]) -> str:
    """Where the session runs; raises UserError if a CUDA device was asked for and ONNX Runtime fell back."""
    if providers[0] in _CUDA_PROVIDERS:
        return f"cuda:{asked.partition(':')[2] or 0}"
    if asked.startswith("cuda"):
        raise UserError(f"device '{asked}' is not there for ONNX Runtime (use device 'auto' or 'cpu')")
    return "cpu"


def _types(tensors: list[Any]) -> list[tuple[str, TensorType]]:
    """(name, type) of ONNX Runtime's description of tensors: 'tensor(uint8)', ['batch', 192, 640, 3]."""
    types = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}
    return [
        (
            tensor.name,
            (
                types.get(tensor.type, tensor.type),
                tuple(side if isinstance(side, int) else None for side in tensor.shape),
            ),
        )
        for tensor in tensors
    ]
