"""Other networks that label images for a training: a map of inverse depth, or boxes with scores and classes.

A teacher is an ONNX or OpenVINO model with one image as input, which runs with OpenVINO on the CPU.  What becomes of
its outputs is in taught_depth and taught_labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import openvino
from numpy.typing import NDArray

from mp_perception.errors import UserError, one_line, unknown_name
from mp_perception.geometry import letterbox_size
from mp_perception.inference.runtimes.openvino_runtime import compile_for_latency, read_network
from mp_perception.machine import spare_cores

Floats = NDArray[np.float32]


#: ImageNet's mean and standard deviation, as in torchvision.
_IMAGENET = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], dtype=np.float32)
#: Name of a model's input format -> its values from RGB values (h, w, 3) in 0..255.
PIXEL_FORMATS: dict[str, Callable[[Floats], Floats]] = {
    "rgb-0-1": lambda rgb: rgb / np.float32(255),
    "rgb-0-255": lambda rgb: rgb,
    "bgr-0-255": lambda rgb: rgb[..., ::-1],
    "imagenet": lambda rgb: (rgb / np.float32(255) - _IMAGENET[0]) / _IMAGENET[1],
}


class TeacherNetwork:
    """A model with one input (N, 3, height, width) of a fixed size.

    pixels: a name in PIXEL_FORMATS.
    Raises UserError if the file is not such a model.
    """

    def __init__(self, path: Path, pixels: str) -> None:
        if pixels not in PIXEL_FORMATS:
            raise unknown_name("pixel format", pixels, PIXEL_FORMATS)
        self.path = path
        self._format = PIXEL_FORMATS[pixels]
        if path.suffix not in (".onnx", ".xml") or not path.is_file():
            raise UserError(f"{path}: expected the file of a model (.onnx or .xml), found none")
        network = read_network(path)
        shapes = [port.partial_shape for port in network.inputs]
        if len(shapes) != 1 or not _is_image(shapes[0]):
            found = ", ".join(map(str, shapes)) or "none"
            raise UserError(f"{path}: expected one input (N, 3, height, width) of a fixed size, found {found}")
        height, width = (side.get_length() for side in list(shapes[0])[2:])
        self.input_size: tuple[int, int] = (height, width)
        try:
            compiled = compile_for_latency(network, (1, 3, height, width), "fp32", spare_cores())
            self._request = compiled.create_infer_request()
        except RuntimeError as error:
            raise UserError(
                f"{path}: expected a model that OpenVINO can run, found: {one_line(error)[:200]}"
            ) from error

    def outputs(self, image: NDArray[np.uint8]) -> list[NDArray[Any]]:
        """The outputs for an RGB image (h, w, 3) of the input's size.  Raises UserError if the model fails."""
        values = self._format(image.astype(np.float32))
        try:
            results = self._request.infer([np.ascontiguousarray(values.transpose(2, 0, 1)[None])])
        except RuntimeError as error:
            raise UserError(f"{self.path}: the model failed: {one_line(error)[:200]}") from error
        return [np.array(array) for array in results.values()]


def _is_image(shape: openvino.PartialShape) -> bool:
    sides = list(shape) if shape.rank.is_static else []
    return len(sides) == 4 and all(side.is_static for side in sides[1:]) and sides[1].get_length() == 3


class DepthTeacher:
    """A model whose one output is a map (h, w), with or without leading dimensions of length 1.

    Images are stretched to its input.

    kind: what the map is, up to a scale and an offset of the inverse depth: "inverse" depth (also called disparity), or
    "metric", depth along the optical axis.
    """

    def __init__(self, path: Path, kind: Literal["inverse", "metric"] = "inverse", pixels: str = "rgb-0-1") -> None:
        self.network = TeacherNetwork(path, pixels)
        self.kind = kind

    def inverse_depth(self, image: NDArray[np.uint8]) -> Floats:
        """Inverse depth (H, W) of an RGB image (H, W, 3), up to scale and offset; NaN where the model gives none.

        It is the mean of the image's map and the mirrored image's, which has smaller errors (Godard et al. 2017).
        Raises UserError if the output is not a map.
        """
        mirrored = np.ascontiguousarray(image[:, ::-1])
        small = (self._inverse_depth(image) + self._inverse_depth(mirrored)[:, ::-1]) / 2
        height, width = image.shape[:2]
        return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)

    def _inverse_depth(self, image: NDArray[np.uint8]) -> Floats:
        height, width = self.network.input_size
        stretched = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        outputs = self.network.outputs(np.asarray(stretched, dtype=np.uint8))
        maps = [output.reshape(output.shape[-2:]) for output in outputs if output.size == np.prod(output.shape[-2:])]
        if len(outputs) != 1 or not maps or min(maps[0].shape) < 2:
            found = ", ".join(str(output.shape) for output in outputs)
            raise UserError(f"{self.network.path}: expected one output, a map (1, 1, height, width), found {found}")
        values = maps[0].astype(np.float32)
        values[~np.isfinite(values)] = np.nan
        if self.kind == "metric":
            values = np.divide(1, values, out=np.full_like(values, np.nan), where=values > 0)
        return values


@dataclass(frozen=True)
class TeacherBoxes:
    """What a detector finds in an image: boxes (N, 4) x1 y1 x2 y2 pixels, scores (N,) 0..1, class numbers (N,)."""

    boxes: Floats
    scores: Floats
    classes: NDArray[np.int64]


class DetectionTeacher:
    """A detector with one of the two outputs that Open Model Zoo's detectors have.

    Either (1, 1, N, 7): image, class, score, x1 y1 x2 y2 in 0..1 (OpenVINO's DetectionOutput), or two outputs: (N, 5)
    x1 y1 x2 y2 in pixels of the input, score, and (N,) classes; each with or without leading dimensions of length 1.
    Images are fitted into its input at the top left, with their aspect ratio: a network that has learned upright people
    misses many that are stretched.
    """

    def __init__(self, path: Path, pixels: str = "bgr-0-255") -> None:
        self.network = TeacherNetwork(path, pixels)

    def detect(self, image: NDArray[np.uint8]) -> TeacherBoxes:
        """The objects in an RGB image (H, W, 3).  Raises UserError if the outputs have another format."""
        input_height, input_width = self.network.input_size
        height, width = letterbox_size((image.shape[0], image.shape[1]), self.network.input_size)
        fitted = np.zeros((input_height, input_width, 3), dtype=np.uint8)
        fitted[:height, :width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        # The boxes first: they have one dimension more than their classes.
        outputs = sorted(self.network.outputs(fitted), key=lambda output: -output.ndim)
        columns = [output.shape[-1] for output in outputs if output.ndim > 1][:1]
        rows: NDArray[np.float64] = outputs[0].reshape(-1, *columns).astype(np.float64)
        if columns == [7] and len(outputs) == 1:
            rows = rows[: int(np.argmax(np.append(rows[:, 0], -1) < 0))]  # image -1 ends the list
            classes, scores, boxes = rows[:, 1], rows[:, 2], rows[:, 3:] * ([input_width, input_height] * 2)
        elif columns == [5] and len(outputs) == 2 and outputs[1].size == len(rows):
            classes, scores, boxes = outputs[1].reshape(-1), rows[:, 4], rows[:, :4]
        else:
            found = ", ".join(str(output.shape) for output in outputs)
            raise UserError(f"{self.network.path}: expected outputs (1, 1, N, 7), or (N, 5) and (N,), found {found}")
        valid = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1) & (scores > 0)
        scaled = boxes[valid] * ([image.shape[1] / width, image.shape[0] / height] * 2)
        return TeacherBoxes(
            scaled.astype(np.float32), scores[valid].astype(np.float32), classes[valid].astype(np.int64)
        )
