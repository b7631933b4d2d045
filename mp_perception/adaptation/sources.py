"""What a camera recorded, opened as one data set: bags, the folder of a recording, or folders of images and depth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mp_perception.arrays import DepthMap
from mp_perception.bags.opening import open_bags
from mp_perception.bags.topic_choice import ChosenTopics
from mp_perception.data.depth_png import UNITS_PER_METRE
from mp_perception.data.frame_sets import FrameCamera, FrameSet, find_frames
from mp_perception.data.recording import Recording
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics


@dataclass(frozen=True)
class ImageFolders:
    """Images and depth maps (16-bit PNG, named like the images) of one camera.

    intrinsics: fx, fy, cx, cy, pixels of the images.  depth_units: the stored value of one metre; 0 means unknown.
    """

    images: Path
    depth: Path
    intrinsics: tuple[float, float, float, float]
    depth_units: float = UNITS_PER_METRE


class FolderFrames(FrameSet):
    """The frames of such folders, in order of their names."""

    def __init__(self, folders: ImageFolders) -> None:
        if not folders.depth.is_dir():
            raise UserError(f"{folders.depth}: no such folder, expected depth maps (.png)")
        super().__init__("images", find_frames(folders.images, folders.depth))
        self._folders = folders

    def depth(self, index: int) -> DepthMap | None:
        depth = super().depth(index)
        return None if depth is None else depth * np.float32(UNITS_PER_METRE / self._folders.depth_units)

    def camera(self, index: int, width: int, height: int) -> FrameCamera:
        try:
            return FrameCamera(CameraIntrinsics(*self._folders.intrinsics, width, height))
        except ValueError as error:
            raise UserError(f"--intrinsics: {error}") from error


@contextmanager
def open_source(recordings: Sequence[Path], topics: ChosenTopics, folders: ImageFolders | None) -> Iterator[FrameSet]:
    """The frames of bags, of one recording's folder, or of folders of images and depth.

    Raises UserError if there is not exactly one kind of them, or they cannot be read.
    """
    if (folders is not None) == bool(recordings):
        raise UserError("adapt: expected either bags (or a recording's folder), or --images, --depth and --intrinsics")
    if folders is not None:
        yield FolderFrames(folders)
    elif any((path / "image").is_dir() for path in recordings):
        if len(recordings) > 1:
            raise UserError(f"{recordings[0]}: expected bags, or the folder of one recording, found several folders")
        yield Recording(recordings[0])
    else:
        with open_bags(recordings, topics, False) as frames:
            yield frames
