"""The recording car: poses of camera and lidar, KITTI's calibration files for them, and simulated point clouds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mp_perception.arrays import AnyFloats
from mp_perception.geometry import CameraIntrinsics
from mp_perception.synthetic.render import KITTI_CAMERA, RenderedFrame

#: Rectified camera 0 to rectified cameras 0..3, metres: cameras 0 and 1 are grey, 2 and 3 colour (as KITTI's car).
CAMERA_SHIFTS = np.array([[0.0, 0.0, 0.0], [-0.5372, 0.0, 0.0], [0.0598, -0.0004, 0.0027], [-0.4731, 0.0024, 0.0027]])

#: Lidar (x forward, y left, z up) to camera 0, (3, 4); the lidar is 27 cm behind and 8 cm above it.
VELO_TO_CAMERA = np.array([[0.0, -1.0, 0.0, -0.0041], [0.0, 0.0, -1.0, -0.0763], [1.0, 0.0, 0.0, -0.2718]])

#: Elevations of the 64 beams of a Velodyne HDL-64E, degrees, the angle between two shots of a beam, and its range.
BEAMS = np.concatenate([np.linspace(2.0, -8.33, 32), np.linspace(-8.83, -24.33, 32)])
AZIMUTH_STEP = 0.1728
LIDAR_RANGE = 100.0


def camera_of_size(width: int, height: int) -> CameraIntrinsics:
    """KITTI's camera with another image size.

    It has the same horizontal field of view, square pixels, and the horizon at the same fraction of the height.
    """
    camera = KITTI_CAMERA.scaled(width, height)
    return replace(camera, fy=camera.fx)


def raw_calibration_files(camera: CameraIntrinsics) -> dict[str, str]:
    """File name -> text of the calibration files of a raw drive's date."""
    text = ""
    for number in range(4):
        text += _line(f"S_rect_0{number}", (camera.width, camera.height)) + _line(f"R_rect_0{number}", np.eye(3))
        text += _line(f"P_rect_0{number}", _projection(camera, number))
    velo = _line("R", VELO_TO_CAMERA[:, :3]) + _line("T", VELO_TO_CAMERA[:, 3])
    return {"calib_cam_to_cam.txt": text, "calib_velo_to_cam.txt": velo}


def object_calibration_file(camera: CameraIntrinsics) -> str:
    """Text of `calib/NNNNNN.txt` of the object layout."""
    text = "".join(_line(f"P{number}", _projection(camera, number)) for number in range(4))
    return text + _line("R0_rect", np.eye(3)) + _line("Tr_velo_to_cam", VELO_TO_CAMERA)


def _projection(camera: CameraIntrinsics, number: int) -> AnyFloats:
    """KITTI's projection matrix (3, 4) of camera `number`, from the rectified camera 0 frame to pixels."""
    matrix = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]])
    return np.asarray(matrix @ np.concatenate([np.eye(3), CAMERA_SHIFTS[number][:, None]], axis=1))


def _line(key: str, values: ArrayLike) -> str:
    return f"{key}: {' '.join(f'{value:.16e}' for value in np.asarray(values, dtype=np.float64).ravel())}\n"


def simulate_point_cloud(frame: RenderedFrame, camera: CameraIntrinsics) -> NDArray[np.float32]:
    """A lidar point cloud (N, 4): x, y, z in the lidar's frame, metres, and reflectance 0..1, beam by beam.

    The points are exact surface points: for each shot of each beam, that of the pixel nearest to the shot's direction.
    So the point cloud contains only what the camera sees, and lidar and camera have no parallax.
    """
    rows, columns = np.nonzero(np.isfinite(frame.depth))
    depth = frame.depth[rows, columns].astype(np.float64)
    in_camera = camera.unproject(np.stack([columns + 0.5, rows + 0.5], axis=1), depth)
    in_velo = (in_camera - CAMERA_SHIFTS[2] - VELO_TO_CAMERA[:, 3]) @ VELO_TO_CAMERA[:, :3]
    distance = np.linalg.norm(in_velo, axis=1)
    elevation = np.rad2deg(np.arcsin(in_velo[:, 2] / distance))
    azimuth = np.rad2deg(np.arctan2(in_velo[:, 1], in_velo[:, 0])) / AZIMUTH_STEP
    beam = np.searchsorted(-(BEAMS[1:] + BEAMS[:-1]) / 2, -elevation)
    shot = np.round(azimuth)
    miss = np.hypot(elevation - BEAMS[beam], (azimuth - shot) * AZIMUTH_STEP)
    # A pixel that is farther from the shot than the size of a pixel belongs to no shot.
    pixel = np.rad2deg(1 / min(camera.fx, camera.fy))
    hit = np.flatnonzero((distance < LIDAR_RANGE) & (miss < pixel))
    order = hit[np.lexsort((hit, miss[hit], shot[hit], beam[hit]))]
    _, first = np.unique(beam[order] * 10_000 + shot[order], return_index=True)
    nearest = order[first]
    grey = frame.image[rows[nearest], columns[nearest]].mean(axis=1) / 255
    return np.column_stack([in_velo[nearest], grey]).astype(np.float32)
