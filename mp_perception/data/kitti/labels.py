"""KITTI's label lines, read and written, and its result lines, written: the only module that knows their columns.

15 columns in a label line, 16 in a result line (the last one the score).  Where a value is unknown the columns hold
-1 (truncation, occlusion, dimensions), -10 (angles) and -1000 (location).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from mp_perception.arrays import Matrix
from mp_perception.classes import KITTI_TYPES
from mp_perception.data.object_label import IGNORED_REGION, Box3D, ObjectLabel
from mp_perception.data.text_files import parse_numbers, read_lines
from mp_perception.errors import UserError
from mp_perception.files import write_atomically
from mp_perception.prediction import Detections

#: The classes that KITTI labels.
KITTI_CLASSES = tuple(name for name in KITTI_TYPES if name != IGNORED_REGION)


def parse_label_line(line: str, where: str) -> ObjectLabel:
    """The label of one line.  The observation angle (alpha) and a score are not kept.

    where: file and line, the beginning of the message of the UserError that a wrong line raises.
    """
    columns = line.split()
    if len(columns) not in (15, 16):
        raise UserError(f"{where}: expected 15 columns (16 with a score), found {len(columns)}")
    values = parse_numbers(" ".join(columns[1:]), len(columns) - 1, where)
    truncation, occlusion, _, left, top, right, bottom, height, width, length, x, y, z, rotation_y = values[:14]
    if not (truncation == -1 or 0 <= truncation <= 1):
        raise UserError(f"{where}: expected a truncation of 0..1 (-1 unknown), found {truncation:g}")
    if occlusion not in (-1, 0, 1, 2, 3):
        raise UserError(f"{where}: expected an occlusion of 0, 1, 2, 3 (-1 unknown), found {occlusion:g}")
    if right < left or bottom < top:
        raise UserError(f"{where}: expected a box left top right bottom, found {left:g} {top:g} {right:g} {bottom:g}")
    has_3d_box = min(height, width, length) > 0 and z > -1000 and rotation_y != -10
    return ObjectLabel(
        class_name=columns[0],
        box=(left, top, right, bottom),
        truncation=None if truncation == -1 else truncation,
        occlusion=None if occlusion == -1 else int(occlusion),
        box_3d=Box3D((x, y, z), (height, width, length), rotation_y) if has_3d_box else None,
    )


def read_labels(path: Path) -> list[ObjectLabel]:
    """The labels of one image; an empty file is an image without objects.  Raises UserError naming file and line."""
    lines = enumerate(read_lines(path, "KITTI labels"), start=1)
    return [parse_label_line(line, f"{path}:{number}") for number, line in lines if line.strip()]


def format_label_line(label: ObjectLabel, format_number: Callable[[float], str] = "{:.2f}".format) -> str:
    """The line of a label, without line end.  format_number: two decimals as in KITTI's own files by default."""
    truncation = -1.0 if label.truncation is None else label.truncation
    occlusion = -1 if label.occlusion is None else label.occlusion
    alpha, dimensions = -10.0, (-1.0, -1.0, -1.0)
    location, rotation_y = (-1000.0, -1000.0, -1000.0), -10.0
    if (box := label.box_3d) is not None:
        alpha, dimensions = _observation_angle(box), box.dimensions
        location, rotation_y = box.bottom_centre, box.rotation_y
    numbers = map(format_number, (alpha, *label.box, *dimensions, *location, rotation_y))
    return " ".join([_column(label.class_name), format_number(truncation), str(occlusion), *numbers])


def write_labels(path: Path, labels: Iterable[ObjectLabel]) -> None:
    """Write the labels of one image."""
    write_atomically(path, "".join(f"{format_label_line(label)}\n" for label in labels).encode())


def write_results(path: Path, detections: Detections, label_to_camera: Matrix) -> None:
    """Write the detections of one image as result lines, in their order.

    The location is the predicted position (of the visible surface in the middle of the box, not of the bottom of a 3D
    box); truncation, occlusion, dimensions and angles are unknown.
    label_to_camera: (4, 4), a translation from KITTI's label frame (rectified camera 0) to the camera's frame.
    """
    locations = detections.position.astype(np.float64) - label_to_camera[:3, 3]
    locations[~np.isfinite(locations).all(axis=1)] = -1000
    lines = []
    for i, location in enumerate(locations):
        # Boxes and scores are exact (nine digits of a float32): average precision from the files is ours.
        box = " ".join(f"{value:.9g}" for value in detections.boxes[i])
        place = " ".join(f"{value:.2f}" for value in location)
        columns = f"-1.00 -1 -10.00 {box} -1.00 -1.00 -1.00 {place} -10.00 {detections.scores[i]:.9g}"
        lines.append(f"{_column(detections.name(i))} {columns}\n")
    write_atomically(path, "".join(lines).encode())


def _column(class_name: str) -> str:
    """A class name as one column, as in KITTI's Person_sitting."""
    return "_".join(class_name.split())


def _observation_angle(box: Box3D) -> float:
    """KITTI's alpha: the rotation relative to the ray from the camera to the object, radians, -pi..pi."""
    x, _, z = box.bottom_centre
    return (box.rotation_y - math.atan2(x, z) + math.pi) % (2 * math.pi) - math.pi
