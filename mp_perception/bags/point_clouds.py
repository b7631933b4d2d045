"""PointCloud2 messages as points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mp_perception.bags.messages import Message
from mp_perception.errors import UserError

#: A point has some coordinates and channels.
MAX_POINT_BYTES = 1 << 16

#: sensor_msgs/PointField's numbers of the types that coordinates have.
_FLOATS = {7: "f4", 8: "f8"}


def points_of(cloud: Message, where: str) -> NDArray[np.floating]:
    """Points (N, 3), metres, of a sensor_msgs/PointCloud2; those with a coordinate that is not finite are left out.

    where begins the message of the UserError that a cloud raises which has no coordinates x, y, z of floats, or less
    data than its size promises.
    """
    order = ">" if cloud.is_bigendian else "<"
    offsets = {field.name: field for field in cloud.fields if field.name in ("x", "y", "z")}
    if len(offsets) < 3 or any(field.datatype not in _FLOATS for field in offsets.values()):
        names = ", ".join(field.name for field in cloud.fields) or "none"
        raise UserError(f"{where}: expected fields x, y, z of floats, found {names}")
    types = {name: np.dtype(order + _FLOATS[field.datatype]) for name, field in offsets.items()}
    if any(field.offset + types[name].itemsize > cloud.point_step for name, field in offsets.items()):
        raise UserError(f"{where}: expected fields within {cloud.point_step} bytes of a point, found one beyond")
    if cloud.point_step > MAX_POINT_BYTES:
        raise UserError(f"{where}: expected points of at most {MAX_POINT_BYTES} bytes, found {cloud.point_step}")
    row_bytes, needed = cloud.width * cloud.point_step, cloud.height * cloud.row_step
    if cloud.row_step < row_bytes or len(cloud.data) < needed:
        found = f"{len(cloud.data)} in rows of {cloud.row_step}"
        raise UserError(f"{where}: expected {cloud.height} rows of at least {row_bytes} bytes, found {found}")
    layout = np.dtype(
        {
            "names": ["x", "y", "z"],
            "formats": [types[name] for name in ("x", "y", "z")],
            "offsets": [offsets[name].offset for name in ("x", "y", "z")],
            "itemsize": cloud.point_step,
        }
    )
    stored: NDArray[Any] = np.ndarray(
        (cloud.height, cloud.width), layout, buffer=cloud.data, strides=(cloud.row_step, cloud.point_step)
    ).ravel()
    points: NDArray[np.floating] = np.stack([stored[name] for name in ("x", "y", "z")], axis=1)
    finite: NDArray[np.bool_] = np.isfinite(points).all(axis=1)
    return np.asarray(points[finite])
