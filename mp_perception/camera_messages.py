"""CameraInfo messages as intrinsics: whichever message class they have, rclpy's or that of bags.

The projection matrix P counts first, as in depth_image_proc, and K where P is empty.  Distortion is not undone: on the
raw image of a wide lens x and y of an object are only as good as a pinhole describes that lens.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics

#: What a camera's matrices can hold, pixels: beyond, scaling them to an image would overflow or end in zero.
_LARGEST_VALUE = 1e9
_LEAST_FOCAL_LENGTH = 1e-3


def intrinsics_of(info: Any, width: int, height: int) -> CameraIntrinsics:
    """The camera of an image of width x height pixels.

    Binning and region of interest of the message are taken into account.  Raises UserError if a value is not finite or
    no camera's, P and K are both empty, or the message is about an image of another size.
    """
    values = np.concatenate([info.p, info.k])
    if not np.isfinite(values).all():
        raise UserError("P, K: expected finite numbers, found NaN or infinity")
    if np.abs(values).max() > _LARGEST_VALUE:
        raise UserError(f"P, K: expected at most {_LARGEST_VALUE:g} pixels, found {values[np.abs(values).argmax()]:g}")
    region_width, region_height = _region_size(info)
    found_width, found_height = region_width // max(info.binning_x, 1), region_height // max(info.binning_y, 1)
    if (found_width, found_height) != (width, height):
        raise UserError(f"size: expected {width}x{height} as the image has, found {found_width}x{found_height}")
    for matrix in (np.reshape(info.p, (3, 4)), np.reshape(info.k, (3, 3))):
        if has_focal_length(matrix):
            return region_camera(info, matrix).scaled(width, height)
    raise UserError(f"P, K: expected a focal length above 0, found {info.p[0]:g} in P and {info.k[0]:g} in K")


def has_focal_length(matrix: NDArray[np.float64]) -> bool:
    """Whether a camera matrix (3, 3) or (3, 4) is one; an empty one holds zeros."""
    return bool(matrix[0, 0] >= _LEAST_FOCAL_LENGTH and matrix[1, 1] >= _LEAST_FOCAL_LENGTH)


def _region_size(info: Any) -> tuple[int, int]:
    """Width and height of the part of the sensor that the image shows; a region of 0x0 means all of it."""
    return info.roi.width or info.width, info.roi.height or info.height


def region_camera(info: Any, matrix: NDArray[np.float64]) -> CameraIntrinsics:
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
