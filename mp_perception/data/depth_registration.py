"""Depth of one camera as another camera sees it, as depth_image_proc's register computes it.

Needed where a depth camera stands beside the colour camera, or has another lens or image size.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import DepthMap
from mp_perception.data.lidar_projection import project_to_depth_map
from mp_perception.geometry import CameraIntrinsics

#: Projected points per pixel and direction on a surface that faces the camera; below 1 it would have gaps, and farther
#: surfaces would show through them.
_DENSITY = 1.5
#: Cameras are the same if no ray differs by more, pixels.
_SAME_PIXELS = 0.5


def register_depth(
    depth: NDArray[np.floating],
    depth_camera: CameraIntrinsics,
    depth_to_camera: NDArray[np.floating],
    camera: CameraIntrinsics,
) -> DepthMap:
    """The depth map (height, width) of `camera`, metres, NaN where it sees nothing that the depth camera measured.

    Args:
        depth: (H, W) metres, not finite where unknown.
        depth_camera: of that size.
        depth_to_camera: (4, 4) from the depth camera's optical frame to the other's.
        camera: the distortion of both cameras counts; of two surfaces in one pixel the nearer one is seen.
    """
    magnification = max(camera.fx / depth_camera.fx, camera.fy / depth_camera.fy)
    repeats = min(max(1, math.ceil(_DENSITY * magnification)), 8)
    fine = np.repeat(np.repeat(depth, repeats, axis=0), repeats, axis=1)
    rays = depth_camera.scaled(depth_camera.width * repeats, depth_camera.height * repeats).pixel_rays()
    known = np.isfinite(fine) & np.isfinite(rays[..., 0])
    return project_to_depth_map(rays[known] * fine[known][:, None], depth_to_camera, camera)


def is_same_view(first: CameraIntrinsics, second: CameraIntrinsics) -> bool:
    """Whether two cameras at one place see the same in every pixel, up to half a pixel."""
    if (first.width, first.height) != (second.width, second.height):
        return False
    grid = np.stack(np.meshgrid(np.linspace(0, first.width, 9), np.linspace(0, first.height, 9)), axis=2).reshape(-1, 2)
    points = first.unproject(grid, np.ones(len(grid)))
    seen = np.isfinite(points[:, 0])
    return bool(seen.any() and np.abs(second.project(points[seen]) - grid[seen]).max() <= _SAME_PIXELS)
