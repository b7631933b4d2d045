"""Size of a model file: the arithmetic operations of one image, and the number of parameters."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

from mp_perception.inference.runtimes.openvino_runtime import read_network


class ModelSize(NamedTuple):
    """operations: of one image, a multiply-add counts as two.  parameters: weights and biases in the file."""

    operations: int
    parameters: int


def model_size(path: Path, input_size: tuple[int, int]) -> ModelSize:
    """The size of a model with one input (batch, h, w, 3), for input_size (h, w).

    Only convolutions and matrix products count as operations, as is usual.  Batch normalisation that is folded into a
    convolution adds no parameters.
    """
    model = read_network(path)
    model.reshape([1, *input_size, 3])
    operations = parameters = 0
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        shape, inputs = list(node.output(0).shape), [list(port.get_source_output().shape) for port in node.inputs()]
        if kind == "Constant" and node.get_element_type().is_real():
            parameters += math.prod(shape)
        elif kind == "MatMul":
            operations += 2 * math.prod(shape) * inputs[0][-2 if node.get_attributes()["transpose_a"] else -1]
        elif kind.endswith("ConvolutionBackpropData"):
            operations += 2 * math.prod(inputs[1]) * math.prod(inputs[0][2:])
        elif kind.endswith("Convolution"):
            operations += 2 * math.prod(inputs[1]) * math.prod(shape[2:])
    return ModelSize(operations, parameters)
