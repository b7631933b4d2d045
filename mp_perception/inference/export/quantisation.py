"""Eight-bit models by post-training quantisation: weights and activations on grids of 256 steps.

The grids of the activations come from calibration frames.  ONNX Runtime's tool writes them into the graph as
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
    """An 8-bit model from a float32 one.

    frames: network inputs (h, w, 3), uint8, that show what the network will see; at least one.
    A value's range is the mean of the frames' ranges, so that one odd frame does not make every grid coarse
    (docs/export.md).
    Weights take half of the grid (seven bits): processors without VNNI add eight-bit products in 16 bits, which
    overflow with larger ones, and whoever makes a model need not have the processor that runs it.  What such rounding
    adds to a channel is taken off its bias (bias_correction.py).
    What follows the outputs' last convolutions stays float: 256 steps are too few for metres.
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
    """The frames as ONNX Runtime asks for them, one at a time, with a bar that shows how far it is."""

    def __init__(self, frames: Sequence[NDArray[np.uint8]]) -> None:
        self._frames: Iterator[NDArray[np.uint8]] = iter(track(frames, "calibrate"))

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        frame = next(self._frames, None)
        return None if frame is None else {INPUT_NAME: frame[None]}


def _after_last_convolutions(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes between the outputs' last convolutions and the outputs."""
    makers = {name: node for node in model.graph.node for name in node.output}
    found: set[str] = set()
    waiting = [output.name for output in model.graph.output]
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.op_type not in _CONVOLUTIONS and node.name not in found:
            found.add(node.name)
            waiting.extend(node.input)
    return sorted(found)
