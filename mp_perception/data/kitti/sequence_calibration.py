"""Calibration files of KITTI's tracking and odometry sequences: one per sequence, keys partly without a colon."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mp_perception.data.kitti.calibration import KittiCalibration, Matrix
from mp_perception.errors import UserError

#: Names of the transform from the scanner to camera 0, tracking's and odometry's.
_SCANNER_KEYS = ("Tr_velo_cam", "Tr_velo_to_cam", "Tr")
_RECTIFICATION_KEYS = ("R_rect", "R0_rect")


def read_sequence_calibration(path: Path) -> KittiCalibration:
    """Calibration of a sequence: P2, and P0, P1, P3, the rectification and the scanner's place where they are given.

    Odometry's `Tr` leads into the rectified camera 0 frame already, so the rectification is the identity there.
    Raises UserError naming file and line.
    """
    projections, rectification, scanner = {}, np.eye(3), None
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        raise UserError(f"{path}: missing, expected the calibration of a KITTI sequence") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as KITTI calibration ({error})") from None
    for number, line in enumerate(lines, start=1):
        columns = line.replace(":", " ", 1).split()
        if not columns:
            continue
        key, where = columns[0], f"{path}:{number}"
        if key in ("P0", "P1", "P2", "P3"):
            projections[int(key[1])] = _projection(where, columns)
        elif key in _RECTIFICATION_KEYS:
            rectification = _numbers(where, columns, 9).reshape(3, 3)
            _check_rotation(where, key, rectification)
        elif key in _SCANNER_KEYS:
            scanner = np.eye(4)
            scanner[:3] = _numbers(where, columns, 12).reshape(3, 4)
            _check_rotation(where, key, scanner[:3, :3])
    if 2 not in projections:
        raise UserError(f"{path}: expected a line 'P2:', found none")
    return KittiCalibration(projections, rectification, scanner, None, path)


def _numbers(where: str, columns: list[str], count: int) -> Matrix:
    try:
        values = np.array([float(column) for column in columns[1:]])
    except ValueError:
        values = np.zeros(0)
    if len(values) != count or not np.isfinite(values).all():
        raise UserError(f"{where}: expected {count} finite numbers after '{columns[0]}', found {columns[1:4]} ...")
    return values


def _projection(where: str, columns: list[str]) -> Matrix:
    matrix = _numbers(where, columns, 12).reshape(3, 4)
    expected_zeros = matrix[[0, 1, 2, 2], [1, 0, 0, 1]]
    if expected_zeros.any() or matrix[2, 2] != 1 or matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        raise UserError(f"{where}: expected the projection matrix of a rectified camera, found {columns[1:5]} ...")
    return matrix


def _check_rotation(where: str, key: str, matrix: Matrix) -> None:
    if not np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-3) or np.linalg.det(matrix) < 0:
        raise UserError(f"{where}: expected a rotation matrix after '{key}', found {matrix.round(3).ravel().tolist()}")
