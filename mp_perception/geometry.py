"""Camera and box arithmetic in NumPy: the only module that converts between the two pixel conventions.

*Image points* (u, v) and box edges are continuous: pixel i covers [i, i + 1), so its centre is i + 0.5 (as in
torchvision).  For a camera's principal point the *centre* of pixel i is i (as in ROS, OpenCV and KITTI).  All functions
below take and return image points.

The camera looks along z of its optical frame (REP 103): x right, y down, z forward, metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating]

#: Stride of the network's depth map.  The part of the network's input that an image fills ends on a multiple of it,
#: so that the depth map can be cropped to the image exactly.
DEPTH_STRIDE = 2
#: The core of a box, where the depth of its object is measured and learned, as a fraction of its width and height.
CORE_FRACTION = 0.5


@dataclass(frozen=True)
class CameraIntrinsics:
    """Pinhole camera without distortion.

    Attributes:
        fx: horizontal focal length, pixels (> 0).
        fy: vertical focal length, pixels (> 0).
        cx: column of the principal point, pixels; the centre of the top-left pixel is (0, 0), as in ROS and OpenCV.
        cy: row of the principal point, pixels.
        width: image width, pixels (> 0).
        height: image height, pixels (> 0).

    Raises:
        ValueError: a value is not finite, or a size or focal length is not positive.

    Examples:
        >>> camera = CameraIntrinsics(fx=700, fy=700, cx=599.5, cy=179.5, width=1200, height=360)
        >>> camera.project([[2.0, 0.0, 10.0]])
        array([[740., 180.]])
        >>> camera.unproject([[740.0, 180.0]], [10.0])
        array([[ 2.,  0., 10.]])
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
        """The same camera after its image was resized to width x height pixels.

        Examples:
            >>> CameraIntrinsics(700, 700, 599.5, 179.5, 1200, 360).scaled(600, 180)
            CameraIntrinsics(fx=350.0, fy=350.0, cx=299.5, cy=89.5, width=600, height=180)
        """
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

        A point lies in the pixel that is the floor of its image point.
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
        """3D points (N, 3), metres, of image points (N, 2) at depth (N,), metres along z; NaN for depth NaN."""
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
        """Directions (height, width, 3) through all pixel centres with z = 1: multiplied by depth, 3D points."""
        columns = (np.arange(self.width) - self.cx) / self.fx
        rows = (np.arange(self.height) - self.cy) / self.fy
        rays = np.ones((self.height, self.width, 3))
        rays[..., 0] = columns
        rays[..., 1] = rows[:, None]
        return rays


def box_areas(boxes: Floats) -> Floats:
    """Areas (N,) in square pixels of boxes (N, 4) x1 y1 x2 y2; 0 for inverted boxes."""
    return np.asarray(np.clip(boxes[:, 2] - boxes[:, 0], 0, None) * np.clip(boxes[:, 3] - boxes[:, 1], 0, None))


def box_intersections(first: Floats, second: Floats) -> Floats:
    """Areas (N, M) in square pixels of the intersections of boxes (N, 4) and (M, 4), x1 y1 x2 y2."""
    left_top = np.maximum(first[:, None, :2], second[None, :, :2])
    right_bottom = np.minimum(first[:, None, 2:], second[None, :, 2:])
    sides = np.clip(right_bottom - left_top, 0, None)
    return np.asarray(sides[..., 0] * sides[..., 1])


def box_iou(first: Floats, second: Floats) -> Floats:
    """Intersection over union (N, M) of boxes (N, 4) and (M, 4), x1 y1 x2 y2; 0 if both are empty.

    Examples:
        >>> box_iou(np.array([[0.0, 0.0, 10.0, 10.0]]), np.array([[5.0, 0.0, 15.0, 10.0], [20.0, 0.0, 30.0, 10.0]]))
        array([[0.33333333, 0.        ]])
    """
    intersection = box_intersections(first, second)
    union = box_areas(first)[:, None] + box_areas(second)[None, :] - intersection
    return np.asarray(np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0))


def clip_boxes(boxes: Floats, width: float, height: float) -> Floats:
    """Boxes (N, 4) clipped to an image of width x height pixels."""
    limits = np.array([width, height, width, height], dtype=boxes.dtype)
    return np.asarray(np.clip(boxes, 0, limits))


def box_centres(boxes: Floats) -> Floats:
    """Centres (N, 2) of boxes (N, 4), as image points."""
    return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2)


def letterbox_size(image_size: tuple[int, int], input_size: tuple[int, int]) -> tuple[int, int]:
    """The largest size (height, width) with the image's aspect ratio that fits into the network's input.

    Examples:
        >>> letterbox_size(image_size=(375, 1242), input_size=(192, 640))
        (192, 636)
    """
    scale = min(input_size[0] / image_size[0], input_size[1] / image_size[1])
    return scaled_size(image_size, scale, input_size)


def scaled_size(size: tuple[int, int], scale: float, limit: tuple[int, int]) -> tuple[int, int]:
    """(height, width) times scale, rounded to multiples of DEPTH_STRIDE, within the limit."""
    height, width = (
        min(max(DEPTH_STRIDE * round(side * scale / DEPTH_STRIDE), DEPTH_STRIDE), maximum)
        for side, maximum in zip(size, limit, strict=True)
    )
    return height, width
