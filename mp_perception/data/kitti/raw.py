"""A synchronised raw drive of KITTI on disk: frames with their stamps, images and scans, and the date's calibration.

Opening a drive reads only the folder listing, the time stamps and the calibration; images and scans are read frame by
frame.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from mp_perception.arrays import Matrix
from mp_perception.data.image_files import FRAME_SUFFIXES, read_image
from mp_perception.data.kitti.calibration_files import read_raw_calibration
from mp_perception.data.text_files import parse_numbers, read_lines
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics

#: Time between frames without time stamps: the drives are recorded at 10 Hz.
FRAME_PERIOD_NS = 100_000_000

#: The date of synthetic drives, which also use this layout; KITTI has no recording of this date.
SYNTHETIC_DATE = "2026_01_01"

#: Of the WGS 84 ellipsoid at the equator, metres.
_EARTH_RADIUS = 6378137.0

_FRAME_NAME = re.compile(r"\d{10}")
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.(\d{1,9}))?")
#: The date of drives whose name has none, because a stamp of zero means that there is no stamp.
_DEFAULT_DATE = datetime(2011, 9, 26, tzinfo=UTC)


@dataclass(frozen=True)
class RawFrame:
    """One moment of a drive.

    number: the number in the file names.  stamp_ns: nanoseconds since 1970 (KITTI's local time taken as UTC), the same
    for all sensors, because the drives are synchronised.  images: camera number -> file.  scan: file, or None.
    """

    number: int
    stamp_ns: int
    images: dict[int, Path]
    scan: Path | None


class RawDrive:
    """The frames of a drive folder, sorted and checked.

    folder: ends in `_sync`; the date's calibration files are in its parent.  Cameras 2 (required) and 3 are used.
    frames: one per image of camera 2, without gaps.
    Raises UserError if the folder is not a drive, a file is missing, or a stamp or calibration line is wrong.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder, expected a KITTI raw drive (<date>_drive_<number>_sync)")
        date, name = folder.resolve().parent, folder.resolve().name
        if not name.endswith("_sync"):
            raise UserError(f"{folder}: expected a KITTI raw drive whose name ends in _sync")
        self.folder, self.name = folder, name
        self.calibration = read_raw_calibration(date)
        images = {camera: numbered_files(folder / f"image_0{camera}" / "data", FRAME_SUFFIXES) for camera in (2, 3)}
        if not images[2]:
            raise UserError(f"{folder / 'image_02' / 'data'}: expected images (0000000000.png or .jpg), found none")
        if not images[3]:
            del images[3]
        scans = numbered_files(folder / "velodyne_points" / "data", (".bin",))
        if scans and self.calibration.velo_to_camera_0 is None:
            raise UserError(f"{date / 'calib_velo_to_cam.txt'}: missing, but {folder} has scans")
        self.cameras = tuple(images)
        numbers = _checked_numbers(folder, images)
        stamps = _stamps(folder / "image_02" / "timestamps.txt", self.name, numbers)
        self.frames = [
            RawFrame(number, stamp, {camera: images[camera][number] for camera in self.cameras}, scans.get(number))
            for number, stamp in zip(numbers, stamps, strict=True)
        ]

    def camera_pose(self, number: int, camera: int) -> Matrix | None:
        """(4, 4) from a rectified camera's optical frame to a fixed frame (x east, y north, z up, metres).

        None without the drive's GPS/IMU data (oxts) and their calibration.  Raises UserError for a wrong file.
        """
        first, path = (self.folder / "oxts" / "data" / f"{n:010d}.txt" for n in (self.frames[0].number, number))
        if self.calibration.imu_to_velo is None or self.calibration.velo_to_camera_0 is None or not path.exists():
            return None
        imu_to_camera = self.calibration.velo_to_camera(camera) @ self.calibration.imu_to_velo
        return _imu_pose(_read_imu(path), _read_imu(first)[0]) @ np.linalg.inv(imu_to_camera)

    def intrinsics(self, camera: int) -> CameraIntrinsics:
        """Intrinsics of a rectified camera, with the image size of the calibration or, if it has none, of an image."""
        size = self.calibration.image_sizes.get(camera)
        if size is None:
            height, width = read_image(self.frames[0].images[camera]).shape[:2]
            size = width, height
        return self.calibration.intrinsics(camera, *size)


def numbered_files(folder: Path, suffixes: tuple[str, ...]) -> dict[int, Path]:
    """Frame number -> file named by ten digits, sorted; empty if the folder is missing.  Other files are left out.

    Raises UserError if two files have the same number.
    """
    files: dict[int, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix not in suffixes or not _FRAME_NAME.fullmatch(path.stem):
            continue
        if int(path.stem) in files:
            raise UserError(f"{path}: expected one file per frame, found {files[int(path.stem)].name} beside it")
        files[int(path.stem)] = path
    return files


def read_scan(path: Path) -> NDArray[np.float32]:
    """A lidar scan (N, 4): x forward, y left, z up, metres, and reflectance 0..1.

    Raises UserError if the file is missing, does not hold whole points, or has values that are not finite.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read as a scan ({error.strerror})") from None
    if len(data) % 16:
        raise UserError(f"{path}: expected points of 16 bytes, found {len(data)} bytes")
    points = np.frombuffer(data, dtype="<f4").reshape(-1, 4)
    if not np.isfinite(points).all():
        num_bad = (~np.isfinite(points)).any(axis=1).sum()
        raise UserError(f"{path}: expected finite coordinates, found {num_bad} points that are not")
    return points


@lru_cache(maxsize=2)
def _read_imu(path: Path) -> tuple[float, ...]:
    """Latitude, longitude (degrees), altitude (metres), roll, pitch, yaw (radians) of a file of GPS/IMU data."""
    lines = read_lines(path, "GPS/IMU data")
    return tuple(parse_numbers(" ".join(lines[0].split()[:6]) if lines else "", 6, f"{path}:1"))


def _imu_pose(imu: tuple[float, ...], reference_latitude: float) -> Matrix:
    """(4, 4) from the IMU (x forward, y left, z up) to a frame of x east, y north, z up, metres.

    Mercator projection, as in convertOxtsToPose.m of KITTI's raw data devkit.  reference_latitude: degrees, where its
    scale is right, the same for all frames of a drive.
    """
    latitude, longitude, altitude, roll, pitch, yaw = imu
    scale = math.cos(math.radians(reference_latitude)) * _EARTH_RADIUS
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("ZYX", [yaw, pitch, roll]).as_matrix()
    north = math.log(math.tan(math.radians(90 + latitude) / 2))
    pose[:3, 3] = scale * math.radians(longitude), scale * north, altitude
    return pose


def _checked_numbers(folder: Path, images: dict[int, dict[int, Path]]) -> list[int]:
    """All frame numbers; raises UserError naming the first missing image of any camera."""
    first = min(min(files) for files in images.values())
    last = max(max(files) for files in images.values())
    for camera, files in images.items():
        missing = next((number for number in range(first, last + 1) if number not in files), None)
        if missing is not None:
            raise UserError(
                f"{folder / f'image_0{camera}' / 'data' / f'{missing:010d}.png'}: missing (nor .jpg), "
                f"the drive has frames {first} to {last}"
            )
    return list(range(first, last + 1))


def _stamps(path: Path, drive_name: str, numbers: list[int]) -> list[int]:
    """Nanoseconds of the frames: line n of the file belongs to frame n; 10 Hz if the file does not have the line."""
    known = (_read_timestamps(path) if path.exists() else []) or [_midnight_ns(drive_name)]
    last = len(known) - 1
    return [known[n] if n <= last else known[last] + (n - last) * FRAME_PERIOD_NS for n in numbers]


def _midnight_ns(drive_name: str) -> int:
    """Midnight of the date at the beginning of a drive's name."""
    try:
        date = datetime.strptime(drive_name[:10], "%Y_%m_%d")
    except ValueError:
        date = _DEFAULT_DATE
    return int(date.replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def _read_timestamps(path: Path) -> list[int]:
    lines = read_lines(path, "time stamps")
    while lines and not lines[-1].strip():
        lines.pop()
    stamps = []
    for number, line in enumerate(lines, start=1):
        try:
            seconds, fraction = _STAMP.fullmatch(line.strip()).groups(default="")  # type: ignore[union-attr]
            moment = datetime.fromisoformat(seconds).replace(tzinfo=UTC)
        except (AttributeError, ValueError):
            expected = "a valid 'YYYY-MM-DD HH:MM:SS.nnnnnnnnn'"
            raise UserError(f"{path}:{number}: expected {expected}, found {line[:40]!r}") from None
        stamps.append(int(moment.timestamp()) * 1_000_000_000 + int(fraction.ljust(9, "0")))
    return stamps
