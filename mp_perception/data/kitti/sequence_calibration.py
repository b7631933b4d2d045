"""Calibration files of KITTI's tracking and odometry sequences: one per sequence, keys partly without a colon."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mp_perception.data.kitti.calibration import (
    KittiCalibration,
    Matrix,
    check_projection,
    check_rotation,
    parse_numbers,
)
from mp_perception.errors import UserError

#: Names of the transform from the scanner to camera 0, tracking's and odometry's.
_SCANNER_KEYS = ("Tr_velo_cam", "Tr_velo_to_cam", "Tr")
_RECTIFICATION_KEYS = ("R_rect", "R0_rect")


def read_sequence_calibration(path: Path) -> KittiCalibration:
    """Calibration of a sequence: P2, and P0, P1, P3, the rectification and the scanner's place where they are given.

    Odometry's `Tr` leads into the rectified camera 0 frame already, so the rectification is the identity there.
    Raises UserError naming file and line.
    """
    projections: dict[int, Matrix] = {}
    rectification, scanner = np.eye(3), None
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        raise UserError(f"{path}: missing, expected the calibration of a KITTI sequence") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as KITTI calibration ({error})") from None
    for number, line in enumerate(lines, start=1):
        columns = line.replace(":", " ", 1).split(maxsplit=1)
        if not columns:
            continue
        key, values, where = columns[0], "".join(columns[1:]), f"{path}:{number}"
        if key in ("P0", "P1", "P2", "P3"):
            projections[int(key[1])] = parse_numbers(where, key, values, 12).reshape(3, 4)
            check_projection(where, projections[int(key[1])])
        elif key in _RECTIFICATION_KEYS:
            rectification = parse_numbers(where, key, values, 9).reshape(3, 3)
            check_rotation(where, key, rectification)
        elif key in _SCANNER_KEYS:
            scanner = np.eye(4)
            scanner[:3] = parse_numbers(where, key, values, 12).reshape(3, 4)
            check_rotation(where, key, scanner[:3, :3])
    if 2 not in projections:
        raise UserError(f"{path}: expected a line 'P2:', found none")
    return KittiCalibration(projections, rectification, scanner, None, path)
