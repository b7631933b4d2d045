"""KITTI's calibration files, read as one type.

All frames are right-handed, metres.  "Rectified camera 0" is the reference of KITTI's labels; every rectified camera
has parallel axes and is only translated against it, by the fourth column of its projection matrix.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mp_perception.arrays import Matrix
from mp_perception.data.frame_sets import FrameCamera
from mp_perception.data.text_files import parse_numbers, read_lines
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics

#: Names of the same value in the object, tracking and odometry data.
_RECTIFICATION_KEYS = ("R0_rect", "R_rect")
_LIDAR_KEYS = ("Tr_velo_to_cam", "Tr_velo_cam", "Tr")
_IMU_KEYS = ("Tr_imu_to_velo", "Tr_imu_velo")


@dataclass(frozen=True)
class KittiCalibration:
    """Poses of the rectified cameras, the lidar and the IMU, and the cameras' projections.

    projections: camera number -> (3, 4), pixels from homogeneous points in the rectified camera 0 frame.
    rectification: (3, 3) rotation from the camera 0 frame to its rectified frame.
    velo_to_camera_0, imu_to_velo: (4, 4) rigid transforms (camera 0 *not* rectified), or None if not in the files.
    image_sizes: camera number -> (width, height) of the rectified images, if in the files (raw drives only).
    source: the file it was read from, for messages.
    """

    projections: dict[int, Matrix]
    rectification: Matrix
    velo_to_camera_0: Matrix | None
    imu_to_velo: Matrix | None
    source: Path
    image_sizes: dict[int, tuple[int, int]] = field(default_factory=dict)

    def intrinsics(self, camera: int, width: int, height: int) -> CameraIntrinsics:
        """Intrinsics of a rectified camera whose image has width x height pixels.

        Raises UserError if the files do not have the camera or have another image size.
        """
        projection = self._projection(camera)
        expected = self.image_sizes.get(camera, (width, height))
        if expected != (width, height):
            raise UserError(
                f"{self.source}: camera {camera} has images of {expected[0]}x{expected[1]} pixels, "
                f"found one of {width}x{height}"
            )
        fx, fy, cx, cy = (float(projection[at]) for at in ((0, 0), (1, 1), (0, 2), (1, 2)))
        return CameraIntrinsics(fx=fx, fy=fy, cx=cx, cy=cy, width=width, height=height)

    def camera(self, camera: int, width: int, height: int) -> FrameCamera:
        """A rectified camera of labelled images.  Arguments and errors as for intrinsics."""
        return FrameCamera(self.intrinsics(camera, width, height), self.camera_0_to_camera(camera))

    def camera_0_to_camera(self, camera: int) -> Matrix:
        """(4, 4) from the rectified camera 0 frame to the rectified frame of a camera: a translation.

        P = K [I | t], so t = K^-1 (fourth column of P); camera 2 is some 6 cm left of camera 0.
        """
        projection = self._projection(camera)
        transform = np.eye(4)
        transform[:3, 3] = np.linalg.solve(projection[:, :3], projection[:, 3])
        return transform

    def velo_to_camera(self, camera: int) -> Matrix:
        """(4, 4) from the lidar to the rectified (optical) frame of a camera.

        Raises UserError if the files do not have the lidar's pose.
        """
        if self.velo_to_camera_0 is None:
            raise UserError(f"{self.source}: no transform from the lidar to camera 0 in it or in calib_velo_to_cam.txt")
        rectification = np.eye(4)
        rectification[:3, :3] = self.rectification
        return self.camera_0_to_camera(camera) @ rectification @ self.velo_to_camera_0

    def _projection(self, camera: int) -> Matrix:
        if camera not in self.projections:
            raise UserError(f"{self.source}: no projection matrix of camera {camera}, found {sorted(self.projections)}")
        return self.projections[camera]


def read_calibration(path: Path) -> KittiCalibration:
    """Calibration of a frame of the object data, or of a tracking or odometry sequence.

    Camera 2 must be in the file; cameras 0, 1 and 3, the lidar and the IMU are optional.
    Raises UserError naming file and line.
    """
    file = _CalibrationFile(path)
    projections = {camera: file.projection(f"P{camera}") for camera in range(4) if f"P{camera}" in file or camera == 2}
    rectification_key = file.first_of(_RECTIFICATION_KEYS)
    lidar_key = file.first_of(_LIDAR_KEYS)
    imu_key = file.first_of(_IMU_KEYS)
    # Odometry's Tr is the transform into the rectified camera 0 frame.
    if rectification_key is None and lidar_key not in (None, "Tr"):
        raise UserError(f"{path}: expected a line 'R0_rect:' or 'R_rect:' beside '{lidar_key}:', found none")
    return KittiCalibration(
        projections=projections,
        rectification=np.eye(3) if rectification_key is None else file.rotation(rectification_key),
        velo_to_camera_0=None if lidar_key is None else file.rigid_transform(lidar_key),
        imu_to_velo=None if imu_key is None else file.rigid_transform(imu_key),
        source=path,
    )


def read_raw_calibration(folder: Path) -> KittiCalibration:
    """Calibration of the raw drives of one date, from the date's folder.

    calib_cam_to_cam.txt is required, with camera 2, camera 3 or both; calib_velo_to_cam.txt and calib_imu_to_velo.txt
    are optional.  Raises UserError naming file and line.
    """
    file = _CalibrationFile(folder / "calib_cam_to_cam.txt")
    cameras = [camera for camera in (2, 3) if f"P_rect_0{camera}" in file]
    if not cameras:
        raise UserError(f"{file.path}: expected a line 'P_rect_02:' or 'P_rect_03:', found neither")
    return KittiCalibration(
        projections={camera: file.projection(f"P_rect_0{camera}") for camera in cameras},
        rectification=file.rotation("R_rect_00"),
        velo_to_camera_0=_read_raw_transform(folder / "calib_velo_to_cam.txt"),
        imu_to_velo=_read_raw_transform(folder / "calib_imu_to_velo.txt"),
        source=file.path,
        image_sizes={camera: file.image_size(f"S_rect_0{camera}") for camera in cameras if f"S_rect_0{camera}" in file},
    )


def _read_raw_transform(path: Path) -> Matrix | None:
    """R and T of a raw calibration file as (4, 4), or None if the file does not exist."""
    if not path.exists():
        return None
    file = _CalibrationFile(path)
    transform = np.eye(4)
    transform[:3, :3] = file.rotation("R")
    transform[:3, 3] = file.numbers("T", 3)
    return transform


class _CalibrationFile:
    """Lines `key: values` (in some files of the tracking data without the colon), each checked when it is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: dict[str, tuple[int, str]] = {}
        for number, line in enumerate(read_lines(path, "KITTI calibration"), start=1):
            key, *values = line.replace(":", " ", 1).split(maxsplit=1) or [""]
            self._lines[key] = number, "".join(values)

    def __contains__(self, key: str) -> bool:
        return key in self._lines

    def first_of(self, keys: tuple[str, ...]) -> str | None:
        """The first of the keys that the file has."""
        return next((key for key in keys if key in self), None)

    def numbers(self, key: str, count: int) -> Matrix:
        """The (count,) finite numbers of a line."""
        if key not in self:
            raise UserError(f"{self.path}: expected a line '{key}:', found none")
        number, text = self._lines[key]
        return np.array(parse_numbers(text, count, f"{self.path}:{number}: {key}"))

    def projection(self, key: str) -> Matrix:
        """The projection matrix (3, 4) of a rectified camera."""
        matrix = self.numbers(key, 12).reshape(3, 4)
        upper_triangular = matrix[1, 0] == matrix[2, 0] == matrix[2, 1] == matrix[0, 1] == 0 and matrix[2, 2] == 1
        if not upper_triangular or matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
            expected = "the projection matrix of a rectified camera (fx 0 cx .. 0 fy cy .. 0 0 1 .., fx and fy > 0)"
            raise self._error(key, expected, str(matrix[:, :3].ravel().tolist()))
        return matrix

    def rotation(self, key: str) -> Matrix:
        """A rotation matrix (3, 3)."""
        return self._checked_rotation(key, self.numbers(key, 9).reshape(3, 3))

    def rigid_transform(self, key: str) -> Matrix:
        """A rotation and a translation, twelve numbers, as (4, 4)."""
        transform = np.eye(4)
        transform[:3] = self.numbers(key, 12).reshape(3, 4)
        self._checked_rotation(key, transform[:3, :3])
        return transform

    def image_size(self, key: str) -> tuple[int, int]:
        """Width and height, pixels."""
        width, height = self.numbers(key, 2)
        if not (width.is_integer() and height.is_integer() and 0 < width < 1e5 and 0 < height < 1e5):
            raise self._error(key, "width and height in pixels", f"{width:g} {height:g}")
        return int(width), int(height)

    def _checked_rotation(self, key: str, matrix: Matrix) -> Matrix:
        # KITTI prints seven digits; anything farther from a rotation is a mixed-up or damaged line.
        if not np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-3) or np.linalg.det(matrix) < 0:
            raise self._error(key, f"a rotation matrix after '{key}:'", str(matrix.round(4).ravel().tolist()))
        return matrix

    def _error(self, key: str, expected: str, found: str) -> UserError:
        return UserError(f"{self.path}:{self._lines[key][0]}: expected {expected}, found {found}")
