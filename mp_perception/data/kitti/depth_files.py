"""The official layout of KITTI's depth maps, and which raw image belongs to which map.

train|val/<drive>/proj_depth/groundtruth|velodyne_raw/image_02|image_03/<10 digits>.png
"""

from __future__ import annotations

from pathlib import Path

from mp_perception.data.kitti.raw import IMAGE_SUFFIXES
from mp_perception.errors import UserError

#: The parts of the data set.
PARTS = ("train", "val")
#: What a map was made of: eleven scans, checked against stereo; or one scan.  The first that exists is taken.
KINDS = ("groundtruth", "velodyne_raw")


def depth_folder(root: Path, part: str, drive: str, kind: str, camera: int) -> Path:
    """The folder of a drive's maps."""
    return root / part / drive / "proj_depth" / kind / f"image_0{camera}"


def find_depth_root(root: Path) -> Path | None:
    """The folder that holds train/ or val/ with depth maps: root itself, or depth/ in it or beside it."""
    for folder in (root, root / "depth", root.parent / "depth"):
        if any(next((folder / part).glob("*/proj_depth"), None) for part in PARTS):
            return folder
    return None


def find_raw_root(root: Path) -> Path | None:
    """The folder that holds the dates of raw drives: root itself, or raw/ in it or beside it."""
    for folder in (root, root / "raw", root.parent / "raw"):
        if next(folder.glob("*_*_*/*_drive_*_sync"), None):
            return folder
    return None


def drive_folder(raw_root: Path, drive: str) -> Path:
    """Where a raw drive lies: in the folder of its date."""
    return raw_root / drive[:10] / drive


def find_depth_map(depth_root: Path, drive: str, camera: int, number: int, kind: str) -> Path | None:
    """A frame's map of a kind, in either part, or None."""
    for part in PARTS:
        path = depth_folder(depth_root, part, drive, kind, camera) / f"{number:010d}.png"
        if path.exists():
            return path
    return None


def depth_kind(depth_root: Path, drive: str, camera: int) -> str | None:
    """The kind of map to take for a drive's camera: the ground truth, else the single scans; None if it has neither."""
    for kind in KINDS:
        if any(depth_folder(depth_root, part, drive, kind, camera).is_dir() for part in PARTS):
            return kind
    return None


def raw_image(raw_root: Path, drive: str, camera: int, number: int) -> Path:
    """The image of a map, .png or .jpg; raises UserError if there is none."""
    stem = drive_folder(raw_root, drive) / f"image_0{camera}" / "data" / f"{number:010d}"
    for suffix in IMAGE_SUFFIXES:
        if (path := stem.with_suffix(suffix)).exists():
            return path
    raise UserError(f"{stem}.png: missing (nor .jpg), but {drive} has a depth map of this frame")
