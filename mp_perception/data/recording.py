"""A camera's recording as a folder: images, metric depth, the camera, time stamps and boxes.

    image/NAME.jpg or .png
    depth/NAME.png        16 bit, metres x 256, 0 where unknown, as large as the image; for any of the images
    calib.txt             one "name value" per line: fx, fy, cx, cy, width, height and, if there is one, distortion
    timestamps.txt        one "NAME seconds" per line
    annotations.json      boxes in COCO's format, or label/NAME.txt with KITTI's columns

Only the images are required.  `mp_perception data from-bag` writes this folder, and labelling tools open it: what they
export takes the place of annotations.json.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.coco import read_annotations
from mp_perception.data.coco_classes import from_coco, labelled_in_coco
from mp_perception.data.frame_sets import FrameCamera, FrameSet, find_frames, select_frames
from mp_perception.data.kitti.labels import read_labels
from mp_perception.data.object_label import IGNORED_REGION, ObjectLabel
from mp_perception.data.text_files import parse_numbers, read_lines
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics
from mp_perception.lens_distortion import LensDistortion

_CALIBRATION = ("fx", "fy", "cx", "cy", "width", "height")
_DECIMAL = re.compile(r"-?[0-9]{1,12}(\.[0-9]{0,12})?")
#: Label Studio puts eight hexadecimal digits before the name of an uploaded image.
_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")


class Recording(FrameSet):
    """The frames of such a folder.

    A frame without an entry in annotations.json, or without a file in label/, is not labelled.
    """

    def __init__(self, root: Path, split: str | None = None, class_names: Sequence[str] = DEFAULT_CLASSES) -> None:
        frames = find_frames(root / "image", root / "depth")
        self._labels, labelled = _read_all_labels(root, [frame.name for frame in frames])
        super().__init__("recording", select_frames(frames, root, split), class_names, labelled)
        self._calibration = root / "calib.txt"
        self._camera = read_camera(self._calibration) if self._calibration.is_file() else None
        times = root / "timestamps.txt"
        self._seconds = _read_times(times) if times.is_file() else None
        if self._seconds is not None:
            missing = next((frame.name for frame in self.frames if frame.name not in self._seconds), None)
            if missing is not None:
                raise UserError(f"{times}: expected a line for every image, found none for {missing}")

    def labels(self, index: int) -> list[ObjectLabel] | None:
        labels = self._labels.get(self.frames[index].name)
        return None if labels is None else from_coco(labels, self.class_names)

    def camera(self, index: int, width: int, height: int) -> FrameCamera | None:
        if self._camera is not None and (self._camera.width, self._camera.height) != (width, height):
            expected, found = f"{self._camera.width}x{self._camera.height}", f"{width}x{height}"
            raise UserError(f"{self.frames[index].image}: expected {expected} pixels as in calib.txt, found {found}")
        return None if self._camera is None else FrameCamera(self._camera)

    def stamp(self, index: int) -> float | None:
        return None if self._seconds is None else self._seconds[self.frames[index].name]


def read_camera(path: Path) -> CameraIntrinsics:
    """The camera of a calib.txt; lines of other names are remarks.  Raises UserError naming file and line."""
    values: dict[str, float] = {}
    distortion = None
    for number, line in enumerate(read_lines(path, "the camera's calibration"), start=1):
        name, _, text = line.strip().partition(" ")
        where = f"{path}:{number}"
        if name in _CALIBRATION:
            (values[name],) = parse_numbers(text, 1, f"{where}: {name}")
        elif name == "distortion":
            distortion = _parse_distortion(text, where)
    if missing := [name for name in _CALIBRATION if name not in values]:
        raise UserError(f"{path}: expected lines {', '.join(_CALIBRATION)}, found none of {', '.join(missing)}")
    fx, fy, cx, cy, width, height = (values[name] for name in _CALIBRATION)
    try:
        return CameraIntrinsics(fx, fy, cx, cy, int(width), int(height), distortion)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def format_camera(camera: CameraIntrinsics) -> str:
    """The lines of a calib.txt."""
    lens = camera.distortion
    distortion = "none" if lens is None else " ".join([lens.model, *map(repr, lens.coefficients)])
    lines = [f"{name} {getattr(camera, name)!r}" for name in _CALIBRATION]
    return "\n".join([*lines, f"distortion {distortion}\n"])


def format_times(seconds: Mapping[str, int]) -> str:
    """The lines of a timestamps.txt.  seconds: name of the image -> nanoseconds."""
    return "".join(f"{name} {time // 10**9}.{time % 10**9:09d}\n" for name, time in seconds.items())


def _parse_distortion(text: str, where: str) -> LensDistortion | None:
    """The model and its coefficients; None for a text that begins with none or unknown."""
    model, *coefficients = text.split() or ["none"]
    if model in ("none", "unknown"):
        return None
    try:
        return LensDistortion(model, tuple(parse_numbers(" ".join(coefficients), len(coefficients), where)))
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def _read_times(path: Path) -> dict[str, float]:
    times: dict[str, float] = {}
    for number, line in enumerate(read_lines(path, "time stamps"), start=1):
        name, _, text = line.strip().rpartition(" ")
        if not text:
            continue
        if not (name and _DECIMAL.fullmatch(text)):
            raise UserError(f"{path}:{number}: expected the name of an image and its time in seconds, found {line!r}")
        times[name.rstrip()] = float(text)
    return times


def _read_all_labels(root: Path, names: Sequence[str]) -> tuple[dict[str, list[ObjectLabel]], tuple[str, ...]]:
    """The labels of the labelled images, by name, and the classes that are labelled."""
    annotations, folder = root / "annotations.json", root / "label"
    if annotations.is_file():
        categories, by_file = read_annotations(annotations)
        known = set(names)
        labels = {name: found for file, found in by_file.items() if (name := _image_name(file, known)) is not None}
        if not labels:
            raise UserError(f"{annotations}: expected images of {root / 'image'}, found {next(iter(by_file))}")
        return labels, labelled_in_coco(categories)
    labels = {name: read_labels(path) for name in names if (path := folder / f"{name}.txt").is_file()}
    occurring = {label.class_name for found in labels.values() for label in found} - {IGNORED_REGION}
    return labels, labelled_in_coco(occurring)


def _image_name(file: str, known: set[str]) -> str | None:
    """The image of an annotation file's entry: labelling tools change its folder, and some put digits before it."""
    name = PurePosixPath(file.replace("\\", "/")).stem
    return next((found for found in (name, _UPLOAD_PREFIX.sub("", name)) if found in known), None)
