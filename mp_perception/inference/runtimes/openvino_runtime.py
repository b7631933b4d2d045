"""OpenVINO: exported models (.xml with its .bin, or .onnx) on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from mp_perception.errors import UserError
from mp_perception.inference.runtimes.base import NetworkSource, Runtime, RuntimeOutputs
from mp_perception.inference.runtimes.exported_model import (
    INPUT_NAME,
    METADATA_KEYS,
    OUTPUT_NAMES,
    TensorType,
    check_tensors,
    check_wanted_size,
    read_metadata,
)

#: Our names of the arithmetic that OpenVINO can be told to use.
_PRECISIONS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}


class OpenVinoRuntime(Runtime):
    """See Runtime.  Made for one image at a time; a batch runs image by image.

    precision: a model that was not quantised runs in the arithmetic asked for; "auto" leaves it to OpenVINO, which
    takes bfloat16 where the processor multiplies in it.  A quantised model is int8 whatever the rest of it runs in.
    """

    name = "openvino"
    device = "cpu"

    def __init__(self, source: NetworkSource, device: str, precision: str, num_threads: int) -> None:
        assert source.weights is not None
        path = source.weights
        if device not in ("auto", "cpu"):
            raise UserError(f"device '{device}' is not one of OpenVINO's here: expected auto or cpu")
        core = openvino.Core()
        network = _read(core, path)
        try:
            metadata, inputs, outputs = _metadata(network), _types(network.inputs), _types(network.outputs)
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: expected names in UTF-8, found: {error}") from error
        model = read_metadata(metadata, path)
        check_tensors(path, model.description, inputs, outputs)
        check_wanted_size(path, model.description, source.input_size)
        # Free batches cost OpenVINO 8 to 25 % of its time.
        network.reshape({INPUT_NAME: [1, *model.description.input_size, 3]})
        wanted = _checked_precision(path, core, model.precision, precision)
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": num_threads,
            # Threads that are bound to cores cannot make way for another busy process.
            "ENABLE_CPU_PINNING": False,
        }
        if wanted in _PRECISIONS:
            settings["INFERENCE_PRECISION_HINT"] = _PRECISIONS[wanted]
        compiled = core.compile_model(network, "CPU", settings)
        self.description, self.num_parameters = model.description, model.num_parameters
        self.precision = model.precision if model.precision == "int8" else _precision_in_use(compiled)
        self._request: openvino.InferRequest | None = compiled.create_infer_request()

    def run(self, images: NDArray[np.uint8]) -> RuntimeOutputs:
        """See Runtime.run.  The images are not copied; the outputs are, and are the caller's own."""
        if self._request is None:
            raise RuntimeError("the runtime is closed")
        results = [self._request.infer({INPUT_NAME: image[None]}, share_inputs=True) for image in images]
        if len(results) == 1:
            return RuntimeOutputs(*(results[0][name] for name in OUTPUT_NAMES))
        return RuntimeOutputs(*(np.concatenate([result[name] for result in results]) for name in OUTPUT_NAMES))

    def close(self) -> None:
        """See Runtime.close."""
        self._request = None


def _read(core: openvino.Core, path: Path) -> openvino.Model:
    if path.suffix == ".xml" and not path.with_suffix(".bin").is_file():
        raise UserError(f"{path.with_suffix('.bin')}: missing, it holds the weights of {path.name}")
    try:
        return core.read_model(path)
    except (RuntimeError, UnicodeDecodeError) as error:  # its reader's text may quote bytes that are no text
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise UserError(f"{path}: expected an OpenVINO or ONNX model, found: {lines[-1][:200]}") from error


def _metadata(network: openvino.Model) -> dict[str, str]:
    """OpenVINO keeps the metadata of an ONNX model under "framework", also when it writes its own format."""
    return {
        key: str(network.get_rt_info(["framework", key]).value)
        for key in METADATA_KEYS
        if network.has_rt_info(["framework", key])
    }


def _checked_precision(path: Path, core: openvino.Core, exported: str, asked: str) -> str:
    """The precision to ask OpenVINO for; raises UserError for one that the file or the processor does not have."""
    if exported == "int8":
        if asked not in ("auto", "int8"):
            raise UserError(f"{path}: expected precision auto or int8 for a quantised model, found '{asked}'")
        return "auto"
    if asked == "int8":
        raise UserError(
            f"{path}: expected a quantised model for precision int8, found {exported} (mp_perception export)"
        )
    capable = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if asked in ("bf16", "fp16") and asked.upper() not in capable:
        raise UserError(f"precision '{asked}' is not in this processor's arithmetic: expected auto or fp32")
    return asked


def _precision_in_use(compiled: openvino.CompiledModel) -> str:
    element = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    return {name: ours for ours, name in _PRECISIONS.items()}[element]


def _types(ports: list[Any]) -> list[tuple[str, TensorType]]:
    """(name, type) of OpenVINO's ports."""
    types = {"f32": "float32", "u8": "uint8"}
    return [
        (
            port.any_name if port.names else "",
            (
                types.get(port.element_type.get_type_name(), port.element_type.get_type_name()),
                tuple(side.get_length() if side.is_static else None for side in port.partial_shape),
            ),
        )
        for port in ports
    ]
