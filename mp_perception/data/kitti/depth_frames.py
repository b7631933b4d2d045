"""KITTI's depth data as samples: official maps with the images of the raw drives, both colour cameras."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.frame_sets import Frame, FrameCamera, FrameSet, kitti_camera, select_frames
from mp_perception.data.kitti.calibration import read_raw_calibration
from mp_perception.data.kitti.depth_files import (
    KINDS,
    PARTS,
    depth_folder,
    drive_folder,
    find_depth_root,
    find_raw_root,
    raw_image,
)
from mp_perception.errors import UserError

_read_calibration = cache(read_raw_calibration)


class KittiDepth(FrameSet):
    """Every map of the official layout, with its image.

    root: holds train/ and val/ (or depth/ with them), and the raw drives' dates (or raw/ with them, or beside it).
    split: "train", "val", a file of names, or None for all.  A frame is named <drive>/image_0C/<10 digits>.
    Per drive and camera the ground truth is taken, or the single scans where there is none; `kinds` counts them.
    Raises UserError naming the file that is missing or wrong.
    """

    def __init__(self, root: Path, split: str | None = None, class_names: Sequence[str] = DEFAULT_CLASSES) -> None:
        depth_root, raw_root = find_depth_root(root), find_raw_root(root)
        if depth_root is None:
            raise UserError(f"{root}: expected train|val/<drive>/proj_depth in it or in depth/, found none")
        if raw_root is None:
            raise UserError(f"{root}: expected raw drives <date>/<drive>_sync in it, in raw/ or in ../raw, found none")
        self._raw_root = raw_root
        parts = (split,) if split in PARTS else PARTS
        frames = list(_frames(depth_root, raw_root, parts))
        if not frames:
            raise UserError(f"{depth_root}: expected depth maps of {' or '.join(parts)}, found none")
        super().__init__("kitti-depth", select_frames(frames, _names_file(split)), class_names)
        self.kinds = Counter(frame.depth.parts[-3] for frame in self.frames if frame.depth)

    def camera(self, index: int, width: int, height: int) -> FrameCamera:
        drive, camera, _ = self.frames[index].name.split("/")
        calibration = _read_calibration(drive_folder(self._raw_root, drive).parent)
        return kitti_camera(calibration, int(camera[-1]), width, height)


def _names_file(split: str | None) -> Path | None:
    if split is None or split in PARTS:
        return None
    if not Path(split).is_file():
        raise UserError(f"split '{split}': expected 'train', 'val' or a file of names, found no such file")
    return Path(split)


def _frames(depth_root: Path, raw_root: Path, parts: Sequence[str]) -> Iterator[Frame]:
    for part in parts:
        for drive in sorted(path.parent.name for path in (depth_root / part).glob("*/proj_depth")):
            for camera in (2, 3):
                folders = (depth_folder(depth_root, part, drive, kind, camera) for kind in KINDS)
                maps = next((maps for folder in folders if (maps := sorted(folder.glob("*.png")))), [])
                for depth in maps:
                    if not (len(depth.stem) == 10 and depth.stem.isdecimal()):
                        raise UserError(f"{depth}: expected a name of ten digits")
                    image = raw_image(raw_root, drive, camera, int(depth.stem))
                    yield Frame(f"{drive}/image_0{camera}/{depth.stem}", image, depth)
