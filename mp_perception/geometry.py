"""Camera and box arithmetic: the only module that knows about the half pixel.

Two conventions meet here.  *Image points* (u, v) and box edges are continuous: pixel i covers [i, i + 1), so its
centre is i + 0.5 (torchvision's way).  A camera's principal point counts pixel *centres* as whole numbers (ROS,
OpenCV, KITTI).  All functions below take and give image points; everything is NumPy.

The camera looks along z of its optical frame (REP 103): x right, y down, z forward, metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating]

#: Stride of the network's depth map.  An image's share of the network's input ends on a multiple of it, so that the
#: depth map can be cut to the image exactly.
DEPTH_STRIDE = 2
#: The core of a box, where the depth of its object is measured and learned, as a fraction of its width and height.
CORE_FRACTION = 0.5


@dataclass(frozen=True)
class CameraIntrinsics:
    """Pinhole camera without distortion.

    fx, fy: focal lengths, pixels (> 0).  cx, cy: principal point, pixels; the centre of the left top pixel is (0, 0),
    as in ROS and OpenCV.  width, height: image size, pixels (> 0).
    Raises ValueError if a value is not finite or a size or focal length is not positive.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    def __post_init__(self) -> None:
        if not np.isfinite([self.fx, self.fy, self.cx, self.cy]).all():
            raise ValueError(f"intrinsics must be finite, found {self}")
        if self.fx <= 0 or self.fy <= 0 or self.width <= 0 or self.height <= 0:
            raise ValueError(f"focal lengths and image size must be positive, found {self}")

    def scaled(self, width: int, height: int) -> CameraIntrinsics:
        """The same camera with its image resized to width x height."""
        scale_x, scale_y = width / self.width, height / self.height
        return CameraIntrinsics(
            fx=self.fx * scale_x,
            fy=self.fy * scale_y,
            cx=(self.cx + 0.5) * scale_x - 0.5,
            cy=(self.cy + 0.5) * scale_y - 0.5,
            width=width,
            height=height,
        )

    def project(self, points: ArrayLike) -> Floats:
        """Image points (N, 2) of 3D points (N, 3), metres in the optical frame, z > 0.

        The pixel a point falls into is the floor of its image point.
        """
        points = np.asarray(points, dtype=np.float64)
        return np.stack(
            [
                self.fx * points[:, 0] / points[:, 2] + self.cx + 0.5,
                self.fy * points[:, 1] / points[:, 2] + self.cy + 0.5,
            ],
            axis=1,
        )

    def unproject(self, image_points: ArrayLike, depth: ArrayLike) -> Floats:
        """3D points (N, 3), metres, of image points (N, 2) at depth (N,): metres along z, NaN stays NaN."""
        image_points = np.asarray(image_points, dtype=np.float64)
        depth = np.asarray(depth, dtype=np.float64)
        return np.stack(
            [
                (image_points[:, 0] - 0.5 - self.cx) / self.fx * depth,
                (image_points[:, 1] - 0.5 - self.cy) / self.fy * depth,
                depth,
            ],
            axis=1,
        )

    def pixel_rays(self) -> Floats:
        """Directions (height, width, 3) through all pixel centres, with z = 1: times depth they are 3D points."""
        columns = (np.arange(self.width) - self.cx) / self.fx
        rows = (np.arange(self.height) - self.cy) / self.fy
        rays = np.ones((self.height, self.width, 3))
        rays[..., 0] = columns
        rays[..., 1] = rows[:, None]
        return rays


def box_areas(boxes: Floats) -> Floats:
    """Areas (N,) in square pixels of boxes (N, 4) x1 y1 x2 y2; 0 where a box is inverted."""
    return np.asarray(np.clip(boxes[:, 2] - boxes[:, 0], 0, None) * np.clip(boxes[:, 3] - boxes[:, 1], 0, None))


def box_intersections(first: Floats, second: Floats) -> Floats:
    """Areas (N, M) in square pixels that boxes (N, 4) and (M, 4), x1 y1 x2 y2, share."""
    left_top = np.maximum(first[:, None, :2], second[None, :, :2])
    right_bottom = np.minimum(first[:, None, 2:], second[None, :, 2:])
    sides = np.clip(right_bottom - left_top, 0, None)
    return np.asarray(sides[..., 0] * sides[..., 1])


def box_iou(first: Floats, second: Floats) -> Floats:
    """Intersection over union (N, M) of boxes (N, 4) and (M, 4), x1 y1 x2 y2; 0 where both are empty."""
    intersection = box_intersections(first, second)
    union = box_areas(first)[:, None] + box_areas(second)[None, :] - intersection
    return np.asarray(np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0))


def clip_boxes(boxes: Floats, width: float, height: float) -> Floats:
    """Boxes (N, 4) cut to an image of width x height pixels."""
    limits = np.array([width, height, width, height], dtype=boxes.dtype)
    return np.asarray(np.clip(boxes, 0, limits))


def box_centres(boxes: Floats) -> Floats:
    """Middle points (N, 2) of boxes (N, 4), as image points."""
    return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2)


def letterbox_size(image_size: tuple[int, int], input_size: tuple[int, int]) -> tuple[int, int]:
    """Size (height, width) of an image (height, width) in the network's input: as large as fits, aspect ratio kept."""
    scale = min(input_size[0] / image_size[0], input_size[1] / image_size[1])
    return scaled_size(image_size, scale, input_size)


def scaled_size(size: tuple[int, int], scale: float, limit: tuple[int, int]) -> tuple[int, int]:
    """(height, width) times scale, on multiples of DEPTH_STRIDE, within the limit."""
    height, width = (
        min(max(DEPTH_STRIDE * round(side * scale / DEPTH_STRIDE), DEPTH_STRIDE), most)
        for side, most in zip(size, limit, strict=True)
    )
    return height, width
