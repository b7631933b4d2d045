"""THE parameter table of the perception node: names, types, defaults, ranges, what may change at run time.

Declaration, checks, `config/perception.yaml` and `docs/parameters.md` all come from the fields of `NodeParameters`.
A value that stands for "the checkpoint's own" is -1 (numbers) or [0, 0] (sizes): before configuring nobody knows it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from mp_perception.errors import UserError
from mp_perception.image_messages import MAX_IMAGE_PIXELS
from mp_perception.inference.object_depth import DEFAULT_STATISTIC, STATISTICS
from mp_perception.inference.predictor import PredictionSettings
from mp_perception.inference.runtimes.registry import PRECISIONS, runtime_names
from mp_perception.model.checkpoint_description import CheckpointDescription, backbone_names, check_input_size


@dataclass(frozen=True)
class Range:
    """The values a parameter may have, in words and as a test."""

    text: str
    accepts: Callable[[Any], bool]


def _one_of(*names: str) -> Range:
    return Range(", ".join(names), lambda value: value in names)


def _between(low: float, high: float, meaning: str = "") -> Range:
    return Range(f"{low} to {high}{meaning}", lambda value: low <= value <= high)


_ANYTHING = Range("", lambda value: True)
_SHARE_OR_DEFAULT = Range("-1 or 0 to 1", lambda value: value == -1 or 0 <= value <= 1)
_METRES_OR_DEFAULT = Range("-1 or above 0", lambda value: value == -1 or 0 < value < math.inf)
_DEVICE = Range("auto, cpu, cuda, cuda:N", lambda value: re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", value) is not None)


def _is_input_size(value: tuple[int, ...]) -> bool:
    try:
        check_input_size(value)  # type: ignore[arg-type]
    except ValueError:
        return value == (0, 0)
    return True


def _parameter(default: Any, allowed: Range, description: str, run_time: bool = False) -> Any:
    return field(default=default, metadata={"range": allowed, "description": description, "run_time": run_time})


@dataclass(frozen=True)
class NodeParameters:
    """One consistent set of values; made by `checked`, replaced as a whole, never changed in place."""

    backbone: str = _parameter("mobilenet_v2", _one_of(*backbone_names()), "Network that looks at the image.")
    weights: str = _parameter(
        "",
        Range("a file, or empty", lambda value: "\0" not in value),
        "Weights file (.safetensors, or exported: .onnx, .xml); empty: the backbone's own weights.",
    )
    device: str = _parameter(
        "auto",
        _DEVICE,
        "Where the network runs. `auto` takes a GPU if there is one and reports what it took; a device named here that"
        " is not there fails the configuration.",
    )
    runtime: str = _parameter(
        "auto", _one_of(*runtime_names()), "What executes the network; `auto` goes by the weights file."
    )
    precision: str = _parameter("auto", _one_of(*PRECISIONS), "Arithmetic of the network; `auto`: the fastest.")
    num_threads: int = _parameter(0, _between(0, 256, " (0: cores - 1)"), "Threads of the network on the CPU.")
    input_size: tuple[int, ...] = _parameter(
        (0, 0),
        Range("[0, 0] or multiples of 32 up to 4096", _is_input_size),
        "Height and width of the network's input, pixels; [0, 0]: the checkpoint's.",
    )
    score_threshold: float = _parameter(
        -1.0, _SHARE_OR_DEFAULT, "Detections below this score are dropped; -1: the checkpoint's threshold.", True
    )
    nms_iou_threshold: float = _parameter(
        0.45,
        _between(0, 1),
        "Of two boxes of a class that overlap by more than this (IoU), the better one stays.",
        True,
    )
    max_detections: int = _parameter(100, _between(1, 1000), "Most detections in one image, best first.", True)
    classes: tuple[str, ...] = _parameter(
        ("",), Range("the checkpoint's class names", bool), 'Classes to report; [""]: all of the checkpoint.', True
    )
    class_id_format: str = _parameter(
        "name",
        _one_of("name", "index"),
        "`class_id` in the detections: the class name, or the number under which `label_info` lists it.",
        True,
    )
    min_depth: float = _parameter(
        -1.0, _METRES_OR_DEFAULT, "Depth below this is invalid, metres; -1: the checkpoint's.", True
    )
    max_depth: float = _parameter(
        -1.0, _METRES_OR_DEFAULT, "Depth above this is invalid, metres; -1: the checkpoint's.", True
    )
    depth_encoding: str = _parameter(
        "32FC1",
        _one_of("32FC1", "16UC1"),
        "Depth image in metres (32FC1, invalid NaN) or millimetres (16UC1, invalid 0, also above 65.535 m).",
        True,
    )
    depth_resolution: str = _parameter(
        "input", _one_of("input", "network"), "Size of the depth image: the input image's or the network's.", True
    )
    object_depth_statistic: str = _parameter(
        DEFAULT_STATISTIC, _one_of(*STATISTICS), "How the depth of an object comes from the pixels in its box.", True
    )
    focal_scaling: bool = _parameter(
        True,
        _ANYTHING,
        "Scale depth by the camera's focal length over the one of the training; needs camera info.",
        True,
    )
    max_age: float = _parameter(
        0.5,
        _between(0, 60, " (0: any age)"),
        "Images older than this when their turn comes are dropped, seconds.",
        True,
    )
    process_every_frame: bool = _parameter(
        False, _ANYTHING, "Queue images instead of keeping the newest only, whatever their age; for evaluation."
    )
    image_transport: str = _parameter(
        "raw", _one_of("raw", "compressed"), "Subscribe to `image` (raw) or `image/compressed` (JPEG, PNG)."
    )
    max_image_pixels: int = _parameter(
        MAX_IMAGE_PIXELS, _between(1, 2**31 - 1), "Images with more pixels than this are refused.", True
    )
    publish_point_cloud: bool = _parameter(False, _ANYTHING, "Publish `points` while somebody subscribes.", True)
    autostart: bool = _parameter(True, _ANYTHING, "Configure and activate at start, and once more after a failure.")
    diagnostics_period: float = _parameter(1.0, _between(0.1, 60), "Seconds between diagnostics.")

    @classmethod
    def checked(cls, values: Mapping[str, Any]) -> NodeParameters:
        """Parameters with `values` (ROS parameter values by name) in place of the defaults.

        Raises UserError with the name, the range and the value given for the first one that is wrong.
        """
        rows = {row.name: row for row in fields(cls)}
        parameters = cls(**{name: _checked_value(rows[name], value) for name, value in values.items()})
        if 0 < parameters.max_depth <= parameters.min_depth:
            raise UserError(
                f"min_depth: expected less than max_depth ({parameters.max_depth:g}), found {parameters.min_depth:g}"
            )
        return parameters

    def check_against(self, description: CheckpointDescription) -> None:
        """Raises UserError if these parameters ask for what the network of that checkpoint does not have."""
        known = description.class_names
        for name in self.selected_classes or ():
            if name not in known:
                raise UserError(f"classes: expected names among {', '.join(known)}, found {name!r}")
        low, high = self.depth_range(description)
        if low >= high:
            raise UserError(f"min_depth, max_depth: expected a range, found {low:g} to {high:g} metres")

    def depth_range(self, description: CheckpointDescription) -> tuple[float, float]:
        """Smallest and largest valid depth, metres, with the checkpoint's where these parameters leave it."""
        low, high = description.depth_range
        return self.min_depth if self.min_depth > 0 else low, self.max_depth if self.max_depth > 0 else high

    def effective_score_threshold(self, description: CheckpointDescription) -> float:
        """The score threshold, the checkpoint's where these parameters leave it."""
        return description.score_threshold if self.score_threshold == -1 else self.score_threshold

    @property
    def selected_classes(self) -> tuple[str, ...] | None:
        """Names of the classes to report; None: all."""
        return None if self.classes == ("",) else self.classes

    def prediction_settings(self) -> PredictionSettings:
        """What the predictor needs to know of these parameters."""
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


#: Names of the parameters that may change while the node is active.
RUN_TIME_PARAMETERS = frozenset(row.name for row in fields(NodeParameters) if row.metadata["run_time"])
PARAMETER_NAMES = frozenset(row.name for row in fields(NodeParameters))


def declare_parameters(node: Node) -> None:
    """Declare the whole table on a node.

    Typed dynamically: a static type would refuse `max_age: 1` for a double, and would end the process at start for a
    wrong value in a YAML file instead of letting the configuration fail with a reason.
    """
    for row in fields(NodeParameters):
        descriptor = ParameterDescriptor(
            description=row.metadata["description"],
            additional_constraints=constraint_text(row),
            dynamic_typing=True,
        )
        node.declare_parameter(row.name, ros_value(row.default), descriptor)


def read_parameters(node: Node, changes: Mapping[str, Any] | None = None) -> NodeParameters:
    """The node's parameters, with `changes` applied; raises UserError as `NodeParameters.checked`."""
    values = {name: node.get_parameter(name).value for name in PARAMETER_NAMES}
    return NodeParameters.checked(values | dict(changes or {}))


def ros_value(value: Any) -> Any:
    """A default as ROS takes it: sequences are lists."""
    return list(value) if isinstance(value, tuple) else value


def type_name(row: Field[Any]) -> str:
    """Type of a parameter in words: string, bool, int, double, string[] or int[2]."""
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
    """`value` in the type of `default`, None if it has another type; a whole number may stand for a double."""
    if isinstance(default, tuple):
        element = type(default[0])
        if isinstance(value, Sequence) and len(value) == 0 and element is str:
            return default  # ROS has no typed empty list: it stands for the default, all classes
        if isinstance(value, str) or not isinstance(value, Sequence):
            return None
        return tuple(value) if all(type(item) is element for item in value) else None
    if isinstance(default, float):
        return float(value) if type(value) in (int, float) else None
    return value if type(value) is type(default) else None
