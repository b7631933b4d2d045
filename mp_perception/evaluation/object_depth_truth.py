"""How far labelled objects truly are: by the lidar inside their 3D boxes, by the boxes themselves, and the paper's way.

Used by object_depth_metrics.py, and by the measurement that chose our statistic of object depth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mp_perception.data.boxes_3d import centre_depths, points_in_box, visible_surface_depths
from mp_perception.data.object_label import ObjectLabel
from mp_perception.geometry import CameraIntrinsics

Floats = NDArray[np.float64]

#: With fewer points an object's lidar depth is unknown.
MIN_LIDAR_POINTS = 5


@dataclass(frozen=True)
class ObjectTruths:
    """True depths of the labels of one image, each (N,) metres along the camera's axis, NaN where unknown.

    lidar: median of the laser points whose pixel lies in the 2D box and which lie in the 3D box, of at least 5.
    surface: where the ray through the 2D box's middle enters the 3D box.  centre: the 3D box's middle.
    map_mean: mean of the depth map in the 2D box, background included (the paper's way).
    """

    lidar: Floats
    surface: Floats
    centre: Floats
    map_mean: Floats


def object_truths(
    labels: Sequence[ObjectLabel],
    scan: NDArray[np.float32] | None,
    target: NDArray[np.float32] | None,
    intrinsics: CameraIntrinsics,
    label_to_camera: Floats,
) -> ObjectTruths:
    """All that can be known of the depth of an image's objects.

    scan: (H, W) metres, a projected scan, NaN where no point falls, or None.  target: (H, W) metres, the map that the
    paper's way takes its means from, sparse or filled, or None.  intrinsics: of the image.
    label_to_camera: (4, 4), as in FrameCamera.
    """
    unknown = np.full(len(labels), np.nan)
    boxes = np.array([label.box for label in labels], dtype=np.float64).reshape(-1, 4)
    return ObjectTruths(
        lidar=unknown if scan is None else lidar_depths(labels, scan, intrinsics, label_to_camera),
        surface=visible_surface_depths(labels, intrinsics, label_to_camera),
        centre=centre_depths(labels, label_to_camera),
        map_mean=unknown if target is None else mean_depths_in_boxes(target, boxes),
    )


def lidar_depths(
    labels: Sequence[ObjectLabel],
    scan: NDArray[np.float32],
    intrinsics: CameraIntrinsics,
    label_to_camera: Floats,
) -> Floats:
    """Median depth (N,) of the points inside each label's 2D and 3D box, metres; NaN with fewer than 5, or no 3D box.

    scan: (H, W) metres, NaN where no point falls; each pixel is one point.
    """
    rows, columns = np.nonzero(np.isfinite(scan))
    depth = scan[rows, columns].astype(np.float64)
    points = intrinsics.unproject(np.stack([columns, rows], axis=1) + 0.5, depth) - label_to_camera[:3, 3]
    medians = np.full(len(labels), np.nan)
    for i, label in enumerate(labels):
        if label.box_3d is None:
            continue
        left, top, right, bottom = label.box
        in_box = np.flatnonzero((columns >= left) & (columns < right) & (rows >= top) & (rows < bottom))
        inside = in_box[points_in_box(label.box_3d, points[in_box])]
        if len(inside) >= MIN_LIDAR_POINTS:
            medians[i] = np.median(depth[inside])
    return medians


def mean_depths_in_boxes(depth: NDArray[np.float32], boxes: Floats) -> Floats:
    """Mean (N,) of the finite depths, metres, of all pixels whose centre lies in each box (N, 4); NaN without any."""
    height, width = depth.shape
    means = np.full(len(boxes), np.nan)
    for i, (x1, y1, x2, y2) in enumerate(boxes):
        left, right = max(math.ceil(x1 - 0.5), 0), min(math.ceil(x2 - 0.5), width)
        top, bottom = max(math.ceil(y1 - 0.5), 0), min(math.ceil(y2 - 0.5), height)
        if left < right and top < bottom:
            values = depth[top:bottom, left:right]
            values = values[np.isfinite(values)]
            if len(values):
                means[i] = values.mean(dtype=np.float64)
    return means
