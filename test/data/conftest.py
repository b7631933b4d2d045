"""A raw drive of KITTI, three frames small."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

DRIVE = "2011_09_26_drive_0099_sync"

# Both cameras: fx = fy = 50, cx = 31, cy = 15.  Camera 2 lies 0.06 m left of camera 0 (3 = 50 * 0.06), camera 3
# 0.48 m right of it (-24 = 50 * -0.48).
CAMERAS = """calib_time: 09-Jan-2012 13:57:47
S_rect_02: 64.0 32.0
R_rect_00: 1 0 0 0 1 0 0 0 1
P_rect_02: 50 0 31 3 0 50 15 0 0 0 1 0
S_rect_03: 64.0 32.0
P_rect_03: 50 0 31 -24 0 50 15 0 0 0 1 0
"""
# x forward, y left, z up -> x right, y down, z forward; the scanner sits 0.3 m behind and 0.1 m above the camera.
SCANNER = "calib_time: x\nR: 0 -1 0 0 0 -1 1 0 0\nT: 0 -0.1 -0.3\n"
IMU = "R: 1 0 0 0 1 0 0 0 1\nT: -0.8 0.3 -0.8\n"
STAMPS = "2011-09-26 13:04:32.345808896\n2011-09-26 13:04:32.449188864\n2011-09-26 13:04:32.552435968\n"  # KITTI's own


def write_raw_drive(parent: Path, suffix: str = ".png", num_frames: int = 3, cameras: tuple[int, ...] = (2, 3)) -> Path:
    """The drive's folder in parent: images 64x32 of noise, a scan for frame 1 only."""
    date = parent / "2011_09_26"
    drive = date / DRIVE
    drive.mkdir(parents=True)
    (date / "calib_cam_to_cam.txt").write_text(CAMERAS)
    (date / "calib_velo_to_cam.txt").write_text(SCANNER)
    (date / "calib_imu_to_velo.txt").write_text(IMU)
    random = np.random.default_rng(0)
    for camera in cameras:
        folder = drive / f"image_0{camera}" / "data"
        folder.mkdir(parents=True)
        for number in range(num_frames):
            image = random.integers(0, 256, (32, 64, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / f"{number:010d}{suffix}"), image)
    (drive / "image_02" / "timestamps.txt").write_text(STAMPS)
    scans = drive / "velodyne_points" / "data"
    scans.mkdir(parents=True)
    random.random((100, 4), dtype=np.float32).tofile(scans / "0000000001.bin")
    return drive


@pytest.fixture
def make_raw_drive(tmp_path: Path) -> Callable[..., Path]:
    """Writes a drive (arguments of write_raw_drive) into the test's folder and returns its path."""
    return partial(write_raw_drive, tmp_path)


# KITTI's calibration of 2011_09_26, for images of 64x32: camera 2 lies 0.06 m left of camera 0.
OBJECT_CALIBRATION = """P0: 50 0 31 0 0 50 15 0 0 0 1 0
P1: 50 0 31 -27 0 50 15 0 0 0 1 0
P2: 50 0 31 3 0 50 15 0 0 0 1 0
P3: 50 0 31 -24 0 50 15 0 0 0 1 0
R0_rect: 1 0 0 0 1 0 0 0 1
Tr_velo_to_cam: 0 -1 0 0 0 0 -1 -0.1 1 0 0 -0.3
"""


def write_object_set(parent: Path, labels: list[str], name: str = "object", suffix: str = ".png") -> Path:
    """Object data in parent / name: an image of 64x32 of noise per entry of labels (the text of its label file).

    Every second frame has a depth map: 20 m in the left half, unknown in the right one.
    """
    root = parent / name
    training = root / "training"
    for kind in ("image_2", "label_2", "calib", "depth_2"):
        (training / kind).mkdir(parents=True)
    random = np.random.default_rng(0)
    stored = np.zeros((32, 64), dtype=np.uint16)
    stored[:, :32] = 20 * 256
    for number, text in enumerate(labels):
        image = random.integers(0, 256, (32, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(training / "image_2" / f"{number:06d}{suffix}"), image)
        (training / "label_2" / f"{number:06d}.txt").write_text(text)
        (training / "calib" / f"{number:06d}.txt").write_text(OBJECT_CALIBRATION)
        if number % 2 == 0:
            cv2.imwrite(str(training / "depth_2" / f"{number:06d}.png"), stored)
    return root


@pytest.fixture
def make_object_set(tmp_path: Path) -> Callable[..., Path]:
    """Writes object data (arguments of write_object_set) into the test's folder and returns its root."""
    return partial(write_object_set, tmp_path)
