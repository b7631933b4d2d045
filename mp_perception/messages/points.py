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
#: sensor_msgs/PointField: datatype -> NumPy's name, of coordinates and of other fields.
_COORDINATES = {7: "f4", 8: "f8"}
_DATATYPES = {2: "u1", 4: "u2", 6: "u4", **_COORDINATES}


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
    if len(fields) < 3 or any(field.datatype not in _COORDINATES for field in fields.values()):
        names = ", ".join(field.name for field in cloud.fields) or "none"
        raise UserError(f"{where}: expected fields x, y, z of floats, found {one_line(names)[:200]}")
    types = {name: np.dtype(order + _COORDINATES[field.datatype]) for name, field in fields.items()}
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
    return table_message(new, _named(data[None], "intensity"), header, is_dense=bool(np.isfinite(data).all()))


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
    return table_message(new, _named(points, "rgb"), header, is_dense=False)


def table_message(new: NewMessage, points: NDArray[np.void], header: Message, is_dense: bool) -> Message:
    """PointCloud2 of a structured array (H, W), little endian, whose fields are those of the cloud.

    is_dense: whether all values are finite.
    """
    height, width = points.shape
    codes = {name: code for code, name in _DATATYPES.items()}
    layout = points.dtype
    assert layout.fields is not None
    return new(
        POINT_CLOUD_TYPE,
        header=header,
        height=height,
        width=width,
        fields=[
            new("sensor_msgs/msg/PointField", name=name, offset=offset, datatype=codes[kind.str[1:]], count=1)
            for name, (kind, offset, *_) in layout.fields.items()
        ],
        is_bigendian=False,
        point_step=layout.itemsize,
        row_step=layout.itemsize * width,
        data=points.reshape(-1).view(np.uint8),
        is_dense=is_dense,
    )


def _named(points: NDArray[np.floating], fourth: str) -> NDArray[np.void]:
    """(H, W, 4) float32, little endian, as fields x, y, z and `fourth`."""
    return points.view([(name, "<f4") for name in ("x", "y", "z", fourth)])[..., 0]


@lru_cache(maxsize=1)
def _rays(intrinsics: CameraIntrinsics) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """x and y at z = 1 of every pixel centre, each (H, W); kept, because a camera seldom changes."""
    rays = intrinsics.pixel_rays().astype(np.float32)
    return np.ascontiguousarray(rays[..., 0]), np.ascontiguousarray(rays[..., 1])
