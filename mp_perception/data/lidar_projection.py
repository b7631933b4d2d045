"""Laser points seen by a camera, and the sparse depth map they make.

The same rules as KITTI's official depth maps: the pixel is the rounded projection, the nearest point wins, points
behind the camera or outside the image are dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mp_perception.geometry import CameraIntrinsics


@dataclass(frozen=True)
class ProjectedPoints:
    """The points of a scan that fall into an image, in the scan's order.

    rows, columns: (N,) pixels from 0.  depth: (N,) metres along the optical axis, > 0.
    indices: (N,) positions in the scan.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    depth: NDArray[np.float64]
    indices: NDArray[np.intp]


def project_points(
    points: NDArray[np.floating], lidar_to_camera: NDArray[np.floating], intrinsics: CameraIntrinsics
) -> ProjectedPoints:
    """The points that fall into the image.

    points: (N, 3 or more), metres, further columns are left out.  lidar_to_camera: (4, 4) into the optical frame.
    """
    in_camera = points[:, :3].astype(np.float64) @ lidar_to_camera[:3, :3].T + lidar_to_camera[:3, 3]
    indices = np.flatnonzero(in_camera[:, 2] > 0)
    in_camera = in_camera[indices]
    # The floor of an image point is the rounded projection, because image points count from the pixel's corner.
    # Compared as floats: a point beside the camera projects farther than an integer holds.
    columns, rows = np.floor(intrinsics.project(in_camera)).T
    inside = (columns >= 0) & (columns < intrinsics.width) & (rows >= 0) & (rows < intrinsics.height)
    return ProjectedPoints(
        rows=rows[inside].astype(np.intp),
        columns=columns[inside].astype(np.intp),
        depth=in_camera[inside, 2],
        indices=indices[inside],
    )


def project_to_depth_map(
    points: NDArray[np.floating], lidar_to_camera: NDArray[np.floating], intrinsics: CameraIntrinsics
) -> NDArray[np.float32]:
    """Depth map (height, width), metres, NaN where no point falls.  Arguments as for project_points."""
    projected = project_points(points, lidar_to_camera, intrinsics)
    far_to_near = np.argsort(-projected.depth, kind="stable")
    depth_map = np.full((intrinsics.height, intrinsics.width), np.nan, dtype=np.float32)
    # The last assignment to a pixel stays, so the nearest point must come last.
    depth_map[projected.rows[far_to_near], projected.columns[far_to_near]] = projected.depth[far_to_near]
    return depth_map
