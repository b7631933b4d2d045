"""sensor_msgs/CameraInfo: intrinsics out of it, into it, and resized.

A camera info describes a raw image (K and D) and what image_proc makes of it, the rectified image (P).  Which of them
an image is, only the name of its topic tells.  Without distortion P is used, as in depth_image_proc, and K where P is
empty.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mp_perception.arrays import Matrix
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics
from mp_perception.lens_distortion import LensDistortion
from mp_perception.messages.header import Message, NewMessage

#: Range of a camera matrix, pixels: beyond it, scaling to another image size would overflow or give zero.
_MAX_VALUE = 1e9
_MIN_FOCAL_LENGTH = 1e-3
#: Range of a focal length in units of the longer image side: fields of view of 169 and 0.6 degrees.
_PLAUSIBLE_FOCAL_LENGTHS = (0.05, 100.0)


def is_rectified_topic(topic: str) -> bool:
    """Whether images of a topic are rectified by its name: image_proc's, or that of kitti2bag's rectified image_raw."""
    return "image_rect" in topic or topic.startswith("/kitti/camera_")


def intrinsics_of(info: Message, width: int, height: int, rectified: bool = False) -> CameraIntrinsics:
    """Camera of an image of width x height pixels; binning and region of interest are taken into account.

    Args:
        rectified: whether the image is rectified, so that distortion is already undone.

    Raises:
        UserError: a value is not finite or out of range, P and K are empty, the distortion is of an unknown model, the
            message describes another size, or no lens has such a focal length.
    """
    values = np.concatenate([info.p, info.k])
    if not np.isfinite(values).all():
        raise UserError("P, K: expected finite numbers, found NaN or infinity")
    if np.abs(values).max() > _MAX_VALUE:
        raise UserError(f"P, K: expected at most {_MAX_VALUE:g} pixels, found {values[np.abs(values).argmax()]:g}")
    region_width, region_height = _region_size(info)
    found_width, found_height = region_width // max(info.binning_x, 1), region_height // max(info.binning_y, 1)
    if (found_width, found_height) != (width, height):
        raise UserError(f"size: expected {width}x{height} as the image has, found {found_width}x{found_height}")
    distortion = None if rectified else _distortion(info)
    matrices = (np.reshape(info.p, (3, 4)), np.reshape(info.k, (3, 3)))
    for matrix in matrices if distortion is None else matrices[1:]:
        if _has_focal_length(matrix):
            return replace(_plausible(_region_camera(info, matrix).scaled(width, height)), distortion=distortion)
    if distortion is not None:
        raise UserError(f"K: expected a focal length above 0 beside the distortion, found {info.k[0]:g}")
    raise UserError(f"P, K: expected a focal length above 0, found {info.p[0]:g} in P and {info.k[0]:g} in K")


def pinhole_error(info: Message, intrinsics: CameraIntrinsics) -> float:
    """How far from its place depth_image_proc puts a point of the image's edge at depth 1; 0 for a rectified image.

    It takes P (K where P is empty) and no distortion.  NaN if P cannot be that of an image.
    """
    width, height = intrinsics.width, intrinsics.height
    edge = [[0.5, height / 2], [width - 0.5, height / 2], [width / 2, 0.5], [width / 2, height - 0.5]]
    try:
        pinhole = intrinsics_of(info, width, height, rectified=True)
    except UserError:
        return math.nan
    difference = pinhole.unproject(edge, np.ones(4)) - intrinsics.unproject(edge, np.ones(4))
    distances = np.linalg.norm(difference, axis=1)
    return float(np.max(distances, where=np.isfinite(distances), initial=0.0))


def camera_info_message(
    new: NewMessage, intrinsics: CameraIntrinsics, header: Message, stereo_baseline: float = 0.0
) -> Message:
    """CameraInfo of a camera without rotation; P is that of the image, as if it were rectified.

    stereo_baseline: for the right camera of a stereo pair, metres from the left camera to this one (ROS stores it as
    P[0, 3] = -fx * baseline); 0 for the left camera.
    """
    fx, fy, cx, cy = intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy
    return new(
        "sensor_msgs/msg/CameraInfo",
        header=header,
        height=intrinsics.height,
        width=intrinsics.width,
        distortion_model="plumb_bob" if intrinsics.distortion is None else intrinsics.distortion.model,
        d=np.zeros(5) if intrinsics.distortion is None else np.array(intrinsics.distortion.coefficients),
        k=np.array([fx, 0, cx, 0, fy, cy, 0, 0, 1], dtype=np.float64),
        r=np.eye(3).ravel(),
        p=np.array([fx, 0, cx, -fx * stereo_baseline, 0, fy, cy, 0, 0, 0, 1, 0], dtype=np.float64),
    )


def scaled_camera_info(new: NewMessage, info: Message, width: int, height: int, header: Message) -> Message:
    """CameraInfo of the same view resized to width x height pixels; `info` must have passed `intrinsics_of`.

    Distortion and rectification stay, because they do not depend on the image size; Tx and Ty of P scale with the
    focal length; binning and region of interest are resolved.
    """
    return new(
        "sensor_msgs/msg/CameraInfo",
        header=header,
        width=width,
        height=height,
        distortion_model=info.distortion_model,
        d=info.d,
        k=_scaled_matrix(info, np.reshape(info.k, (3, 3)), width, height),
        r=info.r,
        p=_scaled_matrix(info, np.reshape(info.p, (3, 4)), width, height),
    )


def _distortion(info: Message) -> LensDistortion | None:
    """The distortion of the raw image; None if all coefficients are zero."""
    coefficients = tuple(np.asarray(info.d, dtype=np.float64).tolist())
    if not any(coefficients):
        return None
    try:
        return LensDistortion(info.distortion_model, coefficients)
    except ValueError as error:
        raise UserError(str(error)) from error


def _has_focal_length(matrix: Matrix) -> bool:
    """Whether a camera matrix (3, 3) or (3, 4) is set; an empty one holds zeros."""
    return bool(matrix[0, 0] >= _MIN_FOCAL_LENGTH and matrix[1, 1] >= _MIN_FOCAL_LENGTH)


def _plausible(camera: CameraIntrinsics) -> CameraIntrinsics:
    low, high = (factor * max(camera.width, camera.height) for factor in _PLAUSIBLE_FOCAL_LENGTHS)
    if not (low <= camera.fx <= high and low <= camera.fy <= high):
        raise UserError(
            f"focal length: expected {low:g} to {high:g} pixels for an image of {camera.width}x{camera.height},"
            f" found {camera.fx:g} x {camera.fy:g}"
        )
    return camera


def _region_size(info: Message) -> tuple[int, int]:
    """Width and height of the part of the sensor that the image shows; a region of 0x0 means the whole sensor."""
    return info.roi.width or info.width, info.roi.height or info.height


def _region_camera(info: Message, matrix: Matrix) -> CameraIntrinsics:
    """The camera of a sensor matrix (3, 3) or (3, 4), for the region of interest, before binning."""
    width, height = _region_size(info)
    return CameraIntrinsics(
        fx=float(matrix[0, 0]),
        fy=float(matrix[1, 1]),
        cx=float(matrix[0, 2]) - info.roi.x_offset,
        cy=float(matrix[1, 2]) - info.roi.y_offset,
        width=width,
        height=height,
    )


def _scaled_matrix(info: Message, matrix: Matrix, width: int, height: int) -> Matrix:
    """K or P, flat, for the region of interest resized to width x height; an empty matrix stays empty."""
    if not _has_focal_length(matrix):
        return np.zeros(matrix.size, dtype=np.float64)
    camera = _region_camera(info, matrix)
    resized = camera.scaled(width, height)
    scaled: Matrix = matrix * np.array([[resized.fx / camera.fx], [resized.fy / camera.fy], [1.0]])
    scaled[0, 2], scaled[1, 2] = resized.cx, resized.cy
    return scaled.ravel()
