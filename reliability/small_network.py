"""A network whose outputs cost nothing to compute, for tests of everything around it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import onnx

from mp_perception.inference.runtimes.exported_model import ExportedModel
from mp_perception.model.checkpoint_description import AdaptedCamera, CheckpointDescription, DetectionLevel

#: A quarter of the mean of a pixel's channels gives the metres of the depth map (averages of 2x2 pixels), and the
#: values of the default box in each cell of 32x32 pixels, which therefore covers the whole image.
_GRAPH = """
<ir_version: 9, opset_import: ["": 18]>
network (uint8[batch, height, width, 3] images)
  => (float[batch, cells, 2] class_logits, float[batch, cells, 4] box_offsets, float[batch, rows, columns] depth)
{
  pixels = Cast <to = 1> (images)
  channels = Constant <value_ints = [3]> ()
  grey = ReduceMean <keepdims = 0> (pixels, channels)
  quarter = Constant <value_float = 0.25> ()
  values = Mul (grey, quarter)
  axis = Constant <value_ints = [1]> ()
  plane = Unsqueeze (values, axis)
  halved = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (plane)
  depth = Squeeze (halved, axis)
  cell_plane = AveragePool <kernel_shape = [32, 32], strides = [32, 32]> (plane)
  cell_shape = Constant <value_ints = [0, -1, 1]> ()
  cell = Reshape (cell_plane, cell_shape)
  class_logits = Concat <axis = 2> (cell, cell)
  box_offsets = Concat <axis = 2> (cell, cell, cell, cell)
}
"""


@cache
def small_network(camera: AdaptedCamera | None = None) -> bytes:
    """An ONNX model with the inputs, outputs and metadata of an exported network; see _GRAPH.

    camera: the one that it is said to be adapted to.
    """
    description = CheckpointDescription(
        backbone="mobilenet_v2",
        decoder="bilinear",
        head="plain",
        levels=(DetectionLevel(32, "backbone", ((16.0, 16.0),)),),
        class_names=("Car",),
        input_size=(32, 32),
        pixel_mean=(0.0, 0.0, 0.0),
        pixel_std=(1.0, 1.0, 1.0),
        camera=camera,
    )
    model = onnx.parser.parse_model(_GRAPH)
    onnx.helper.set_model_props(model, ExportedModel(description, "fp32").metadata())
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def write_small_network(folder: Path, camera: AdaptedCamera | None = None) -> Path:
    """Writes small.onnx, of small_network(camera), to the folder."""
    path = folder / "small.onnx"
    path.write_bytes(small_network(camera))
    return path
