"""Sparse depth maps from point clouds, by the rules of KITTI's official depth maps.

The pixel is the rounded projection, the nearest point wins, points behind the camera or outside the image are dropped.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import DepthMap
from mp_perception.geometry import CameraIntrinsics


def project_to_depth_map(
    points: NDArray[np.floating], lidar_to_camera: NDArray[np.floating], intrinsics: CameraIntrinsics
) -> DepthMap:
    """Depth map (height, width), metres, NaN where no point falls.

    points: (N, 3 or more), metres; further columns are not used.  lidar_to_camera: (4, 4) into the optical frame.
    """
    in_camera = points[:, :3].astype(np.float64) @ lidar_to_camera[:3, :3].T + lidar_to_camera[:3, 3]
    in_camera = in_camera[in_camera[:, 2] > 0]
    # The last assignment to a pixel stays, so the nearest point must come last.
    far_to_near = in_camera[np.argsort(-in_camera[:, 2], kind="stable")]
    # The floor of an image point is the rounded projection, because image points count from the pixel's corner.
    # Compared as floats: a point beside the camera projects farther than an integer holds.
    columns, rows = np.floor(intrinsics.project(far_to_near)).T
    inside = (columns >= 0) & (columns < intrinsics.width) & (rows >= 0) & (rows < intrinsics.height)
    depth_map = np.full((intrinsics.height, intrinsics.width), np.nan, dtype=np.float32)
    depth_map[rows[inside].astype(np.intp), columns[inside].astype(np.intp)] = far_to_near[inside, 2]
    return depth_map
