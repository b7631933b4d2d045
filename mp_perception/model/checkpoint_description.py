"""The description of a checkpoint: everything needed to build its network and to interpret its outputs.

It is stored as JSON in the metadata of a safetensors file or an exported model.  The reader treats this JSON as
untrusted: it checks and bounds every value before anything is built from it.  Needs neither NumPy nor torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mp_perception.errors import UserError, one_line
from mp_perception.extensions import extension_names

#: Version of the JSON format; other versions are refused.
FORMAT_VERSION = 1
#: The backbones of this package, available without importing torch; `network.backbones` registers their classes.
BACKBONE_NAMES = ("mobilenet_v2", "resnet50", "resnet50_to_layer3")

#: The network input's height and width are multiples of this, the stride of a backbone's last feature map.
INPUT_SIZE_MULTIPLE = 32
MAX_INPUT_SIDE = 4096
MIN_INPUT_PIXELS, MAX_INPUT_PIXELS = INPUT_SIZE_MULTIPLE**2, MAX_INPUT_SIDE**2
_MAX_CLASSES = 1000
_MAX_LEVELS = 12
_MAX_SHAPES = 64
#: Characters of an error that may quote a file.
_MAX_REASON = 300


def backbone_names() -> tuple[str, ...]:
    """Names of all backbones: of this package and of installed extensions."""
    return (*BACKBONE_NAMES, *extension_names("backbones"))


@dataclass(frozen=True)
class DetectionLevel:
    """One feature map with an SSD head.

    stride: pixels of the network's input per cell of the map (a power of two).
    source: "backbone" or "decoder" (their map of this stride), or "extra" (SSD's additional maps, stride above 32).
    shapes: (width, height) of the default boxes at every cell, pixels of the network's input.
    """

    stride: int
    source: str
    shapes: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class AdaptedCamera:
    """The one camera for which weights were adapted: its image's size and vertical focal length, pixels."""

    width: int
    height: int
    focal_length: float


@dataclass(frozen=True)
class CheckpointDescription:
    """A network, its classes and its units.

    backbone, decoder, head: names in the registries of `network`.
    levels: feature maps with detection heads, finest first.
    class_names: without the background, which is logit 0.
    input_size: (height, width) of the network's input in training, pixels, multiples of 32; its number of pixels is
        the default in use, at any such size.
    pixel_mean, pixel_std: RGB, in units of 8-bit pixels (0..255); the network normalises its input itself.
    depth_range: (minimum, maximum) of the network's depth, metres.
    depth_bound: "logarithmic" (depth is bounded to depth_range) or "none" (the paper's unbounded last layer).
    max_depth: metres; larger depth is no distance but means "beyond" (the sky); None for the maximum of depth_range.
    training_focal_length: pixels of the network's input, or None if depth does not depend on the camera.
    score_threshold: default minimum score of detections.
    depth_error: relative error of an object's depth, one standard deviation, in addition to the variation in its box.
    camera: for which the weights were adapted; None if they are for any camera.
    metrics: figures of this checkpoint by name, for information only.
    """

    backbone: str
    decoder: str
    head: str
    levels: tuple[DetectionLevel, ...]
    class_names: tuple[str, ...]
    input_size: tuple[int, int]
    pixel_mean: tuple[float, float, float]
    pixel_std: tuple[float, float, float]
    depth_range: tuple[float, float] = (1.0, 80.0)
    depth_bound: str = "logarithmic"
    max_depth: float | None = None
    training_focal_length: float | None = None
    score_threshold: float = 0.3
    depth_error: float = 0.0
    camera: AdaptedCamera | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    format_version: int = field(default=FORMAT_VERSION, init=False)

    def __post_init__(self) -> None:
        """Raises ValueError for the first value out of bounds."""
        check_input_size(self.input_size)
        _require(0 < len(self.class_names) <= _MAX_CLASSES, f"1 to {_MAX_CLASSES} classes", len(self.class_names))
        _require(len(set(self.class_names)) == len(self.class_names), "classes named once", list(self.class_names))
        _require(0 < len(self.levels) <= _MAX_LEVELS, f"1 to {_MAX_LEVELS} detection levels", len(self.levels))
        strides = [level.stride for level in self.levels]
        _require(strides == sorted(set(strides)), "detection levels by rising stride", strides)
        for level in self.levels:
            _check_level(level)
        _require(all(math.isfinite(m) for m in self.pixel_mean), "a finite pixel_mean", self.pixel_mean)
        _require(all(math.isfinite(s) and s > 0 for s in self.pixel_std), "a positive pixel_std", self.pixel_std)
        low, high = self.depth_range
        _require(0 < low < high < math.inf, "a depth_range 0 < minimum < maximum", self.depth_range)
        _require(self.depth_bound in ("logarithmic", "none"), "depth_bound logarithmic or none", self.depth_bound)
        maximum = self.max_depth
        _require(maximum is None or low < maximum <= high, "a max_depth in the depth_range or none", maximum)
        focal = self.training_focal_length
        _require(focal is None or 0 < focal < math.inf, "a positive training_focal_length or none", focal)
        _require(0 <= self.score_threshold <= 1, "a score_threshold of 0 to 1", self.score_threshold)
        _require(0 <= self.depth_error <= 10, "a depth_error of 0 to 10", self.depth_error)
        if (camera := self.camera) is not None:
            _require(min(camera.width, camera.height) > 0, "a camera with an image size", camera)
            _require(0 < camera.focal_length < math.inf, "a camera with a positive focal length", camera)

    @property
    def valid_depth_range(self) -> tuple[float, float]:
        """(minimum, maximum) depth that is a distance, metres."""
        low, high = self.depth_range
        return low, high if self.max_depth is None else self.max_depth

    def to_json(self) -> str:
        """The JSON text from which `from_json` makes an equal description."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, origin: str) -> CheckpointDescription:
        """The description in `text`.

        origin: file name for the message.  Raises UserError if a value is missing, unknown or out of bounds.
        """
        try:
            values = json.loads(text)
            if not isinstance(values, dict):
                raise ValueError("expected a JSON object")
            version = values.get("format_version")
            _require(version == FORMAT_VERSION, f"format version {FORMAT_VERSION}", version)
            return _from_dictionary(values)
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
            reason = one_line(f"lacks {error}" if isinstance(error, KeyError) else error)[:_MAX_REASON]
            raise UserError(f"{origin}: not a usable checkpoint description: {reason}") from error


def check_input_size(size: tuple[int, int]) -> None:
    """Raises ValueError unless (height, width) are multiples of 32 within 32..4096."""
    wanted = f"an input size (height, width) of multiples of {INPUT_SIZE_MULTIPLE} up to {MAX_INPUT_SIDE}"
    _require(
        len(size) == 2 and all(0 < side <= MAX_INPUT_SIDE and side % INPUT_SIZE_MULTIPLE == 0 for side in size),
        wanted,
        tuple(size),
    )


def check_input_pixels(number: int) -> None:
    """Raises ValueError unless an input size of about this number of pixels exists."""
    wanted = f"{MIN_INPUT_PIXELS} to {MAX_INPUT_PIXELS} pixels of the network's input"
    _require(MIN_INPUT_PIXELS <= number <= MAX_INPUT_PIXELS, wanted, number)


def _check_level(level: DetectionLevel) -> None:
    """Raises ValueError unless a network can have such a level."""
    stride = level.stride
    _require(2 <= stride <= 1024 and stride & (stride - 1) == 0, "a stride that is a power of two", stride)
    _require(level.source in ("backbone", "decoder", "extra"), "source backbone, decoder or extra", level.source)
    _require((stride > INPUT_SIZE_MULTIPLE) == (level.source == "extra"), "source extra above stride 32 only", level)
    _require(0 < len(level.shapes) <= _MAX_SHAPES, f"1 to {_MAX_SHAPES} default boxes", len(level.shapes))
    for width, height in level.shapes:
        _require(0 < width <= 8192 and 0 < height <= 8192, "default boxes of 0 to 8192 pixels", (width, height))


def _require(condition: bool, expected: str, found: object) -> None:
    if not condition:
        raise ValueError(f"expected {expected}, found {found}")


def _numbers(value: Any, count: int, name: str) -> Any:
    """A tuple of `count` floats; Any, because a type cannot have its length."""
    good = isinstance(value, list) and len(value) == count and all(type(v) in (int, float) for v in value)
    _require(good, f"{count} numbers in {name}", value)
    return tuple(float(v) for v in value)


def _number(value: Any, name: str) -> float:
    return float(_numbers([value], 1, name)[0])


def _whole(value: Any, name: str) -> int:
    _require(type(value) is int, f"a whole number in {name}", value)
    return int(value)


def _text(value: Any, name: str) -> str:
    _require(isinstance(value, str) and 0 < len(value) <= 200, f"a text in {name}", value)
    return str(value)


def _list(value: Any, name: str, limit: int) -> list[Any]:
    _require(isinstance(value, list) and len(value) <= limit, f"a list of at most {limit} in {name}", type(value))
    return list(value)


def _camera(value: Any) -> AdaptedCamera:
    _require(isinstance(value, dict), "an object in camera", type(value))
    width, height = (_whole(value[side], side) for side in ("width", "height"))
    return AdaptedCamera(width, height, _number(value["focal_length"], "focal_length"))


def _from_dictionary(values: dict[str, Any]) -> CheckpointDescription:
    levels = tuple(
        DetectionLevel(
            stride=_whole(level["stride"], "stride"),
            source=_text(level["source"], "source"),
            shapes=tuple(_numbers(shape, 2, "shapes") for shape in _list(level["shapes"], "shapes", _MAX_SHAPES)),
        )
        for level in _list(values["levels"], "levels", _MAX_LEVELS)
    )
    height, width = _list(values["input_size"], "input_size", 2)
    focal = values["training_focal_length"]
    # The first checkpoints lack these values, and depth_error.
    max_depth, camera = values.get("max_depth"), values.get("camera")
    metrics = values["metrics"]
    _require(isinstance(metrics, dict), "an object in metrics", type(metrics))
    return CheckpointDescription(
        backbone=_text(values["backbone"], "backbone"),
        decoder=_text(values["decoder"], "decoder"),
        head=_text(values["head"], "head"),
        levels=levels,
        class_names=tuple(_text(n, "class_names") for n in _list(values["class_names"], "class_names", _MAX_CLASSES)),
        input_size=(_whole(height, "input_size"), _whole(width, "input_size")),
        pixel_mean=_numbers(values["pixel_mean"], 3, "pixel_mean"),
        pixel_std=_numbers(values["pixel_std"], 3, "pixel_std"),
        depth_range=_numbers(values["depth_range"], 2, "depth_range"),
        depth_bound=_text(values["depth_bound"], "depth_bound"),
        max_depth=None if max_depth is None else _number(max_depth, "max_depth"),
        training_focal_length=None if focal is None else _number(focal, "training_focal_length"),
        score_threshold=_number(values["score_threshold"], "score_threshold"),
        depth_error=_number(values.get("depth_error", 0.0), "depth_error"),
        camera=None if camera is None else _camera(camera),
        metrics=metrics,
    )
