"""Poses of the camera from the GPS/IMU data of a raw drive."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from mp_perception.data.kitti.raw_frames import KittiRaw
from mp_perception.errors import UserError
from mp_perception.synthetic.drive import write_raw_drive
from mp_perception.synthetic.sensors import camera_of_size

IMU = "calib_time: 01-Jan-2026 12:00:00\nR: 1 0 0 0 1 0 0 0 1\nT: -0.8 0.3 -0.8\n"
#: Metres on the ground of a degree of latitude, for KITTI's sphere.
DEGREE = np.pi / 180 * 6378137


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_raw_drive(tmp_path_factory.mktemp("oxts") / "street", 3, 1, camera_of_size(128, 64))


@pytest.fixture
def driven(drive: Path, tmp_path: Path) -> Path:
    """The drive heads north at 49 degrees, 1 m per frame, and turns left by 0.1 rad per frame."""
    folder = tmp_path / drive.parent.name / drive.name
    shutil.copytree(drive.parent, folder.parent)
    (folder.parent / "calib_imu_to_velo.txt").write_text(IMU)
    (folder / "oxts" / "data").mkdir(parents=True)
    for number in range(3):
        values = (49 + number / DEGREE, 8.4, 110.0, 0.0, 0.0, np.pi / 2 + 0.1 * number, *[0.0] * 24)
        (folder / "oxts" / "data" / f"{number:010d}.txt").write_text(" ".join(map(repr, map(float, values))))
    return folder


def test_poses(driven: Path) -> None:
    frames = KittiRaw(driven)
    first, second, third = (frames.pose(index) for index in range(3))
    assert first is not None and second is not None and third is not None  # noqa: PT018 for mypy
    for pose in (first, second, third):
        assert pose[:3, :3] @ pose[:3, :3].T == pytest.approx(np.eye(3), abs=1e-9)
    # The camera looks north, and its y axis points down.
    assert first[:3, 2] == pytest.approx([0, 1, 0], abs=0.02)
    assert first[:3, 1] == pytest.approx([0, 0, -1], abs=0.02)
    assert third[:3, 2] == pytest.approx([-np.sin(0.2), np.cos(0.2), 0], abs=0.02)
    to_imu = frames.drives[driven.name].calibration
    imu_to_camera = to_imu.velo_to_camera(2) @ to_imu.imu_to_velo
    imu = [pose @ imu_to_camera for pose in (first, second, third)]
    assert imu[1][:3, 3] - imu[0][:3, 3] == pytest.approx([0, 1, 0], abs=1e-3)
    assert imu[2][:3, 3] - imu[0][:3, 3] == pytest.approx([0, 2, 0], abs=1e-3)


def test_without_data_no_pose_and_wrong_data_are_named(driven: Path) -> None:
    (driven / "oxts" / "data" / "0000000001.txt").write_text("49 8 x")
    with pytest.raises(UserError, match="0000000001.txt:1: expected 6 finite numbers, found '49 8 x'"):
        KittiRaw(driven).pose(1)
    (driven.parent / "calib_imu_to_velo.txt").unlink()
    assert KittiRaw(driven).pose(1) is None
