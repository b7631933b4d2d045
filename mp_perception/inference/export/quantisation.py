"""Post-training quantisation of weights and activations to eight bits.

The ranges of the activations are measured on calibration frames.  ONNX Runtime's tool writes them into the graph as
QuantizeLinear and DequantizeLinear; ONNX Runtime and OpenVINO both run such a graph in 8-bit arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from mp_perception.inference.export.bias_correction import correct_biases
from mp_perception.inference.runtimes.exported_model import INPUT_NAME
from mp_perception.progress import track

_CONVOLUTIONS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def quantise(float_model: onnx.ModelProto, frames: Sequence[NDArray[np.uint8]]) -> onnx.ModelProto:
    """An 8-bit model of a float32 model.

    The range of a value is the mean of its ranges in all frames, so that one unusual frame does not make all steps
    coarse (docs/export.md).  Weights use seven of the eight bits: processors without VNNI add eight-bit products in 16
    bits, which would overflow.  Biases compensate for the rounding of weights (bias_correction.py).  The operations
    after the last convolutions stay in float: 256 steps are too few for metres.

    frames: network inputs (h, w, 3), uint8, similar to those in use; at least one.
    """
    with TemporaryDirectory() as folder:
        prepared, quantised = Path(folder) / "prepared.onnx", Path(folder) / "quantised.onnx"
        quant_pre_process(float_model, prepared, skip_optimization=True, skip_symbolic_shape=True)
        original = onnx.load(prepared)
        quantize_static(
            prepared,
            quantised,
            _Frames(frames),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_after_last_convolutions(original),
            extra_options={"CalibMovingAverage": True},
        )
        model = onnx.load(quantised)
    correct_biases(model, original, frames)
    return model


class _Frames(CalibrationDataReader):  # type: ignore[misc]
    """The frames for ONNX Runtime, one at a time, with a progress bar."""

    def __init__(self, frames: Sequence[NDArray[np.uint8]]) -> None:
        self._frames: Iterator[NDArray[np.uint8]] = iter(track(frames, "calibrate"))

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        frame = next(self._frames, None)
        return None if frame is None else {INPUT_NAME: frame[None]}


def _after_last_convolutions(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes between the last convolutions and the outputs."""
    producers = {name: node for node in model.graph.node for name in node.output}
    found: set[str] = set()
    waiting = [output.name for output in model.graph.output]
    while waiting:
        node = producers.get(waiting.pop())
        if node is not None and node.op_type not in _CONVOLUTIONS and node.name not in found:
            found.add(node.name)
            waiting.extend(node.input)
    return sorted(found)
