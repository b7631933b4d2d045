"""Where KITTI's depth maps and raw drives are on disk.

Depth maps: train|val/<drive>/proj_depth/groundtruth|velodyne_raw/image_02|image_03/<10 digits>.png
Raw drives: <date>/<drive>, with <drive> = <date>_drive_<number>_sync
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mp_perception.data.kitti.raw import numbered_files

#: The parts of the depth data.
PARTS = ("train", "val")
#: What a map was made of: eleven scans, checked against stereo; or one scan.
KINDS = ("groundtruth", "velodyne_raw")


def depth_folder(root: Path, part: str, drive: str, kind: str, camera: int) -> Path:
    """The folder of the maps of one kind, of one camera of a drive."""
    return root / part / drive / "proj_depth" / kind / f"image_0{camera}"


def depth_maps(root: Path, drive: str, camera: int, parts: Sequence[str] = PARTS) -> dict[int, Path]:
    """Frame number -> map of a drive's camera: ground truth, or single scans if the drive has no ground truth."""
    for kind in KINDS:
        folders = [depth_folder(root, part, drive, kind, camera) for part in parts]
        maps = {number: path for folder in folders for number, path in numbered_files(folder, (".png",)).items()}
        if maps:
            return maps
    return {}


def find_depth_root(root: Path) -> Path | None:
    """The folder with the parts of the depth data: root, root/depth or root/../depth."""
    return _find(root, "depth", "*/*/proj_depth")


def find_raw_root(root: Path) -> Path | None:
    """The folder with the dates of the raw drives: root, root/raw or root/../raw."""
    return _find(root, "raw", "*_*_*/*_drive_*_sync")


def _find(root: Path, name: str, pattern: str) -> Path | None:
    folders = (root, root / name, root.parent / name)
    return next((folder for folder in folders if next(folder.glob(pattern), None)), None)
