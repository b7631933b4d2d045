"""What an exported model file (.onnx, .xml) carries beside its layers, and the check that its tensors fit.

`mp_perception export` writes these files, ONNX Runtime and OpenVINO run them; both engines read them through here.
Metadata may come from anywhere, so its size is bounded and every value is checked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mp_perception.errors import UserError
from mp_perception.geometry import DEPTH_STRIDE
from mp_perception.model.checkpoint_description import CheckpointDescription
from mp_perception.model.default_boxes import map_size

#: Metadata entries: the description as JSON, one of MODEL_PRECISIONS, the SHA-256 of the checkpoint in hexadecimal, and
#: the number of parameters as Runtime has it: batch norm is folded in the graph, so its tensors do not tell.
DESCRIPTION_KEY = "mp_perception"
PRECISION_KEY = "mp_perception_precision"
CHECKPOINT_KEY = "mp_perception_checkpoint_sha256"
PARAMETERS_KEY = "mp_perception_parameters"
METADATA_KEYS = (DESCRIPTION_KEY, PRECISION_KEY, CHECKPOINT_KEY, PARAMETERS_KEY)
#: Arithmetic a file may have been made for.
MODEL_PRECISIONS = ("fp32", "fp16", "int8")
#: Tensors by name: pixels (B, h, w, 3), uint8 RGB, and what RuntimeOutputs holds, float32.
INPUT_NAME = "images"
OUTPUT_NAMES = ("class_logits", "box_offsets", "depth")

_MAX_DESCRIPTION_CHARACTERS = 1 << 20

#: (element type as ONNX names it, shape with None where the batch may vary) of a tensor.
TensorType = tuple[str, tuple[int | None, ...]]


@dataclass(frozen=True)
class ExportedModel:
    """What the metadata says.

    precision: one of MODEL_PRECISIONS.  checkpoint_sha256: of the file it was made of, empty if that is not known.
    num_parameters: as Runtime has it; the first models do not say it.
    """

    description: CheckpointDescription
    precision: str
    checkpoint_sha256: str = ""
    num_parameters: int | None = None

    def metadata(self) -> dict[str, str]:
        """The entries that `read_metadata` reads back to an equal model."""
        return {
            DESCRIPTION_KEY: self.description.to_json(),
            PRECISION_KEY: self.precision,
            CHECKPOINT_KEY: self.checkpoint_sha256,
            PARAMETERS_KEY: "" if self.num_parameters is None else str(self.num_parameters),
        }


def read_metadata(metadata: Mapping[str, str], path: Path) -> ExportedModel:
    """The model that a file's metadata describes.

    Raises UserError with one line for metadata that is missing, too large, or out of bounds.
    """
    text, precision = metadata.get(DESCRIPTION_KEY), metadata.get(PRECISION_KEY)
    if text is None or precision is None:
        raise UserError(f"{path}: expected a model made by mp_perception export, found one of something else")
    if len(text) > _MAX_DESCRIPTION_CHARACTERS:
        raise UserError(
            f"{path}: expected a description of at most {_MAX_DESCRIPTION_CHARACTERS} characters, found {len(text)}"
        )
    if precision not in MODEL_PRECISIONS:
        raise UserError(f"{path}: expected precision {', '.join(MODEL_PRECISIONS)}, found {precision[:20]!r}")
    checkpoint = metadata.get(CHECKPOINT_KEY, "")
    if re.fullmatch("([0-9a-f]{64})?", checkpoint) is None:
        raise UserError(f"{path}: expected the checkpoint's SHA-256, found {checkpoint[:20]!r}")
    parameters = metadata.get(PARAMETERS_KEY, "")
    if re.fullmatch("[0-9]{0,15}", parameters) is None:
        raise UserError(f"{path}: expected a number of parameters, found {parameters[:20]!r}")
    description = CheckpointDescription.from_json(text, str(path))
    return ExportedModel(description, precision, checkpoint, int(parameters) if parameters else None)


def tensor_types(description: CheckpointDescription) -> tuple[dict[str, TensorType], dict[str, TensorType]]:
    """(inputs, outputs) by name that the model of a description has."""
    height, width = description.input_size
    cells = [map_size(description.input_size, level.stride) for level in description.levels]
    num_boxes = sum(
        rows * columns * len(level.shapes) for (rows, columns), level in zip(cells, description.levels, strict=True)
    )
    inputs: dict[str, TensorType] = {INPUT_NAME: ("uint8", (None, height, width, 3))}
    shapes = (
        (None, num_boxes, 1 + len(description.class_names)),
        (None, num_boxes, 4),
        (None, height // DEPTH_STRIDE, width // DEPTH_STRIDE),
    )
    outputs: dict[str, TensorType] = {
        name: ("float32", shape) for name, shape in zip(OUTPUT_NAMES, shapes, strict=True)
    }
    return inputs, outputs


def check_tensors(
    path: Path,
    description: CheckpointDescription,
    inputs: Sequence[tuple[str, TensorType]],
    outputs: Sequence[tuple[str, TensorType]],
) -> None:
    """Raises UserError with one line unless the file's tensors, in order, are those of its description."""
    for kind, found, wanted in zip(("input", "output"), (inputs, outputs), tensor_types(description), strict=True):
        if [name for name, _ in found] != list(wanted):
            names = ", ".join(name for name, _ in found)
            raise UserError(f"{path}: expected {kind}s {', '.join(wanted)}, found {names[:200] or 'none'}")
        for name, tensor_type in found:
            if tensor_type != wanted[name]:
                raise UserError(
                    f"{path}: expected {kind} {name} to be {_in_words(wanted[name])}, found {_in_words(tensor_type)}"
                )


def check_wanted_size(path: Path, description: CheckpointDescription, wanted: tuple[int, int] | None) -> None:
    """Raises UserError if another input size (height, width) is wanted than the one the file was made for."""
    if wanted is not None and tuple(wanted) != tuple(description.input_size):
        height, width = description.input_size
        raise UserError(
            f"{path}: expected input size {width}x{height}, for which this model was exported, "
            f"found {wanted[1]}x{wanted[0]} (export it again with --input-size)"
        )


def _in_words(tensor_type: TensorType) -> str:
    element, shape = tensor_type
    return f"{element} ({', '.join('batch' if side is None else str(side) for side in shape)})"
