"""KITTI's selection of 1,000 validation images with depth (depth_selection/val_selection_cropped), all 1216x352."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.frame_sets import Frame, FrameCamera, FrameSet, find_images, select_frames, split_file
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics

_FOLDER = Path("depth_selection") / "val_selection_cropped"


class KittiDepthSelection(FrameSet):
    """Images of <root>, or of <root>/depth_selection/val_selection_cropped: image, groundtruth_depth, intrinsics.

    An image is named <drive>_image_<10 digits>_image_0C; its map has groundtruth_depth for the first image.
    split: a file of names, or the name of one in <root>/ImageSets.  Raises UserError naming what is missing or wrong.
    """

    def __init__(self, root: Path, split: str | None = None, class_names: Sequence[str] = DEFAULT_CLASSES) -> None:
        self.folder = root / _FOLDER if (root / _FOLDER).is_dir() else root
        frames = []
        for name, image in find_images(self.folder / "image").items():
            depth = self.folder / "groundtruth_depth" / f"{name.replace('_image_', '_groundtruth_depth_', 1)}.png"
            for path in (depth, self._intrinsics_file(name)):
                if not path.is_file():
                    raise UserError(f"{path}: missing, expected beside {image}")
            frames.append(Frame(name, image, depth))
        super().__init__("kitti-depth-selection", select_frames(frames, split_file(root, split)), class_names)

    def camera(self, index: int, width: int, height: int) -> FrameCamera:
        path = self._intrinsics_file(self.frames[index].name)
        try:
            values = [float(column) for column in path.read_text(encoding="ascii").split()]
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise UserError(f"{path}:1: expected the nine numbers of a camera matrix ({error})") from None
        if len(values) != 9 or not np.isfinite(values).all() or values[0] <= 0 or values[4] <= 0:
            raise UserError(f"{path}:1: expected the nine numbers of a camera matrix, found {len(values)}")
        return FrameCamera(CameraIntrinsics(values[0], values[4], values[2], values[5], width, height))

    def _intrinsics_file(self, name: str) -> Path:
        return self.folder / "intrinsics" / f"{name}.txt"
