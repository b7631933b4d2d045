"""Calibration against numbers computed by hand, and refused input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mp_perception.data.kitti.calibration_files import read_calibration, read_raw_calibration
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics

# KITTI's own numbers of 2011_09_26, as the object set prints them.
OBJECT_CALIBRATION = """P0: 721.5377 0 609.5593 0 0 721.5377 172.854 0 0 0 1 0
P1: 721.5377 0 609.5593 -387.5744 0 721.5377 172.854 0 0 0 1 0
P2: 721.5377 0 609.5593 44.85728 0 721.5377 172.854 0.2163791 0 0 1 0.002745884
P3: 721.5377 0 609.5593 -339.5242 0 721.5377 172.854 2.199936 0 0 1 0.002729905
R0_rect: 1 0 0 0 1 0 0 0 1
Tr_velo_to_cam: 0 -1 0 0 0 0 -1 -0.1 1 0 0 -0.3
Tr_imu_to_velo: 1 0 0 -0.8 0 1 0 0.3 0 0 1 -0.8

"""


@pytest.fixture
def calibration_file(tmp_path: Path) -> Path:
    path = tmp_path / "000000.txt"
    path.write_text(OBJECT_CALIBRATION)
    return path


def test_camera_2_is_six_centimetres_left_of_camera_0(calibration_file: Path) -> None:
    shift = read_calibration(calibration_file).camera_0_to_camera(2)
    # t_z = 0.002745884; t_x = (44.85728 - 609.5593 * t_z) / 721.5377; t_y = (0.2163791 - 172.854 * t_z) / 721.5377
    assert shift[:3, 3] == pytest.approx([0.05984927, -0.00035793, 0.002745884], abs=1e-7)
    assert np.array_equal(shift[:3, :3], np.eye(3))


def test_a_lidar_point_is_projected_as_by_kittis_formula(calibration_file: Path) -> None:
    calibration = read_calibration(calibration_file)
    # 10 m ahead, 1 m left, 0.5 m up of the scanner -> camera 0: (-1, -0.6, 9.7) -> + (0.06, -0.0004, 0.0027)
    in_camera_2 = calibration.velo_to_camera(2) @ [10, 1, 0.5, 1]
    assert in_camera_2[:3] == pytest.approx([-0.94015073, -0.60035793, 9.70274588], abs=1e-7)
    # P2 * R0_rect * Tr_velo_to_cam * X, as the data set's readme has it
    homogeneous = calibration.projections[2] @ np.array([-1, -0.6, 9.7, 1])
    intrinsics = calibration.intrinsics(2, 1242, 375)
    image_point = intrinsics.project(in_camera_2[None, :3])[0]
    assert image_point - 0.5 == pytest.approx(homogeneous[:2] / homogeneous[2], abs=1e-6)


def test_intrinsics_are_those_of_the_projection_matrix(calibration_file: Path) -> None:
    found = read_calibration(calibration_file).intrinsics(3, 1224, 370)
    assert found == CameraIntrinsics(721.5377, 721.5377, 609.5593, 172.854, 1224, 370)


def test_raw_calibration_composes_rectification_and_lidar(tmp_path: Path) -> None:
    # The rectification turns by 90 degrees about z, so that a forgotten or transposed one shows.
    (tmp_path / "calib_cam_to_cam.txt").write_text(
        "S_rect_02: 64 32\nR_rect_00: 0 -1 0 1 0 0 0 0 1\nP_rect_02: 50 0 31 5 0 50 15 0 0 0 1 0\n"
    )
    (tmp_path / "calib_velo_to_cam.txt").write_text("R: 0 -1 0 0 0 -1 1 0 0\nT: 0 -0.1 -0.3\n")
    calibration = read_raw_calibration(tmp_path)
    # (10, 1, 0.5) -> camera 0 (-1, -0.6, 9.7) -> rectified (0.6, -1, 9.7) -> camera 2, 5 / 50 = 0.1 m left of it
    assert (calibration.velo_to_camera(2) @ [10, 1, 0.5, 1])[:3] == pytest.approx([0.7, -1.0, 9.7])
    assert calibration.imu_to_velo is None


def test_an_image_of_another_size_and_a_missing_lidar_transform_are_named(tmp_path: Path) -> None:
    (tmp_path / "calib_cam_to_cam.txt").write_text(
        "S_rect_02: 64 32\nR_rect_00: 1 0 0 0 1 0 0 0 1\nP_rect_02: 50 0 31 5 0 50 15 0 0 0 1 0\n"
    )
    calibration = read_raw_calibration(tmp_path)
    with pytest.raises(UserError, match=r"calib_cam_to_cam.txt: camera 2 has images of 64x32 pixels, .* 65x32"):
        calibration.intrinsics(2, 65, 32)
    with pytest.raises(UserError, match="calib_velo_to_cam"):
        calibration.velo_to_camera(2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("P2: 721.5377 ", "P2: ", r"000000.txt:3: P2: expected 12 finite numbers, found '0 609"),
        ("P2: 721.5377", "P2: x", r"000000.txt:3: P2: expected 12 finite numbers, found 'x 0"),
        ("P2: 721.5377", "P2: nan", r"000000.txt:3: P2: expected 12 finite numbers, found 'nan"),
        ("P2: 721.5377", "P2: -721.5377", r"000000.txt:3: expected the projection matrix"),
        ("R0_rect: 1 0 0", "R0_rect: 2 0 0", r"000000.txt:5: expected a rotation matrix"),
        ("R0_rect: 1 0 0", "R0_rect: -1 0 0", r"000000.txt:5: expected a rotation matrix"),
        ("P2: ", "P4: ", r"000000.txt: expected a line 'P2:', found none"),
        ("R0_rect: ", "R: ", r"000000.txt: expected a line 'R0_rect:' or 'R_rect:' beside 'Tr_velo_to_cam:'"),
    ],
)
def test_a_wrong_line_is_named(calibration_file: Path, old: str, new: str, message: str) -> None:
    calibration_file.write_text(OBJECT_CALIBRATION.replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        read_calibration(calibration_file)


def test_a_missing_file_and_binary_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none.txt: missing"):
        read_calibration(tmp_path / "none.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"binary.txt: cannot be read"):
        read_calibration(tmp_path / "binary.txt")
