"""KITTI's calibration files, as one type: raw drives (three files per date) and the object set (one file per frame).

All frames are right-handed, metres.  "Rectified camera 0" is the reference of KITTI's labels; every rectified camera
looks the same way and is only shifted against it, by what the fourth column of its projection matrix says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class KittiCalibration:
    """Where the rectified cameras, the laser scanner and the IMU are, and how the cameras project.

    projections: camera number -> (3, 4), pixels from homogeneous points in the rectified camera 0 frame.
    rectification: (3, 3) rotation from the camera 0 frame to its rectified frame.
    velo_to_camera_0, imu_to_velo: (4, 4) rigid transforms (camera 0 *not* rectified), or None if the files lack them.
    image_sizes: camera number -> (width, height) of the rectified images, where the files say it (raw drives only).
    source: the file or folder it was read from, for messages.
    """

    projections: dict[int, Matrix]
    rectification: Matrix
    velo_to_camera_0: Matrix | None
    imu_to_velo: Matrix | None
    source: Path
    image_sizes: dict[int, tuple[int, int]] = field(default_factory=dict)

    def intrinsics(self, camera: int, width: int, height: int) -> CameraIntrinsics:
        """Intrinsics of a rectified camera whose image has width x height pixels.

        Raises UserError if the files have no such camera or name another image size.
        """
        projection = self._projection(camera)
        expected = self.image_sizes.get(camera, (width, height))
        if expected != (width, height):
            raise UserError(
                f"{self.source}: camera {camera} has images of {expected[0]}x{expected[1]} pixels, "
                f"found one of {width}x{height}"
            )
        return CameraIntrinsics(
            fx=float(projection[0, 0]),
            fy=float(projection[1, 1]),
            cx=float(projection[0, 2]),
            cy=float(projection[1, 2]),
            width=width,
            height=height,
        )

    def camera_0_to_camera(self, camera: int) -> Matrix:
        """(4, 4) from the rectified camera 0 frame to the rectified frame of a camera: a pure shift.

        P = K [I | t], so t = K^-1 (fourth column of P); camera 2 sits some 6 cm left of camera 0.
        """
        projection = self._projection(camera)
        transform = np.eye(4)
        transform[:3, 3] = np.linalg.solve(projection[:, :3], projection[:, 3])
        return transform

    def velo_to_camera(self, camera: int) -> Matrix:
        """(4, 4) from the laser scanner to the rectified (optical) frame of a camera.

        Raises UserError if the files do not say where the scanner is.
        """
        if self.velo_to_camera_0 is None:
            raise UserError(f"{self.source}: no transform from the laser scanner to camera 0 (calib_velo_to_cam.txt)")
        rectification = np.eye(4)
        rectification[:3, :3] = self.rectification
        return self.camera_0_to_camera(camera) @ rectification @ self.velo_to_camera_0

    def _projection(self, camera: int) -> Matrix:
        if camera not in self.projections:
            raise UserError(f"{self.source}: no projection matrix of camera {camera}, found {sorted(self.projections)}")
        return self.projections[camera]


def read_raw_calibration(folder: Path) -> KittiCalibration:
    """Calibration of the raw drives of one date, from the date's folder.

    calib_cam_to_cam.txt must be there (cameras 2 and 3 as far as it names them, at least one); calib_velo_to_cam.txt
    and calib_imu_to_velo.txt may be missing.  Raises UserError naming file and line.
    """
    camera_path = folder / "calib_cam_to_cam.txt"
    lines = _read_lines(camera_path)
    projections = {}
    image_sizes = {}
    for camera in (2, 3):
        if f"P_rect_0{camera}" not in lines:
            continue
        projections[camera] = _projection_matrix(camera_path, lines, f"P_rect_0{camera}")
        if f"S_rect_0{camera}" in lines:
            image_sizes[camera] = _image_size(camera_path, lines, f"S_rect_0{camera}")
    if not projections:
        raise UserError(f"{camera_path}: expected a line 'P_rect_02:' or 'P_rect_03:', found neither")
    return KittiCalibration(
        projections=projections,
        rectification=_rotation(camera_path, lines, "R_rect_00"),
        velo_to_camera_0=_read_rigid_transform(folder / "calib_velo_to_cam.txt"),
        imu_to_velo=_read_rigid_transform(folder / "calib_imu_to_velo.txt"),
        source=camera_path,
        image_sizes=image_sizes,
    )


def read_object_calibration(path: Path) -> KittiCalibration:
    """Calibration of one frame of the object set (`calib/NNNNNN.txt`).  Raises UserError naming file and line."""
    lines = _read_lines(path)
    return KittiCalibration(
        projections={camera: _projection_matrix(path, lines, f"P{camera}") for camera in range(4)},
        rectification=_rotation(path, lines, "R0_rect"),
        velo_to_camera_0=_rigid_3x4(path, lines, "Tr_velo_to_cam"),
        imu_to_velo=_rigid_3x4(path, lines, "Tr_imu_to_velo") if "Tr_imu_to_velo" in lines else None,
        source=path,
    )


@dataclass(frozen=True)
class _Line:
    number: int
    text: str


def _read_lines(path: Path) -> dict[str, _Line]:
    """The lines `key: values` of a calibration file; empty lines are skipped."""
    try:
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        raise UserError(f"{path}: missing, expected KITTI calibration") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as KITTI calibration ({error})") from None
    lines = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        key, separator, values = line.partition(":")
        if not separator:
            raise UserError(f"{path}:{number}: expected 'key: values', found {line[:40]!r}")
        lines[key.strip()] = _Line(number, values)
    return lines


def _numbers(path: Path, lines: dict[str, _Line], key: str, count: int) -> Matrix:
    if key not in lines:
        raise UserError(f"{path}: expected a line '{key}:', found none")
    return parse_numbers(f"{path}:{lines[key].number}", key, lines[key].text, count)


def parse_numbers(where: str, key: str, text: str, count: int) -> Matrix:
    """The numbers (count,) of a calibration line.  where: file and line, for the UserError that others raise."""
    columns = text.split()
    if len(columns) != count:
        raise UserError(f"{where}: expected {count} numbers after '{key}:', found {len(columns)}")
    try:
        values = np.array([float(column) for column in columns])
    except ValueError:
        raise UserError(f"{where}: expected {count} numbers after '{key}:', found {text.strip()[:60]!r}") from None
    if not np.isfinite(values).all():
        raise UserError(f"{where}: expected finite numbers after '{key}:', found {text.strip()[:60]!r}")
    return values


def _projection_matrix(path: Path, lines: dict[str, _Line], key: str) -> Matrix:
    matrix = _numbers(path, lines, key, 12).reshape(3, 4)
    check_projection(f"{path}:{lines[key].number}", matrix)
    return matrix


def check_projection(where: str, matrix: Matrix) -> None:
    """Raises UserError unless the matrix (3, 4) is a rectified camera's.  where: file and line."""
    upper_triangular = matrix[1, 0] == matrix[2, 0] == matrix[2, 1] == matrix[0, 1] == 0 and matrix[2, 2] == 1
    if not upper_triangular or matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        raise UserError(
            f"{where}: expected the projection matrix of a rectified camera "
            f"(fx 0 cx .. 0 fy cy .. 0 0 1 .., fx and fy > 0), found {matrix[:, :3].ravel().tolist()}"
        )


def _image_size(path: Path, lines: dict[str, _Line], key: str) -> tuple[int, int]:
    width, height = _numbers(path, lines, key, 2)
    if not (width.is_integer() and height.is_integer() and 0 < width < 1e5 and 0 < height < 1e5):
        raise UserError(f"{path}:{lines[key].number}: expected width and height in pixels, found {width:g} {height:g}")
    return int(width), int(height)


def _rotation(path: Path, lines: dict[str, _Line], key: str) -> Matrix:
    matrix = _numbers(path, lines, key, 9).reshape(3, 3)
    check_rotation(f"{path}:{lines[key].number}", key, matrix)
    return matrix


def _rigid_3x4(path: Path, lines: dict[str, _Line], key: str) -> Matrix:
    transform = np.eye(4)
    transform[:3] = _numbers(path, lines, key, 12).reshape(3, 4)
    check_rotation(f"{path}:{lines[key].number}", key, transform[:3, :3])
    return transform


def _read_rigid_transform(path: Path) -> Matrix | None:
    """R and T of a raw calibration file as (4, 4), or None if the file is missing."""
    if not path.exists():
        return None
    lines = _read_lines(path)
    transform = np.eye(4)
    transform[:3, :3] = _rotation(path, lines, "R")
    transform[:3, 3] = _numbers(path, lines, "T", 3)
    return transform


def check_rotation(where: str, key: str, matrix: Matrix) -> None:
    """Raises UserError unless the matrix (3, 3) is a rotation.  where: file and line."""
    # KITTI prints seven digits; anything farther from a rotation is a mixed-up or damaged line.
    if not np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-3) or np.linalg.det(matrix) < 0:
        raise UserError(f"{where}: expected a rotation matrix after '{key}:', found {matrix.round(4).ravel().tolist()}")
