"""Depth maps of raw drives in the official layout, from their laser scans."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from mp_perception.data.image_files import read_image
from mp_perception.data.kitti.calibration import KittiCalibration
from mp_perception.data.kitti.depth import write_depth_png
from mp_perception.data.kitti.depth_files import depth_folder
from mp_perception.data.kitti.mapping import VALIDATION_DRIVES
from mp_perception.data.kitti.raw import RawDrive, read_scan
from mp_perception.data.lidar_projection import project_to_depth_map
from mp_perception.errors import UserError


def projection_tasks(drive: RawDrive, out: Path) -> dict[Path, Callable[[], None]]:
    """File -> what writes it: a map per scan and camera, below <out>/train, or <out>/val for KITTI's validation drives.

    Raises UserError if the drive has no scans.
    """
    part = "val" if drive.name in VALIDATION_DRIVES else "train"
    tasks: dict[Path, Callable[[], None]] = {}
    for frame in drive.frames:
        for camera, image in frame.images.items():
            if frame.scan is not None:
                target = depth_folder(out, part, drive.name, "velodyne_raw", camera) / f"{frame.number:010d}.png"
                tasks[target] = partial(project_scan_file, drive.calibration, camera, image, frame.scan, target)
    if not tasks:
        raise UserError(f"{drive.folder / 'velodyne_points' / 'data'}: expected scans (.bin), found none")
    return tasks


def project_scan_file(calibration: KittiCalibration, camera: int, image: Path, scan: Path, target: Path) -> None:
    """Reads a scan, writes what a camera sees of it (16-bit PNG, metres x 256) at the image's size."""
    size = calibration.image_sizes.get(camera)
    if size is None:
        height, width = read_image(image).shape[:2]
        size = width, height
    intrinsics = calibration.intrinsics(camera, *size)
    write_depth_png(target, project_to_depth_map(read_scan(scan), calibration.velo_to_camera(camera), intrinsics))
