"""The depth map as a coloured, organised point cloud."""

from __future__ import annotations

import array
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from mp_perception.geometry import CameraIntrinsics

_POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4")])
_FIELDS = [
    PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
    for i, name in enumerate(["x", "y", "z", "rgb"])
]


def depth_to_point_cloud(
    depth: NDArray[np.float32], image: NDArray[np.uint8], intrinsics: CameraIntrinsics, header: Header
) -> PointCloud2:
    """PointCloud2 of H x W points, row by row like the image, metres in the optical frame, NaN where invalid.

    depth: (H, W) metres.  image: RGB (H, W, 3).  intrinsics: of that size.
    """
    height, width = depth.shape
    columns, rows = _rays(intrinsics)
    points = np.empty((height, width), dtype=_POINT)
    points["x"] = depth * columns
    points["y"] = depth * rows
    points["z"] = depth
    colors = image.astype(np.uint32)
    points["rgb"] = colors[..., 0] << 16 | colors[..., 1] << 8 | colors[..., 2]
    data = array.array("B")
    data.frombytes(points.view(np.uint8).data.cast("B"))
    return PointCloud2(
        header=header,
        height=height,
        width=width,
        fields=_FIELDS,
        is_bigendian=False,
        point_step=_POINT.itemsize,
        row_step=width * _POINT.itemsize,
        data=data,
        is_dense=False,
    )


@lru_cache(maxsize=1)
def _rays(intrinsics: CameraIntrinsics) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """x and y at z = 1 of every pixel centre, each (H, W); kept, because a camera seldom changes."""
    rays = intrinsics.pixel_rays().astype(np.float32)
    return np.ascontiguousarray(rays[..., 0]), np.ascontiguousarray(rays[..., 1])
