"""KITTI's odometry sequences with depth maps: images of camera 2, no labelled objects."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.frame_sets import (
    Frame,
    FrameCamera,
    FrameSet,
    find_images,
    kitti_camera,
    select_frames,
    split_file,
)
from mp_perception.data.kitti.sequence_calibration import read_sequence_calibration
from mp_perception.errors import UserError

_read_calibration = cache(read_sequence_calibration)


class KittiOdometry(FrameSet):
    """Frames of <root>/sequences/SS: image_2, calib.txt, and depth_2 (16-bit PNG); those without a map are left out.

    Frames are named SS/FFFFFF.  split: a file, or the name of one in <root>/ImageSets.
    Raises UserError naming the file that is missing or wrong.
    """

    def __init__(self, root: Path, split: str | None = None, class_names: Sequence[str] = DEFAULT_CLASSES) -> None:
        self.folder = root / "sequences"
        if not self.folder.is_dir():
            raise UserError(f"{self.folder}: no such folder, expected KITTI odometry sequences")
        frames = []
        for sequence in sorted(path for path in self.folder.iterdir() if (path / "image_2").is_dir()):
            for name, image in find_images(sequence / "image_2").items():
                depth = sequence / "depth_2" / f"{name}.png"
                if depth.exists():
                    frames.append(Frame(f"{sequence.name}/{name}", image, depth))
        if not frames:
            raise UserError(f"{self.folder}: expected SS/image_2 with maps of the same names in SS/depth_2, found none")
        super().__init__("kitti-odometry", select_frames(frames, split_file(root, split)), class_names)

    def camera(self, index: int, width: int, height: int) -> FrameCamera:
        sequence = self.frames[index].name.split("/")[0]
        return kitti_camera(_read_calibration(self.folder / sequence / "calib.txt"), 2, width, height)
