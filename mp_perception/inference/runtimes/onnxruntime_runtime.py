"""ONNX Runtime: exported models (.onnx) on the CPU, or on a CUDA device where its GPU package is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mp_perception.errors import UserError, one_line
from mp_perception.inference.runtimes.base import NetworkSource, Runtime, RuntimeOutputs, cuda_index
from mp_perception.inference.runtimes.exported_model import (
    INPUT_NAME,
    OUTPUT_NAMES,
    read_model,
    tensor_type,
)

#: Execution providers for CUDA devices, best first.
_CUDA_PROVIDERS = ("TensorrtExecutionProvider", "CUDAExecutionProvider")
CPU_PROVIDER = "CPUExecutionProvider"
_ERRORS_ONLY = 3


class OnnxRuntime(Runtime):
    """See Runtime.  The precision is that of the file; images of any size and number run in one call."""

    name = "onnxruntime"

    def __init__(self, source: NetworkSource, device: str, precision: str, num_threads: int) -> None:
        assert source.weights is not None
        path = source.weights
        self._session: onnxruntime.InferenceSession | None = open_session(path, _providers(device), num_threads)
        try:
            metadata = self._session.get_modelmeta().custom_metadata_map
            inputs, outputs = _types(self._session.get_inputs()), _types(self._session.get_outputs())
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: expected names in UTF-8, found: {error}") from error
        model = read_model(path, metadata, inputs, outputs)
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


def open_session(path: Path, providers: list[Any], num_threads: int) -> onnxruntime.InferenceSession:
    """A session of any ONNX model with the settings of `OnnxRuntime`.

    Raises:
        UserError: the file is not an ONNX model.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    # Waiting threads would spin and occupy cores of the robot: 2.7 times the processor time per image.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # its classes derive from Exception directly
        raise UserError(f"{path}: expected an ONNX model, found: {one_line(error)[:200]}") from error


def _providers(device: str) -> list[Any]:
    """Execution providers to try, best first; raises UserError for an unknown device or one without a provider."""
    index = cuda_index(device)
    if device == "cpu" or (device == "auto" and not has_cuda()):
        return [CPU_PROVIDER]
    if not has_cuda():
        raise UserError(
            f"device '{device}' needs ONNX Runtime's CUDA provider: pip install onnxruntime-gpu in place of onnxruntime"
        )
    available = onnxruntime.get_available_providers()
    on_cuda = [(provider, {"device_id": index or 0}) for provider in _CUDA_PROVIDERS if provider in available]
    return [*on_cuda, CPU_PROVIDER]


def _device_in_use(requested: str, providers: list[str]) -> str:
    """The device of a session; raises UserError if a CUDA device was requested but ONNX Runtime fell back."""
    if providers[0] in _CUDA_PROVIDERS:
        return f"cuda:{cuda_index(requested) or 0}"
    if cuda_index(requested) is not None:
        raise UserError(f"device '{requested}' is not available to ONNX Runtime: expected auto or cpu")
    return "cpu"


def _types(tensors: list[Any]) -> dict[str, str]:
    """name -> tensor_type of tensors as ONNX Runtime describes them: 'tensor(uint8)', ['batch', 192, 640, 3]."""
    elements = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}
    return {
        tensor.name: tensor_type(
            elements.get(tensor.type, tensor.type), (side if isinstance(side, int) else None for side in tensor.shape)
        )
        for tensor in tensors
    }
