"""KITTI's tracking data: sequences of images with one label file and one calibration file per sequence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.frame_sets import FrameCamera, FrameSet, find_frames, select_frames
from mp_perception.data.kitti.calibration_files import read_calibration
from mp_perception.data.kitti.labels import KITTI_CLASSES, parse_label_line
from mp_perception.data.kitti.raw import FRAME_PERIOD_NS
from mp_perception.data.object_label import ObjectLabel
from mp_perception.data.text_files import read_lines
from mp_perception.errors import UserError

#: Class name in the tracking data -> in the object data.
_CLASS_NAMES = {"Person": "Person_sitting"}
_FRAME_NUMBER = re.compile("[0-9]{1,9}")
#: Regions whose objects are unknown have -1.
_TRACK_NUMBER = re.compile("-1|[0-9]{1,9}")


class KittiTracking(FrameSet):
    """Frames of <root>/training: image_02/SSSS/FFFFFF, label_02/SSSS.txt, calib/SSSS.txt, named SSSS/FFFFFF."""

    def __init__(self, root: Path, split: str | None = None, class_names: Sequence[str] = DEFAULT_CLASSES) -> None:
        self.folder = root / "training"
        images = self.folder / "image_02"
        if not images.is_dir():
            raise UserError(f"{images}: no such folder, expected sequences of KITTI's tracking data")
        frames = [
            frame
            for sequence in sorted(path for path in images.iterdir() if path.is_dir())
            for frame in find_frames(sequence, prefix=f"{sequence.name}/")
            if _FRAME_NUMBER.fullmatch(frame.image.stem)
        ]
        super().__init__("kitti-tracking", select_frames(frames, root, split), class_names, KITTI_CLASSES)
        sequences = sorted({frame.image.parent.name for frame in self.frames})
        self.calibrations = {name: read_calibration(self.folder / "calib" / f"{name}.txt") for name in sequences}
        for name in sequences:
            if not (path := self.folder / "label_02" / f"{name}.txt").is_file():
                raise UserError(f"{path}: missing, expected for the images in {images / name}")

    def labels(self, index: int) -> list[ObjectLabel]:
        sequence, number = self.frames[index].name.split("/")
        return read_tracking_labels(self.folder / "label_02" / f"{sequence}.txt").get(int(number), [])

    def stamp(self, index: int) -> float:
        return int(self.frames[index].name.split("/")[1]) * FRAME_PERIOD_NS / 1e9

    def camera(self, index: int, width: int, height: int) -> FrameCamera:
        return self.calibrations[self.frames[index].image.parent.name].camera(2, width, height)


@cache
def read_tracking_labels(path: Path) -> dict[int, list[ObjectLabel]]:
    """Frame number -> labels of a sequence.  A line is `frame track` and the columns of the object data.

    Raises UserError naming file and line.
    """
    labels: dict[int, list[ObjectLabel]] = {}
    for number, line in enumerate(read_lines(path, "KITTI tracking labels"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        columns = line.split()
        if len(columns) < 3 or not (_FRAME_NUMBER.fullmatch(columns[0]) and _TRACK_NUMBER.fullmatch(columns[1])):
            raise UserError(f"{where}: expected frame, track and a label, found {line[:60]!r}")
        class_name = _CLASS_NAMES.get(columns[2], columns[2])
        label = parse_label_line(" ".join([class_name, *columns[3:]]), where)
        track = int(columns[1])
        labels.setdefault(int(columns[0]), []).append(replace(label, identity=None if track < 0 else track))
    return labels
