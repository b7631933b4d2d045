"""KITTI's object label lines, read and written.

15 columns in labels, 16 in results (the last one the score).  Label files without 3D boxes fill the columns they do
not know with -1, -10 and -1000, as KITTI's DontCare lines do; such lines are boxes for detection and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mp_perception.errors import UserError
from mp_perception.files import write_atomically


@dataclass(frozen=True)
class KittiLabel:
    """One object of one image.

    type: KITTI's (classes.KITTI_TYPES) or a data set's own name.
    truncated: 0..1, -1 unknown.  occluded: 0 visible, 1 partly, 2 largely, 3 unknown, -1 unknown.
    alpha: observation angle, radians, -10 unknown.
    box: left, top, right, bottom, pixels from 0.
    dimensions: height, width, length, metres, -1 unknown.
    location: x, y, z of the box's bottom centre in the rectified camera 0 frame, metres, -1000 unknown.
    rotation_y: radians about the camera's y axis, -10 unknown.
    score: only in results; higher is surer.
    """

    type: str
    truncated: float
    occluded: int
    alpha: float
    box: tuple[float, float, float, float]
    dimensions: tuple[float, float, float]
    location: tuple[float, float, float]
    rotation_y: float
    score: float | None = None

    @property
    def has_3d_box(self) -> bool:
        """Whether dimensions and location are known."""
        return min(self.dimensions) > 0 and self.location[2] > -1000


def parse_label_line(line: str, where: str) -> KittiLabel:
    """One label from its line; where (file:line) begins the message of the UserError that a wrong line raises."""
    columns = line.split()
    if len(columns) not in (15, 16):
        raise UserError(f"{where}: expected 15 columns (16 with a score), found {len(columns)}")
    try:
        values = [float(column) for column in columns[1:]]
    except ValueError:
        raise UserError(f"{where}: expected numbers after the type, found {line.strip()[:80]!r}") from None
    if not all(math.isfinite(value) for value in values):
        raise UserError(f"{where}: expected finite numbers, found {line.strip()[:80]!r}")
    truncated, occluded, alpha, left, top, right, bottom, height, width, length, x, y, z, rotation_y = values[:14]
    if not (truncated == -1 or 0 <= truncated <= 1):
        raise UserError(f"{where}: expected a truncation of 0..1 (-1 unknown), found {truncated:g}")
    if occluded not in (-1, 0, 1, 2, 3):
        raise UserError(f"{where}: expected an occlusion of 0, 1, 2, 3 (-1 unknown), found {occluded:g}")
    if right < left or bottom < top:
        raise UserError(f"{where}: expected a box left top right bottom, found {left:g} {top:g} {right:g} {bottom:g}")
    return KittiLabel(
        type=columns[0],
        truncated=truncated,
        occluded=int(occluded),
        alpha=alpha,
        box=(left, top, right, bottom),
        dimensions=(height, width, length),
        location=(x, y, z),
        rotation_y=rotation_y,
        score=values[14] if len(values) == 15 else None,
    )


def read_labels(path: Path) -> list[KittiLabel]:
    """The labels of one image; an empty file is an image without objects.  Raises UserError naming file and line."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: missing, expected a KITTI label file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as KITTI labels ({error})") from None
    return [
        parse_label_line(line, f"{path}:{number}")
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip()
    ]


def format_label_line(label: KittiLabel) -> str:
    """The line of a label, without line end: two decimals as in KITTI's own files, the score with six."""
    numbers = [label.alpha, *label.box, *label.dimensions, *label.location, label.rotation_y]
    columns = [label.type, f"{label.truncated:.2f}", str(label.occluded), *(f"{number:.2f}" for number in numbers)]
    if label.score is not None:
        columns.append(f"{label.score:.6f}")
    return " ".join(columns)


def write_labels(path: Path, labels: Iterable[KittiLabel]) -> None:
    """Write the labels of one image; the file appears whole or not at all."""
    write_atomically(path, "".join(f"{format_label_line(label)}\n" for label in labels).encode())
