"""Camera and box arithmetic: the only module that converts between the two pixel conventions.

*Image points* (u, v) and box edges are continuous: pixel i covers [i, i + 1), so its centre is i + 0.5 (as in
torchvision).  For a camera's principal point the *centre* of pixel i is i (as in ROS, OpenCV and KITTI).  All functions
below take and return image points.

The camera looks along z of its optical frame (REP 103): x right, y down, z forward, metres.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from mp_perception.arrays import AnyFloats
from mp_perception.lens_distortion import LensDistortion

#: Stride of the network's depth map.  The part of the network's input that an image fills ends on a multiple of it,
#: so that the depth map can be cropped to the image exactly.
DEPTH_STRIDE = 2
#: The core of a box, where the depth of its object is measured and learned, as a fraction of its width and height.
CORE_FRACTION = 0.5
#: Pixels between the points where the rays of a distorted image are computed.
_GRID_STEP = 8


@dataclass(frozen=True)
class CameraIntrinsics:
    """Pinhole camera, whose lens may distort the image.

    Attributes:
        fx: horizontal focal length, pixels (> 0).
        fy: vertical focal length, pixels (> 0).
        cx: column of the principal point, pixels; the centre of the top-left pixel is (0, 0), as in ROS and OpenCV.
        cy: row of the principal point, pixels.
        width: image width, pixels (> 0).
        height: image height, pixels (> 0).
        distortion: of the lens; None for a lens without, or a rectified image.

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
    distortion: LensDistortion | None = None

    def __post_init__(self) -> None:
        if not np.isfinite([self.fx, self.fy, self.cx, self.cy]).all():
            raise ValueError(f"intrinsics must be finite, found {self}")
        if self.fx <= 0 or self.fy <= 0 or self.width <= 0 or self.height <= 0:
            raise ValueError(f"focal lengths and image size must be positive, found {self}")

    def scaled(self, width: int, height: int) -> CameraIntrinsics:
        """The same camera after its image was resized to width x height pixels.

        Examples:
            >>> half = CameraIntrinsics(700, 700, 599.5, 179.5, 1200, 360).scaled(600, 180)
            >>> half.fx, half.fy, half.cx, half.cy
            (350.0, 350.0, 299.5, 89.5)
        """
        scale_x, scale_y = width / self.width, height / self.height
        return replace(
            self,
            fx=self.fx * scale_x,
            fy=self.fy * scale_y,
            cx=(self.cx + 0.5) * scale_x - 0.5,
            cy=(self.cy + 0.5) * scale_y - 0.5,
            width=width,
            height=height,
        )

    def project(self, points: ArrayLike) -> AnyFloats:
        """Image points (N, 2) of 3D points (N, 3), metres in the optical frame, z > 0.

        A point lies in the pixel that is the floor of its image point.
        """
        points = np.asarray(points, dtype=np.float64)
        rays = points[:, :2] / points[:, 2:]
        if self.distortion is not None:
            rays = self.distortion.distort(rays)
        return np.asarray(rays * [self.fx, self.fy] + [self.cx + 0.5, self.cy + 0.5])

    def unproject(self, image_points: ArrayLike, depth: ArrayLike) -> AnyFloats:
        """3D points (N, 3), metres, of image points (N, 2) at depth (N,), metres along z.

        x and y are NaN where depth is NaN, and where no ray through the lens reaches the image point.
        """
        image_points = np.asarray(image_points, dtype=np.float64)
        depth = np.asarray(depth, dtype=np.float64)[:, None]
        return np.concatenate([self._rays(image_points) * depth, depth], axis=1)

    def position_covariance(
        self, image_points: ArrayLike, depth: ArrayLike, depth_std: ArrayLike, point_std: ArrayLike
    ) -> AnyFloats:
        """Covariances (N, 3, 3), square metres, of `unproject`, to first order.

        Args:
            image_points: (N, 2).
            depth: (N,) metres.
            depth_std: (N,) metres, standard deviation; an error of the depth moves the point along its ray.
            point_std: (N, 2) pixels, standard deviation in each direction; such an error moves it across.
        """
        points, one = np.asarray(image_points, dtype=np.float64), np.ones(len(np.asarray(image_points)))
        depth, sideways = np.asarray(depth, dtype=np.float64), np.asarray(point_std, dtype=np.float64)
        across, down = (
            self.unproject(points + half_pixel, one) - self.unproject(points - half_pixel, one)
            for half_pixel in (np.array([0.5, 0.0]), np.array([0.0, 0.5]))
        )
        # The columns are the movements by one standard deviation of each error.
        root = np.stack([self.unproject(points, one), across * depth[:, None], down * depth[:, None]], axis=2)
        root = root * np.column_stack([depth_std, sideways])[:, None]
        return np.asarray(root @ root.transpose(0, 2, 1))

    def pixel_rays(self) -> AnyFloats:
        """Directions (height, width, 3) through all pixel centres with z = 1: multiplied by depth, 3D points.

        NaN where no ray through the lens reaches the pixel.
        """
        rays = np.ones((self.height, self.width, 3))
        if self.distortion is None:
            rays[..., 0] = (np.arange(self.width) - self.cx) / self.fx
            rays[..., 1] = ((np.arange(self.height) - self.cy) / self.fy)[:, None]
            return rays
        rays[..., :2] = self._at_all_pixels(self._rays)
        rays[np.isnan(rays[..., 0])] = np.nan
        return rays

    def magnification(self) -> AnyFloats:
        """How much higher (height, width) the lens shows an object at each pixel than at the principal point.

        1 without distortion; within 0.1..10, and 1 where no ray through the lens reaches the pixel.
        """
        if self.distortion is None:
            return np.ones((self.height, self.width))
        half_pixel = np.array([0.0, 0.5])

        def at(points: AnyFloats) -> AnyFloats:
            return np.asarray(1 / self.fy / (self._rays(points + half_pixel) - self._rays(points - half_pixel))[:, 1:])

        return np.nan_to_num(np.clip(self._at_all_pixels(at)[..., 0], 0.1, 10), nan=1.0)

    def _at_all_pixels(self, function: Callable[[AnyFloats], AnyFloats]) -> AnyFloats:
        """Values (height, width, n) at all pixel centres of a function from image points (N, 2) to values (N, n).

        The inverse of a distortion is an iteration, which takes seconds for all pixels.  It is smooth: between the
        points of a grid, rays are interpolated with an error of some hundredths of a pixel.
        """
        first_column, column_part = np.divmod(np.arange(self.width), _GRID_STEP)
        first_row, row_part = np.divmod(np.arange(self.height), _GRID_STEP)
        rows, columns = np.mgrid[: first_row[-1] + 2, : first_column[-1] + 2] * _GRID_STEP + 0.5
        grid = function(np.stack([columns.ravel(), rows.ravel()], axis=1)).reshape(*rows.shape, -1)
        right, down = column_part[:, None] / _GRID_STEP, row_part[:, None, None] / _GRID_STEP
        grid = grid[:, first_column] * (1 - right) + grid[:, first_column + 1] * right
        return np.asarray(grid[first_row] * (1 - down) + grid[first_row + 1] * down)

    def _rays(self, image_points: AnyFloats) -> AnyFloats:
        """x and y (N, 2) at z = 1 of image points (N, 2)."""
        rays = (image_points - [self.cx + 0.5, self.cy + 0.5]) / [self.fx, self.fy]
        return rays if self.distortion is None else self.distortion.undistort(rays)


def box_areas(boxes: AnyFloats) -> AnyFloats:
    """Areas (N,) in square pixels of boxes (N, 4) x1 y1 x2 y2; 0 for inverted boxes."""
    return np.asarray(np.clip(boxes[:, 2] - boxes[:, 0], 0, None) * np.clip(boxes[:, 3] - boxes[:, 1], 0, None))


def box_intersections(first: AnyFloats, second: AnyFloats) -> AnyFloats:
    """Areas (N, M) in square pixels of the intersections of boxes (N, 4) and (M, 4), x1 y1 x2 y2."""
    left_top = np.maximum(first[:, None, :2], second[None, :, :2])
    right_bottom = np.minimum(first[:, None, 2:], second[None, :, 2:])
    sides = np.clip(right_bottom - left_top, 0, None)
    return np.asarray(sides[..., 0] * sides[..., 1])


def box_iou(first: AnyFloats, second: AnyFloats) -> AnyFloats:
    """Intersection over union (N, M) of boxes (N, 4) and (M, 4), x1 y1 x2 y2; 0 if both are empty.

    Examples:
        >>> box_iou(np.array([[0.0, 0.0, 10.0, 10.0]]), np.array([[5.0, 0.0, 15.0, 10.0], [20.0, 0.0, 30.0, 10.0]]))
        array([[0.33333333, 0.        ]])
    """
    intersection = box_intersections(first, second)
    union = box_areas(first)[:, None] + box_areas(second)[None, :] - intersection
    return np.asarray(np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0))


def clip_boxes(boxes: AnyFloats, width: float, height: float) -> AnyFloats:
    """Boxes (N, 4) clipped to an image of width x height pixels."""
    limits = np.array([width, height, width, height], dtype=boxes.dtype)
    return np.asarray(np.clip(boxes, 0, limits))


def box_centres(boxes: AnyFloats) -> AnyFloats:
    """Centres (N, 2) of boxes (N, 4), as image points."""
    return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2)


def seen_sizes(boxes: AnyFloats, depth: AnyFloats, camera: CameraIntrinsics) -> AnyFloats:
    """Width and height (N, 2), metres, of what boxes (N, 4) x1 y1 x2 y2 show at depth (N,), metres."""
    (x, y), (x1, y1, x2, y2) = box_centres(boxes).T, boxes.T
    left, right, top, bottom = (
        camera.unproject(np.stack(edge, axis=1), depth) for edge in ((x1, y), (x2, y), (x, y1), (x, y2))
    )
    return np.stack([right[:, 0] - left[:, 0], bottom[:, 1] - top[:, 1]], axis=1)


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
