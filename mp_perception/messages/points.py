"""sensor_msgs/PointCloud2: points out of it, points and depth maps into it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mp_perception.errors import UserError, one_line
from mp_perception.geometry import CameraIntrinsics
from mp_perception.messages.header import Message, NewMessage

POINT_CLOUD_TYPE = "sensor_msgs/msg/PointCloud2"

#: Limit of the size of a point, bytes.
_MAX_POINT_BYTES = 1 << 16
_FLOAT32, _FLOAT64 = 7, 8  # sensor_msgs/PointField
_TYPE_CODES = {_FLOAT32: "f4", _FLOAT64: "f8"}


def read_points(cloud: Message, where: str) -> NDArray[np.floating]:
    """Points (N, 3), metres; points with a coordinate that is not finite are left out.

    Args:
        cloud: sensor_msgs/PointCloud2 with fields x, y, z of type float32 or float64.
        where: begins the text of errors.

    Raises:
        UserError: such fields are missing, or the data are shorter than the cloud's size requires.
    """
    order = ">" if cloud.is_bigendian else "<"
    fields = {field.name: field for field in cloud.fields if field.name in ("x", "y", "z")}
    if len(fields) < 3 or any(field.datatype not in _TYPE_CODES for field in fields.values()):
        names = ", ".join(field.name for field in cloud.fields) or "none"
        raise UserError(f"{where}: expected fields x, y, z of floats, found {one_line(names)[:200]}")
    types = {name: np.dtype(order + _TYPE_CODES[field.datatype]) for name, field in fields.items()}
    if any(field.offset + types[name].itemsize > cloud.point_step for name, field in fields.items()):
        raise UserError(f"{where}: expected fields within {cloud.point_step} bytes of a point, found one beyond")
    if cloud.point_step > _MAX_POINT_BYTES:
        raise UserError(f"{where}: expected points of at most {_MAX_POINT_BYTES} bytes, found {cloud.point_step}")
    row_bytes, needed = cloud.width * cloud.point_step, cloud.height * cloud.row_step
    if cloud.row_step < row_bytes or len(cloud.data) < needed:
        found = f"{len(cloud.data)} in rows of {cloud.row_step}"
        raise UserError(f"{where}: expected {cloud.height} rows of at least {row_bytes} bytes, found {found}")
    layout = np.dtype(
        {
            "names": ["x", "y", "z"],
            "formats": [types[name] for name in ("x", "y", "z")],
            "offsets": [fields[name].offset for name in ("x", "y", "z")],
            "itemsize": cloud.point_step,
        }
    )
    stored: NDArray[Any] = np.ndarray(
        (cloud.height, cloud.width), layout, buffer=cloud.data, strides=(cloud.row_step, cloud.point_step)
    ).ravel()
    points: NDArray[np.floating] = np.stack([stored[name] for name in ("x", "y", "z")], axis=1)
    return np.asarray(points[np.isfinite(points).all(axis=1)])


def points_message(new: NewMessage, points: NDArray[np.floating], header: Message) -> Message:
    """PointCloud2 of points (N, 4): x, y, z in metres and intensity."""
    if points.ndim != 2 or points.shape[1] != 4:
        raise ValueError(f"expected points (N, 4), found {points.shape}")
    data = np.ascontiguousarray(points, dtype="<f4")
    return _cloud(new, data[None], "intensity", header, is_dense=bool(np.isfinite(data).all()))


def depth_points_message(
    new: NewMessage,
    depth: NDArray[np.float32],
    image: NDArray[np.uint8],
    intrinsics: CameraIntrinsics,
    header: Message,
) -> Message:
    """PointCloud2 of H x W coloured points, row by row like the image, metres in the optical frame.

    Points of unknown depth or beyond the range, and where the lens has no ray, are NaN.

    The colour is 0xRRGGBB, its bits read as a float32 (PCL's convention).

    Args:
        depth: (H, W) metres, NaN where unknown, +Inf beyond the range.
        image: RGB (H, W, 3).
        intrinsics: of that size.
    """
    columns, rows = _rays(intrinsics)
    with np.errstate(invalid="ignore"):  # the sky on the optical axis: +Inf x 0
        depth = np.where(np.isfinite(depth * columns), depth, np.float32(np.nan))
    colors = image.astype(np.uint32)
    packed = (colors[..., 0] << 16 | colors[..., 1] << 8 | colors[..., 2]).view(np.float32)
    points = np.stack([depth * columns, depth * rows, depth, packed], axis=2, dtype="<f4", casting="same_kind")
    return _cloud(new, points, "rgb", header, is_dense=False)


def _cloud(new: NewMessage, points: NDArray[np.floating], fourth: str, header: Message, is_dense: bool) -> Message:
    """points: (H, W, 4) float32, little endian: x, y, z and the field `fourth`."""
    height, width = points.shape[:2]
    return new(
        POINT_CLOUD_TYPE,
        header=header,
        height=height,
        width=width,
        fields=[
            new("sensor_msgs/msg/PointField", name=name, offset=4 * position, datatype=_FLOAT32, count=1)
            for position, name in enumerate(("x", "y", "z", fourth))
        ],
        is_bigendian=False,
        point_step=16,
        row_step=16 * width,
        data=points.view(np.uint8).reshape(-1),
        is_dense=is_dense,
    )


@lru_cache(maxsize=1)
def _rays(intrinsics: CameraIntrinsics) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """x and y at z = 1 of every pixel centre, each (H, W); kept, because a camera seldom changes."""
    rays = intrinsics.pixel_rays().astype(np.float32)
    return np.ascontiguousarray(rays[..., 0]), np.ascontiguousarray(rays[..., 1])
