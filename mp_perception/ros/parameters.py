"""The parameter table of the perception node: names, types, defaults, ranges, and which may change at run time.

Declaration, checks, `config/perception.yaml` and `docs/parameters.md` are made from the fields of `NodeParameters`.
-1 (numbers) and [0, 0] (sizes) stand for the checkpoint's own value, which is unknown before the configuration.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any

import yaml

from mp_perception.encoded_images import MAX_IMAGE_PIXELS
from mp_perception.errors import UserError
from mp_perception.inference.object_depth import DEFAULT_STATISTIC, STATISTICS
from mp_perception.inference.prediction_settings import PredictionSettings
from mp_perception.inference.runtimes.registry import PRECISIONS, runtime_names
from mp_perception.messages.camera_info import is_rectified_topic
from mp_perception.model.checkpoint_description import (
    MAX_INPUT_PIXELS,
    MIN_INPUT_PIXELS,
    CheckpointDescription,
    backbone_names,
    check_input_size,
)


@dataclass(frozen=True)
class Range:
    """The values that a parameter may have, as text and as a test; for tools also names, or limits of a number."""

    text: str
    accepts: Callable[[Any], bool]
    choices: tuple[str, ...] = ()
    limits: tuple[float, float] | None = None


def _one_of(*names: str) -> Range:
    return Range(", ".join(names), lambda value: value in names, choices=names)


def _between(low: float, high: float, meaning: str = "") -> Range:
    return Range(f"{low} to {high}{meaning}", lambda value: low <= value <= high, limits=(low, high))


def _is_input_size(value: tuple[int, ...]) -> bool:
    try:
        check_input_size(value)  # type: ignore[arg-type]
    except ValueError:
        return value == (0, 0)
    return True


_ANY = Range("", lambda value: True)
_FRACTION_OR_DEFAULT = Range("-1 or 0 to 1", lambda value: value == -1 or 0 <= value <= 1, limits=(-1, 1))
_METRES_OR_DEFAULT = Range(
    "-1 or above 0 up to 1000", lambda value: value == -1 or 0 < value <= 1000, limits=(-1, 1000)
)
_DEVICE = Range("auto, cpu, cuda, cuda:N", lambda value: re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", value) is not None)
_FRAME = Range("a frame of tf, or empty", lambda value: len(value) <= 255 and "\0" not in value)
_FILE = Range("a file, a name, or empty", lambda value: "\0" not in value)
_INPUT_PIXELS = Range(
    f"0 or {MIN_INPUT_PIXELS} to {MAX_INPUT_PIXELS}",
    lambda value: value == 0 or MIN_INPUT_PIXELS <= value <= MAX_INPUT_PIXELS,
    limits=(0, MAX_INPUT_PIXELS),
)
_INPUT_SIZE = Range("[0, 0] or multiples of 32 up to 4096", _is_input_size)


def _fixed(default: Any, allowed: Range, description: str) -> Any:
    """A parameter that can be changed only while the node is unconfigured."""
    return field(default=default, metadata={"range": allowed, "description": description, "run_time": False})


def _run_time(default: Any, allowed: Range, description: str) -> Any:
    """A parameter that can be changed at any time."""
    return field(default=default, metadata={"range": allowed, "description": description, "run_time": True})


@dataclass(frozen=True)
class NodeParameters:
    """One consistent set of values, made by `checked`."""

    backbone: str = _fixed("mobilenet_v2", _one_of(*backbone_names()), "Backbone of the network.")
    weights: str = _fixed(
        "",
        _FILE,
        "Weights file (.safetensors, or exported: .onnx, .xml), or the name of weights that ship; empty: those of the"
        " backbone's name.",
    )
    device: str = _fixed(
        "auto",
        _DEVICE,
        "Device that runs the network. `auto` takes a GPU if one is available, and reports the choice; with a device"
        " that is not available the configuration fails.",
    )
    runtime: str = _fixed(
        "auto", _one_of(*runtime_names()), "Library that runs the network; `auto`: chosen by the weights file."
    )
    precision: str = _fixed("auto", _one_of(*PRECISIONS), "Arithmetic of the network; `auto`: the fastest.")
    num_threads: int = _fixed(0, _between(0, 256, " (0: cores - 1)"), "Threads of the network on the CPU.")
    input_size: tuple[int, ...] = _fixed(
        (0, 0),
        _INPUT_SIZE,
        "Height and width of the network's input, pixels; [0, 0]: what fits the camera's images best.",
    )
    input_pixels: int = _fixed(
        0, _INPUT_PIXELS, "Number of pixels of a network input that fits the camera; 0: that of the checkpoint."
    )
    score_threshold: float = _run_time(
        -1.0, _FRACTION_OR_DEFAULT, "Minimum score of a detection; -1: the checkpoint's threshold."
    )
    nms_iou_threshold: float = _run_time(
        0.45, _between(0, 1), "If two boxes of a class overlap by more than this (IoU), only the better one is kept."
    )
    max_detections: int = _run_time(100, _between(1, 1000), "Maximum number of detections in one image, best first.")
    classes: tuple[str, ...] = _run_time(
        ("",), Range("the checkpoint's class names", bool), 'Classes to report; [""]: all classes of the checkpoint.'
    )
    class_id_format: str = _run_time(
        "name",
        _one_of("name", "index"),
        "`class_id` in the detections: the class name, or its number in `label_info`.",
    )
    min_depth: float = _run_time(-1.0, _METRES_OR_DEFAULT, "Nearer depth is unknown, metres; -1: the checkpoint's.")
    max_depth: float = _run_time(
        -1.0, _METRES_OR_DEFAULT, "Farther depth is beyond the range, metres; -1: the checkpoint's."
    )
    depth_encoding: str = _run_time(
        "32FC1",
        _one_of("32FC1", "16UC1"),
        "Depth image in metres (32FC1; unknown: NaN, beyond `max_depth`: +Inf) or millimetres (16UC1; 0 for both, and"
        " above 65.535 m).",
    )
    depth_resolution: str = _run_time(
        "input", _one_of("input", "network"), "Size of the depth image: that of the input image or of the network."
    )
    object_depth_statistic: str = _run_time(
        DEFAULT_STATISTIC, _one_of(*STATISTICS), "Statistic of the pixels in a box that gives the object's depth."
    )
    focal_scaling: bool = _run_time(
        True, _ANY, "Scale depth by the ratio of the camera's focal length to that of the training; needs camera info."
    )
    tracking: bool = _run_time(
        False, _ANY, "Follow objects from image to image: `id` in the detections, and the topics `tracks`."
    )
    odom_frame: str = _fixed(
        "",
        _FRAME,
        "Frame of tf that tracks are formed in, so that the robot's own motion is not part of velocities (`odom`);"
        " empty: the camera's.",
    )
    max_age: float = _run_time(
        0.5,
        _between(0, 60, " (0: any age)"),
        "Images that are older than this when their turn comes are dropped, seconds.",
    )
    process_every_frame: bool = _fixed(
        False, _ANY, "Queue images instead of keeping only the newest, and accept any age; for evaluation."
    )
    image_transport: str = _fixed(
        "raw", _one_of("raw", "compressed"), "Subscribe to `image` (raw) or `image/compressed` (JPEG, PNG)."
    )
    sample_bits: int = _run_time(
        16,
        _between(8, 16),
        "Used bits of 16-bit images (mono16, rgb16, Bayer); many cameras use 10 or 12, and are dark otherwise.",
    )
    rectified: str = _run_time(
        "auto",
        _one_of("auto", "true", "false"),
        "Whether images are rectified, so that P of the camera info describes them, and not K with the distortion D;"
        " `auto`: by the topic's name (`image_rect`).",
    )
    max_image_pixels: int = _run_time(
        MAX_IMAGE_PIXELS, _between(1, 2**31 - 1), "Images with more pixels than this are refused."
    )
    publish_point_cloud: bool = _run_time(False, _ANY, "Publish `points` while it has a subscriber.")
    autostart: bool = _fixed(True, _ANY, "Configure and activate at start, and once more after a failure.")
    diagnostics_period: float = _fixed(1.0, _between(0.1, 60), "Seconds between diagnostics.")

    @classmethod
    def checked(cls, values: Mapping[str, Any]) -> NodeParameters:
        """Parameters with `values` (ROS parameter values by name) instead of the defaults.

        Raises UserError with name, range and value of the first one that is wrong.
        """
        parameters = cls(**{name: _checked_value(PARAMETERS[name], value) for name, value in values.items()})
        if 0 < parameters.max_depth <= parameters.min_depth:
            raise UserError(
                f"min_depth: expected less than max_depth ({parameters.max_depth:g}), found {parameters.min_depth:g}"
            )
        return parameters

    def check_against(self, description: CheckpointDescription) -> None:
        """Raises UserError if these parameters do not match the network of a checkpoint."""
        known = description.class_names
        for name in self.selected_classes or ():
            if name not in known:
                raise UserError(f"classes: expected names among {', '.join(known)}, found {name!r}")
        low, high = self.depth_range(description)
        if low >= high:
            raise UserError(f"min_depth, max_depth: expected a range, found {low:g} to {high:g} metres")

    def depth_range(self, description: CheckpointDescription) -> tuple[float, float]:
        """Minimum and maximum depth, metres, with the checkpoint's values for -1."""
        low, high = description.valid_depth_range
        return self.min_depth if self.min_depth > 0 else low, self.max_depth if self.max_depth > 0 else high

    def effective_score_threshold(self, description: CheckpointDescription) -> float:
        """The score threshold, with the checkpoint's value for -1."""
        return description.score_threshold if self.score_threshold == -1 else self.score_threshold

    def is_rectified(self, image_topic: str) -> bool:
        """Whether the images of a topic are rectified.  image_topic: its full name."""
        return is_rectified_topic(image_topic) if self.rectified == "auto" else self.rectified == "true"

    @property
    def selected_classes(self) -> tuple[str, ...] | None:
        """Names of the classes to report; None for all."""
        return None if self.classes == ("",) else self.classes

    def prediction_settings(self) -> PredictionSettings:
        """The parameters of the predictor."""
        return PredictionSettings(
            score_threshold=_given(self.score_threshold),
            nms_iou_threshold=self.nms_iou_threshold,
            max_detections=self.max_detections,
            classes=self.selected_classes,
            min_depth=_given(self.min_depth),
            max_depth=_given(self.max_depth),
            object_depth_statistic=self.object_depth_statistic,
            focal_scaling=self.focal_scaling,
        )


#: The rows of the table by name.
PARAMETERS = {row.name: row for row in fields(NodeParameters)}


def value_of_argument(name: str, text: str) -> Any:
    """The ROS value of a parameter that is given as text, such as "0.5" or "[Car, Van]".

    Raises:
        UserError: as `NodeParameters.checked`, or the text is not YAML.
    """
    row = PARAMETERS[name]
    try:
        value = text if isinstance(row.default, str) else yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    return ros_value(_checked_value(row, value))


def ros_value(value: Any) -> Any:
    """A default as a ROS parameter value: sequences are lists."""
    return list(value) if isinstance(value, tuple) else value


def type_name(row: Field[Any]) -> str:
    """Name of a parameter's type: string, bool, int, double, string[] or int[2]."""
    if isinstance(row.default, tuple):
        return "string[]" if isinstance(row.default[0], str) else f"int[{len(row.default)}]"
    return {bool: "bool", int: "int", float: "double", str: "string"}[type(row.default)]


def constraint_text(row: Field[Any]) -> str:
    """Type and range of a parameter in one phrase."""
    allowed = row.metadata["range"].text
    return f"{type_name(row)}, {allowed}" if allowed else type_name(row)


def _given(value: float) -> float | None:
    return None if value == -1 else value


def _checked_value(row: Field[Any], value: Any) -> Any:
    converted = _converted(value, row.default)
    if converted is None or not row.metadata["range"].accepts(converted):
        raise UserError(f"{row.name}: expected {constraint_text(row)}, found {value!r}")
    return converted


def _converted(value: Any, default: Any) -> Any:
    """`value` with the type of `default`, None if it has another type; an integer is accepted for a double."""
    if isinstance(default, tuple):
        element = type(default[0])
        if isinstance(value, Sequence) and len(value) == 0 and element is str:
            return default  # an empty list has no type in ROS; it stands for the default, all classes
        if isinstance(value, str) or not isinstance(value, Sequence):
            return None
        return tuple(value) if all(type(item) is element for item in value) else None
    if isinstance(default, float):
        return float(value) if type(value) in (int, float) else None
    if isinstance(default, str) and type(value) is bool:
        return str(value).lower()  # rectified:=true
    return value if type(value) is type(default) else None
