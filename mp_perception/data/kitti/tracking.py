"""KITTI's tracking data: sequences of images with one label file per sequence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.frame_sets import (
    KITTI_CLASSES,
    Frame,
    FrameCamera,
    FrameSet,
    find_images,
    kitti_camera,
    select_frames,
    split_file,
)
from mp_perception.data.kitti.labels import parse_label_line
from mp_perception.data.kitti.sequence_calibration import read_sequence_calibration
from mp_perception.data.object_label import ObjectLabel
from mp_perception.errors import UserError

#: Tracking's name of a type -> the object set's.
_TYPES = {"Person": "Person_sitting"}
_FRAME = re.compile("[0-9]{1,9}")

_read_calibration = cache(read_sequence_calibration)


class KittiTracking(FrameSet):
    """Frames of <root>/training: image_02/SSSS/FFFFFF, label_02/SSSS.txt, calib/SSSS.txt.

    Frames are named SSSS/FFFFFF.  split: a file, or the name of one in <root>/ImageSets.
    Raises UserError naming the file that is missing or wrong.
    """

    def __init__(self, root: Path, split: str | None = None, class_names: Sequence[str] = DEFAULT_CLASSES) -> None:
        self.folder = root / "training"
        images = self.folder / "image_02"
        if not images.is_dir():
            raise UserError(f"{images}: no such folder, expected sequences of KITTI's tracking data")
        frames = [
            Frame(f"{sequence.name}/{name}", image)
            for sequence in sorted(images.iterdir())
            if sequence.is_dir()
            for name, image in find_images(sequence).items()
            if _FRAME.fullmatch(name)
        ]
        super().__init__("kitti-tracking", select_frames(frames, split_file(root, split)), class_names, KITTI_CLASSES)
        for sequence_name in sorted({frame.name.split("/")[0] for frame in self.frames}):
            for kind in ("label_02", "calib"):
                path = self.folder / kind / f"{sequence_name}.txt"
                if not path.is_file():
                    raise UserError(f"{path}: missing, expected for the images in {images / sequence_name}")

    def labels(self, index: int) -> list[ObjectLabel]:
        sequence, number = self.frames[index].name.split("/")
        return read_tracking_labels(self.folder / "label_02" / f"{sequence}.txt").get(int(number), [])

    def camera(self, index: int, width: int, height: int) -> FrameCamera:
        sequence = self.frames[index].name.split("/")[0]
        return kitti_camera(_read_calibration(self.folder / "calib" / f"{sequence}.txt"), 2, width, height)


@cache
def read_tracking_labels(path: Path) -> dict[int, list[ObjectLabel]]:
    """Frame number -> labels.  A line is `frame track` and the object set's columns.

    A sequence's file is read once.  Raises UserError naming file and line.
    """
    labels: dict[int, list[ObjectLabel]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as KITTI tracking labels ({error})") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        columns = line.split(maxsplit=2)
        if len(columns) < 3 or not _FRAME.fullmatch(columns[0]):
            raise UserError(f"{where}: expected frame, track and a label, found {line[:60]!r}")
        label_columns = columns[2].split()
        label_columns[0] = _TYPES.get(label_columns[0], label_columns[0])
        labels.setdefault(int(columns[0]), []).append(parse_label_line(" ".join(label_columns), where))
    return labels
