"""KITTI's object data: images with labels and calibration, a frame per number, and depth maps where they are given.

The synthetic object sets have the same layout.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from mp_perception.data.kitti.calibration import KittiCalibration, read_object_calibration
from mp_perception.data.kitti.labels import read_labels
from mp_perception.data.object_label import ObjectLabel
from mp_perception.errors import UserError


class KittiObjects(FrameSet):
    """Frames of <root>/training: image_2, label_2, calib, and depth_2 (16-bit PNG) where a frame has a map.

    split: a file, or the name of one in <root>/ImageSets.  Raises UserError naming the file that is missing or wrong.
    """

    def __init__(
        self,
        root: Path,
        split: str | None = None,
        class_names: Sequence[str] = DEFAULT_CLASSES,
        origin: str = "kitti-object",
    ) -> None:
        self.folder = root / "training"
        images = find_images(self.folder / "image_2")
        frames = []
        for name, image in images.items():
            depth = self.folder / "depth_2" / f"{name}.png"
            frames.append(Frame(name, image, depth if depth.exists() else None))
        super().__init__(origin, select_frames(frames, split_file(root, split)), class_names, KITTI_CLASSES)
        for frame in self.frames:
            for path in (self.label_file(frame.name), self.calibration_file(frame.name)):
                if not path.is_file():
                    raise UserError(f"{path}: missing, expected beside {frame.image}")

    def label_file(self, name: str) -> Path:
        """Where a frame's labels stand."""
        return self.folder / "label_2" / f"{name}.txt"

    def calibration_file(self, name: str) -> Path:
        """Where a frame's calibration stands."""
        return self.folder / "calib" / f"{name}.txt"

    def scan_file(self, name: str) -> Path | None:
        """A frame's laser scan, where there is one."""
        path = self.folder / "velodyne" / f"{name}.bin"
        return path if path.exists() else None

    def calibration(self, index: int) -> KittiCalibration:
        """The calibration of a frame."""
        return read_object_calibration(self.calibration_file(self.frames[index].name))

    def labels(self, index: int) -> list[ObjectLabel]:
        return read_labels(self.label_file(self.frames[index].name))

    def camera(self, index: int, width: int, height: int) -> FrameCamera:
        return kitti_camera(self.calibration(index), 2, width, height)
