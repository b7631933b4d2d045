"""A network whose outputs cost nothing to compute, for tests of everything around it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import onnx

from mp_perception.inference.runtimes.exported_model import ExportedModel
from mp_perception.model.checkpoint_description import CheckpointDescription, DetectionLevel

_GRAPH = """
<ir_version: 9, opset_import: ["": 18]>
network (uint8[batch, 32, 32, 3] images)
  => (float[batch, 1, 2] class_logits, float[batch, 1, 4] box_offsets, float[batch, 16, 16] depth)
{
  pixels = Cast <to = 1> (images)
  axes = Constant <value_ints = [1, 2, 3]> ()
  mean = ReduceMean <keepdims = 0> (pixels, axes)
  cell_shape = Constant <value_ints = [-1, 1, 1]> ()
  cell = Reshape (mean, cell_shape)
  class_shape = Constant <value_ints = [1, 1, 2]> ()
  class_logits = Expand (cell, class_shape)
  box_shape = Constant <value_ints = [1, 1, 4]> ()
  box_offsets = Expand (cell, box_shape)
  depth_shape = Constant <value_ints = [1, 16, 16]> ()
  depth = Expand (cell, depth_shape)
}
"""


@cache
def small_network() -> bytes:
    """An ONNX model with the inputs, outputs and metadata of an exported network; its outputs are the image's mean."""
    description = CheckpointDescription(
        backbone="mobilenet_v2",
        decoder="bilinear",
        head="plain",
        levels=(DetectionLevel(32, "backbone", ((16.0, 16.0),)),),
        class_names=("Car",),
        input_size=(32, 32),
        pixel_mean=(0.0, 0.0, 0.0),
        pixel_std=(1.0, 1.0, 1.0),
    )
    model = onnx.parser.parse_model(_GRAPH)
    onnx.helper.set_model_props(model, ExportedModel(description, "fp32").metadata())
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def write_small_network(folder: Path) -> Path:
    """Writes small.onnx to the folder."""
    path = folder / "small.onnx"
    path.write_bytes(small_network())
    return path
