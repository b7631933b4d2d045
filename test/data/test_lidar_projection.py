"""Points into pixels, against a point-by-point formulation and KITTI's official depth maps."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mp_perception.data.kitti.raw import RawDrive, read_scan
from mp_perception.data.lidar_projection import project_to_depth_map
from mp_perception.geometry import CameraIntrinsics

CAMERA = CameraIntrinsics(fx=10, fy=10, cx=4, cy=3, width=9, height=7)


def test_pixels_are_the_rounded_projection() -> None:
    # u = 10 x / z + 4, v = 10 y / z + 3
    points = np.array([[0, 0, 5], [0.249, 0, 5], [0.251, 0, 5], [-2.24, -1.74, 5], [-2.26, 0, 5], [0, 0, -5]])
    for point, pixel in zip(points, [(4, 3), (4, 3), (5, 3), (0, 0), None, None], strict=True):
        depth = project_to_depth_map(point[None], np.eye(4), CAMERA)
        rows, columns = np.nonzero(depth == 5)
        assert list(zip(columns, rows, strict=True)) == ([] if pixel is None else [pixel])


def test_the_nearest_point_wins_whatever_the_order() -> None:
    points = np.array([[0, 0, 8.0], [0, 0, 3.0], [0, 0, 5.0]])
    for order in ([0, 1, 2], [1, 2, 0], [2, 0, 1]):
        depth = project_to_depth_map(points[order], np.eye(4), CAMERA)
        assert depth[3, 4] == 3
        assert np.isnan(depth).sum() == depth.size - 1


@given(st.integers(0, 2**32 - 1))
def test_equals_a_loop_over_the_points(seed: int) -> None:
    random = np.random.default_rng(seed)
    points = random.normal(0, 5, (200, 4))
    points[0] = 0  # in the camera itself
    points[1] = [1e30, 0, 1e-30, 0]  # projects beyond every integer
    transform = np.eye(4)
    transform[:3, :3], _ = np.linalg.qr(random.normal(size=(3, 3)))
    transform[:3, 3] = random.normal(size=3)
    expected = np.full((7, 9), np.nan, dtype=np.float32)
    for point in points:
        x, y, z = (transform @ [*point[:3], 1])[:3]
        if z <= 0:
            continue
        column, row = np.floor(10 * x / z + 4 + 0.5), np.floor(10 * y / z + 3 + 0.5)
        if 0 <= column < 9 and 0 <= row < 7:
            expected[int(row), int(column)] = np.fmin(expected[int(row), int(column)], np.float32(z))
    np.testing.assert_allclose(project_to_depth_map(points, transform, CAMERA), expected, rtol=1e-5)


@pytest.mark.shared_data
@pytest.mark.parametrize("camera", [2, 3])
def test_agrees_with_the_official_ground_truth(shared_data: Path, camera: int) -> None:
    name = "2011_09_26_drive_0001_sync"
    drive = RawDrive(shared_data / "kitti" / "raw" / "2011_09_26" / name)
    (frame,) = drive.frames
    assert frame.scan is not None
    folder = shared_data / "kitti" / "depth" / "train" / name / "proj_depth" / "groundtruth" / f"image_0{camera}"
    official = cv2.imread(str(folder / "0000000005.png"), cv2.IMREAD_UNCHANGED) / 256.0
    height, width = official.shape
    intrinsics = drive.calibration.intrinsics(camera, width, height)
    ours = project_to_depth_map(read_scan(frame.scan), drive.calibration.velo_to_camera(camera), intrinsics)
    common = (official > 0) & np.isfinite(ours)
    difference = np.abs(ours - official)[common]
    assert common.sum() > 8_000
    assert np.median(difference) < 0.1
    assert (difference < 0.3).mean() > 0.9
