"""CameraInfo messages: read as intrinsics, written for the depth image.

The projection matrix P counts first, as in depth_image_proc, and K where P is empty.  Distortion is not undone: on the
raw image of a wide lens x and y of an object are only as good as a pinhole describes that lens.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics


def intrinsics_of(info: CameraInfo, width: int, height: int) -> CameraIntrinsics:
    """The camera of an image of width x height pixels.

    Binning and region of interest of the message are taken into account.  Raises UserError if a value is not finite,
    P and K are both empty, or the message is about an image of another size.
    """
    if not np.isfinite(np.concatenate([info.p, info.k])).all():
        raise UserError("P, K: expected finite numbers, found NaN or infinity")
    region_width, region_height = _region_size(info)
    found_width, found_height = region_width // max(info.binning_x, 1), region_height // max(info.binning_y, 1)
    if (found_width, found_height) != (width, height):
        raise UserError(f"size: expected {width}x{height} as the image has, found {found_width}x{found_height}")
    for matrix in (np.reshape(info.p, (3, 4)), np.reshape(info.k, (3, 3))):
        if matrix[0, 0] > 0 and matrix[1, 1] > 0:
            return _region_camera(info, matrix).scaled(width, height)
    raise UserError(f"P, K: expected a focal length above 0, found {info.p[0]:g} in P and {info.k[0]:g} in K")


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


def same_camera(first: CameraInfo, second: CameraInfo) -> bool:
    """Whether two messages describe the same camera, whatever their stamps."""
    return all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("width", "height", "distortion_model", "d", "k", "r", "p", "binning_x", "binning_y", "roi")
    )


def _region_size(info: CameraInfo) -> tuple[int, int]:
    """Width and height of the part of the sensor that the image shows; a region of 0x0 means all of it."""
    return info.roi.width or info.width, info.roi.height or info.height


def _region_camera(info: CameraInfo, matrix: NDArray[np.float64]) -> CameraIntrinsics:
    """The camera matrix (3, 3) or (3, 4) of the sensor, for the region of interest, before binning."""
    width, height = _region_size(info)
    try:
        return CameraIntrinsics(
            fx=float(matrix[0, 0]),
            fy=float(matrix[1, 1]),
            cx=float(matrix[0, 2]) - info.roi.x_offset,
            cy=float(matrix[1, 2]) - info.roi.y_offset,
            width=width,
            height=height,
        )
    except ValueError as error:
        raise UserError(str(error)) from error


def _scaled_matrix(info: CameraInfo, matrix: NDArray[np.float64], width: int, height: int) -> NDArray[np.float64]:
    """K or P, flat, for the region of interest resized to width x height; an empty matrix stays empty."""
    if matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        return np.zeros(matrix.size, dtype=np.float64)
    camera = _region_camera(info, matrix)
    resized = camera.scaled(width, height)
    scaled: NDArray[np.float64] = matrix * np.array([[resized.fx / camera.fx], [resized.fy / camera.fy], [1.0]])
    scaled[0, 2], scaled[1, 2] = resized.cx, resized.cy
    return scaled.ravel()
