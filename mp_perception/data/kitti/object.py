"""KITTI's object data: single images with labels, calibration, and depth maps if available."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mp_perception.arrays import Mask
from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.frame_sets import FrameCamera, FrameSet, find_frames, select_frames
from mp_perception.data.image_files import read_image
from mp_perception.data.kitti.calibration_files import KittiCalibration, read_calibration
from mp_perception.data.kitti.labels import KITTI_CLASSES, read_labels
from mp_perception.data.object_label import ObjectLabel
from mp_perception.errors import UserError


class KittiObjects(FrameSet):
    """Frames of <root>/training: image_2, label_2, calib; depth_2 (16-bit PNG) for frames with a depth map, and sky_2
    (masks, above 0 in the sky) for frames whose sky is known."""

    def __init__(
        self,
        root: Path,
        split: str | None = None,
        class_names: Sequence[str] = DEFAULT_CLASSES,
        origin: str = "kitti-object",
    ) -> None:
        self.folder = root / "training"
        frames = find_frames(self.folder / "image_2", self.folder / "depth_2")
        super().__init__(origin, select_frames(frames, root, split), class_names, KITTI_CLASSES)
        for index, frame in enumerate(self.frames):
            for path in (self._file(index, "label_2"), self._file(index, "calib")):
                if not path.is_file():
                    raise UserError(f"{path}: missing, expected beside {frame.image}")

    def scan_file(self, index: int) -> Path | None:
        """The lidar scan of a frame, or None if it has none."""
        path = self._file(index, "velodyne").with_suffix(".bin")
        return path if path.exists() else None

    def calibration(self, index: int) -> KittiCalibration:
        """The calibration of a frame."""
        return read_calibration(self._file(index, "calib"))

    def labels(self, index: int) -> list[ObjectLabel]:
        return read_labels(self._file(index, "label_2"))

    def camera(self, index: int, width: int, height: int) -> FrameCamera:
        return self.calibration(index).camera(2, width, height)

    def sky(self, index: int) -> Mask | None:
        path = self._file(index, "sky_2").with_suffix(".png")
        return read_image(path)[..., 0] > 0 if path.exists() else None

    def _file(self, index: int, kind: str) -> Path:
        return self.folder / kind / f"{self.frames[index].name}.txt"
