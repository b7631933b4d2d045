"""OpenVINO: exported models (.xml with its .bin, or .onnx) on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from mp_perception.errors import UserError, one_line
from mp_perception.inference.runtimes.base import NetworkSource, Runtime, RuntimeOutputs
from mp_perception.inference.runtimes.exported_model import (
    INPUT_NAME,
    METADATA_KEYS,
    OUTPUT_NAMES,
    read_model,
    tensor_type,
)

#: The only core of the process.  A core's CPU plugin sets a stack for signal handlers and frees it with the core, also
#: while it is in use: with a second core, a signal after the end of both ends the process (OpenVINO 2026.4).
CORE = openvino.Core()

#: Precisions and their names in OpenVINO.
_PRECISIONS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}


#: Networks are kept compiled for so many input sizes; more would occupy memory, and a robot has few cameras.
_KEPT_SIZES = 8


class OpenVinoRuntime(Runtime):
    """See Runtime.  A batch runs image by image; a new input size takes some 0.5 s to compile.

    precision: of a model that is not quantised; "auto" leaves the choice to OpenVINO, which uses bfloat16 if the
    processor supports it.  A quantised model is always int8.
    """

    name = "openvino"
    device = "cpu"

    def __init__(self, source: NetworkSource, device: str, precision: str, num_threads: int) -> None:
        assert source.weights is not None
        path = source.weights
        if device not in ("auto", "cpu"):
            raise UserError(f"device '{device}' is not supported with OpenVINO: expected auto or cpu")
        network = read_network(path)
        try:
            metadata, inputs, outputs = _metadata(network), _types(network.inputs), _types(network.outputs)
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: expected names in UTF-8, found: {error}") from error
        model = read_model(path, metadata, inputs, outputs)
        wanted = _checked_precision(path, model.precision, precision)
        self.description, self.num_parameters = model.description, model.num_parameters

        @lru_cache(_KEPT_SIZES)
        def request_for(height: int, width: int) -> openvino.InferRequest:
            try:
                compiled = compile_for_latency(network, (1, height, width, 3), wanted, num_threads)
            except RuntimeError as error:
                raise UserError(f"{path}: OpenVINO cannot run it at {width}x{height}: {_last_line(error)}") from error
            return compiled.create_infer_request()

        self._request_for: Callable[[int, int], openvino.InferRequest] | None = request_for
        compiled = request_for(*self.description.input_size).get_compiled_model()
        self.precision = model.precision if model.precision == "int8" else _precision_in_use(compiled)

    def run(self, images: NDArray[np.uint8]) -> RuntimeOutputs:
        """See Runtime.run.  The images are not copied."""
        if self._request_for is None:
            raise RuntimeError("the runtime is closed")
        request = self._request_for(images.shape[1], images.shape[2])
        results = [request.infer({INPUT_NAME: image[None]}, share_inputs=True) for image in images]
        if len(results) == 1:
            return RuntimeOutputs(*(results[0][name] for name in OUTPUT_NAMES))
        return RuntimeOutputs(*(np.concatenate([result[name] for result in results]) for name in OUTPUT_NAMES))

    def close(self) -> None:
        """See Runtime.close."""
        self._request_for = None


def compile_for_latency(
    network: openvino.Model, shape: tuple[int, ...], precision: str, num_threads: int
) -> openvino.CompiledModel:
    """A model of any kind with one input of a fixed shape, with the settings of `OpenVinoRuntime`.

    precision: "fp32", "bf16" or "fp16"; anything else leaves the choice to OpenVINO.
    """
    # A batch of variable size costs OpenVINO 8 to 25 % of its time.  The network can be given another shape later.
    network.reshape(shape)
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": num_threads,
        # Threads that are bound to cores cannot move away from another busy process.
        "ENABLE_CPU_PINNING": False,
    }
    if precision in _PRECISIONS:
        settings["INFERENCE_PRECISION_HINT"] = _PRECISIONS[precision]
    return CORE.compile_model(network, "CPU", settings)


def read_network(path: Path) -> openvino.Model:
    """An OpenVINO or ONNX model of any kind.  Raises UserError if the file is missing or not a model."""
    if path.suffix == ".xml" and not path.with_suffix(".bin").is_file():
        raise UserError(f"{path.with_suffix('.bin')}: missing, expected the weights of {path.name}")
    try:
        return CORE.read_model(path)
    except (RuntimeError, UnicodeDecodeError) as error:  # its message may quote bytes that are not UTF-8
        raise UserError(f"{path}: expected an OpenVINO or ONNX model, found: {_last_line(error)}") from error


def _last_line(error: Exception) -> str:
    """Where OpenVINO says what is wrong."""
    return one_line([line for line in str(error).splitlines() if line.strip()][-1])[:200]


def _metadata(network: openvino.Model) -> dict[str, str]:
    """OpenVINO stores the metadata of an ONNX model under "framework", also in its own format."""
    return {
        key: str(network.get_rt_info(["framework", key]).value)
        for key in METADATA_KEYS
        if network.has_rt_info(["framework", key])
    }


def _checked_precision(path: Path, exported: str, requested: str) -> str:
    """The precision to set in OpenVINO; raises UserError if the file or the processor does not support it."""
    if exported == "int8":
        if requested not in ("auto", "int8"):
            raise UserError(f"{path}: expected precision auto or int8 for a quantised model, found '{requested}'")
        return "auto"
    if requested == "int8":
        raise UserError(
            f"{path}: expected a quantised model for precision int8, found {exported} (mp_perception export)"
        )
    capable = CORE.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if requested in ("bf16", "fp16") and requested.upper() not in capable:
        raise UserError(f"precision '{requested}' is not supported by this processor: expected auto or fp32")
    return requested


def _precision_in_use(compiled: openvino.CompiledModel) -> str:
    element = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    return {name: ours for ours, name in _PRECISIONS.items()}[element]


def _types(ports: list[Any]) -> dict[str, str]:
    """name -> tensor_type of OpenVINO's ports."""
    elements = {"f32": "float32", "u8": "uint8"}
    types = {}
    for port in ports:
        element = port.element_type.get_type_name()
        shape = (side.get_length() if side.is_static else None for side in port.partial_shape)
        types[port.any_name if port.names else ""] = tensor_type(elements.get(element, element), shape)
    return types
