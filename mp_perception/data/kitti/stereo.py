"""KITTI's stereo 2015 frames with depth maps: single images of camera 2, no labelled objects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.frame_sets import (
    Frame,
    FrameCamera,
    FrameSet,
    find_images,
    select_frames,
    split_file,
)
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics

#: KITTI was recorded on five days, each with its own calibration and image size: (width, height) -> f, cx, cy of the
#: rectified cameras, pixels (P_rect_02 in the raw data's calib_cam_to_cam.txt).
_CAMERAS = {
    (1242, 375): (721.5377, 609.5593, 172.8540),  # 2011_09_26
    (1224, 370): (707.0493, 604.0814, 180.5066),  # 2011_09_28
    (1238, 374): (718.3351, 600.3891, 181.5122),  # 2011_09_29
    (1226, 370): (707.0912, 601.8873, 183.1104),  # 2011_09_30
    (1241, 376): (718.8560, 607.1928, 185.2157),  # 2011_10_03
}


class KittiStereo(FrameSet):
    """Frames of <root>/training: image_2/NNNNNN_10 and depth_2 (16-bit PNG); those without a map are left out.

    The camera is known by the image's size.  split: a file, or the name of one in <root>/ImageSets.
    Raises UserError naming the file that is missing or wrong.
    """

    def __init__(self, root: Path, split: str | None = None, class_names: Sequence[str] = DEFAULT_CLASSES) -> None:
        folder = root / "training"
        frames = [
            Frame(name, image, depth)
            for name, image in find_images(folder / "image_2").items()
            if (depth := folder / "depth_2" / f"{name}.png").exists()
        ]
        if not frames:
            raise UserError(f"{folder / 'depth_2'}: expected depth maps named as the images in image_2, found none")
        super().__init__("kitti-stereo", select_frames(frames, split_file(root, split)), class_names)

    def camera(self, index: int, width: int, height: int) -> FrameCamera:
        if (width, height) not in _CAMERAS:
            sizes = ", ".join(f"{known[0]}x{known[1]}" for known in _CAMERAS)
            image = self.frames[index].image
            raise UserError(f"{image}: expected an image of KITTI's sizes ({sizes}), found {width}x{height}")
        focal, cx, cy = _CAMERAS[width, height]
        return FrameCamera(CameraIntrinsics(focal, focal, cx, cy, width, height))
