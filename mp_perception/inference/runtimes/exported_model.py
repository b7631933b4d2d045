"""The metadata of an exported model (.onnx, .xml), and the check of its inputs and outputs.

`mp_perception export` writes the metadata; both runtimes of exported models read it here.  A file may come from an
untrusted source, so the size of the metadata is bounded and every value is checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mp_perception.errors import UserError
from mp_perception.model.checkpoint_description import CheckpointDescription

#: Metadata entries: the description as JSON, one of MODEL_PRECISIONS, the SHA-256 of the checkpoint in hexadecimal, and
#: Runtime.num_parameters, which the graph does not tell because batch normalisation is folded in it.
DESCRIPTION_KEY = "mp_perception"
PRECISION_KEY = "mp_perception_precision"
CHECKPOINT_KEY = "mp_perception_checkpoint_sha256"
PARAMETERS_KEY = "mp_perception_parameters"
METADATA_KEYS = (DESCRIPTION_KEY, PRECISION_KEY, CHECKPOINT_KEY, PARAMETERS_KEY)
#: Precisions of exported models.
MODEL_PRECISIONS = ("fp32", "fp16", "int8")
#: Names of the input, pixels (B, h, w, 3), uint8 RGB, and of the outputs, those of RuntimeOutputs.
INPUT_NAME = "images"
OUTPUT_NAMES = ("class_logits", "box_offsets", "depth")

_MAX_DESCRIPTION_CHARACTERS = 1 << 20


@dataclass(frozen=True)
class ExportedModel:
    """The metadata of a model.

    precision: one of MODEL_PRECISIONS.  checkpoint_sha256: of the exported checkpoint; empty if unknown.
    num_parameters: see `Runtime`; None if unknown, as in the first models.
    """

    description: CheckpointDescription
    precision: str
    checkpoint_sha256: str = ""
    num_parameters: int | None = None

    def metadata(self) -> dict[str, str]:
        """Entries for the model file; `read_metadata` is the inverse."""
        return {
            DESCRIPTION_KEY: self.description.to_json(),
            PRECISION_KEY: self.precision,
            CHECKPOINT_KEY: self.checkpoint_sha256,
            PARAMETERS_KEY: "" if self.num_parameters is None else str(self.num_parameters),
        }


def read_metadata(metadata: Mapping[str, str], path: Path) -> ExportedModel:
    """Parse the metadata of the file `path`.

    Raises:
        UserError: an entry is missing, too large or not valid.
    """
    text, precision = metadata.get(DESCRIPTION_KEY), metadata.get(PRECISION_KEY)
    if text is None or precision is None:
        raise UserError(f"{path}: expected a model written by mp_perception export, found another model")
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


def tensor_type(element: str, shape: Iterable[int | None]) -> str:
    """Element type and shape in words, with "any" for a size that may vary (None)."""
    return f"{element} ({', '.join('any' if side is None else str(side) for side in shape)})"


def read_model(
    path: Path, metadata: Mapping[str, str], inputs: Mapping[str, str], outputs: Mapping[str, str]
) -> ExportedModel:
    """As `read_metadata`; also checks that the graph is that of the description, for images of any size.

    inputs, outputs: of the graph, in order: name -> tensor_type.
    """
    model = read_metadata(metadata, path)
    shapes = ((None, None, 1 + len(model.description.class_names)), (None, None, 4), (None, None, None))
    types = (tensor_type("float32", shape) for shape in shapes)
    expected_outputs = dict(zip(OUTPUT_NAMES, types, strict=True))
    expected_inputs = {INPUT_NAME: tensor_type("uint8", (None, None, None, 3))}
    for kind, found, expected in (("input", inputs, expected_inputs), ("output", outputs, expected_outputs)):
        if list(found) != list(expected):
            names = ", ".join(found)[:200] or "none"
            raise UserError(f"{path}: expected {kind}s {', '.join(expected)}, found {names}")
        for name in found:
            if found[name] != expected[name]:
                raise UserError(
                    f"{path}: expected {kind} {name} to be {expected[name]}, found {found[name]}; models of release "
                    "0.1 have one size: export them again"
                )
    return model
