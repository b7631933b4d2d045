"""Depth maps of raw drives in the layout of KITTI's depth data, from their lidar scans."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from mp_perception.arrays import Matrix
from mp_perception.data.depth_png import write_depth_png
from mp_perception.data.kitti.depth_layout import depth_folder
from mp_perception.data.kitti.raw import RawDrive, read_scan
from mp_perception.data.lidar_projection import project_to_depth_map
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics

#: Drives of the validation part of KITTI's depth data.
VALIDATION_DRIVES = frozenset(
    f"{date}_drive_{number}_sync"
    for date, numbers in {
        "2011_09_26": ("0002", "0005", "0013", "0020", "0023", "0036", "0079", "0095", "0113"),
        "2011_09_28": ("0037",),
        "2011_09_29": ("0026",),
        "2011_09_30": ("0016",),
        "2011_10_03": ("0047",),
    }.items()
    for number in numbers
)


def projection_tasks(drive: RawDrive, out: Path) -> dict[Path, Callable[[], None]]:
    """File -> what writes it: a map per scan and camera, below <out>/train, or <out>/val for KITTI's validation drives.

    Raises UserError if the drive has no scans.
    """
    scans = [(frame.number, frame.scan) for frame in drive.frames if frame.scan is not None]
    if not scans:
        raise UserError(f"{drive.folder / 'velodyne_points' / 'data'}: expected scans (.bin), found none")
    part = "val" if drive.name in VALIDATION_DRIVES else "train"
    tasks: dict[Path, Callable[[], None]] = {}
    for camera in drive.cameras:
        lidar_to_camera, intrinsics = drive.calibration.velo_to_camera(camera), drive.intrinsics(camera)
        for number, scan in scans:
            target = depth_folder(out, part, drive.name, "velodyne_raw", camera) / f"{number:010d}.png"
            tasks[target] = partial(_project_scan_file, scan, lidar_to_camera, intrinsics, target)
    return tasks


def _project_scan_file(scan: Path, lidar_to_camera: Matrix, intrinsics: CameraIntrinsics, target: Path) -> None:
    """Read a scan and write its depth map (16-bit PNG, metres x 256) as a camera sees it."""
    write_depth_png(target, project_to_depth_map(read_scan(scan), lidar_to_camera, intrinsics))
