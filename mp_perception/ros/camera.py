"""CameraInfo messages for the depth image, with rclpy's classes; camera_messages.py reads them as intrinsics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from mp_perception.camera_messages import has_focal_length, region_camera


def scaled_camera_info(info: CameraInfo, width: int, height: int, header: Header) -> CameraInfo:
    """Camera info of the same view resized to width x height pixels; `info` must have passed `intrinsics_of`.

    Distortion and rectification stay (they do not depend on the image's size); Tx and Ty of P grow with the focal
    length; binning and region of interest are resolved.
    """
    return CameraInfo(
        header=header,
        width=width,
        height=height,
        distortion_model=info.distortion_model,
        d=info.d,
        k=_scaled_matrix(info, np.reshape(info.k, (3, 3)), width, height),
        r=info.r,
        p=_scaled_matrix(info, np.reshape(info.p, (3, 4)), width, height),
    )


def _scaled_matrix(info: CameraInfo, matrix: NDArray[np.float64], width: int, height: int) -> NDArray[np.float64]:
    """K or P, flat, for the region of interest resized to width x height; an empty matrix stays empty."""
    if not has_focal_length(matrix):
        return np.zeros(matrix.size, dtype=np.float64)
    camera = region_camera(info, matrix)
    resized = camera.scaled(width, height)
    scaled: NDArray[np.float64] = matrix * np.array([[resized.fx / camera.fx], [resized.fy / camera.fy], [1.0]])
    scaled[0, 2], scaled[1, 2] = resized.cx, resized.cy
    return scaled.ravel()
