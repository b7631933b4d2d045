"""True distances of labelled objects: from the depth map inside their 3D boxes, and from the boxes themselves.

Used by object_depth_metrics.py, and by the measurement that chose our statistic of object depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import Floats
from mp_perception.data.boxes_3d import centre_depths, points_in_box, visible_surface_depths
from mp_perception.data.frame_sets import FrameCamera
from mp_perception.data.object_label import ObjectLabel

#: With fewer points inside the 3D box an object's measured depth is unknown.
MIN_POINTS = 5


@dataclass(frozen=True)
class ObjectTruths:
    """True depths of the labels of one image, each (N,) metres along the camera's axis, NaN where unknown.

    depth_map: median of the known pixels in the 2D box that lie in the 3D box, at least MIN_POINTS of them.
    surface: where the ray through the 2D box's middle enters the 3D box.  centre: the 3D box's middle.
    """

    depth_map: Floats
    surface: Floats
    centre: Floats


def object_truths(
    labels: Sequence[ObjectLabel], depth: NDArray[np.float32] | None, camera: FrameCamera | None
) -> ObjectTruths:
    """All true depths of an image's objects.  depth: (H, W) metres, NaN where unknown, or None."""
    unknown = np.full(len(labels), np.nan)
    if camera is None:
        return ObjectTruths(unknown, unknown, unknown)
    return ObjectTruths(
        depth_map=unknown if depth is None else depths_in_3d_boxes(labels, depth, camera),
        surface=visible_surface_depths(labels, camera.intrinsics, camera.label_to_camera),
        centre=centre_depths(labels, camera.label_to_camera),
    )


def depths_in_3d_boxes(labels: Sequence[ObjectLabel], depth: NDArray[np.float32], camera: FrameCamera) -> Floats:
    """Median depth (N,) of the pixels inside each label's 2D and 3D box, metres; NaN with fewer than MIN_POINTS.

    depth: (H, W) metres, NaN where unknown.  NaN also for a label without 3D box.
    """
    rows, columns = np.nonzero(np.isfinite(depth))
    known = depth[rows, columns].astype(np.float64)
    pixels = np.stack([columns, rows], axis=1) + 0.5
    points = camera.intrinsics.unproject(pixels, known) - camera.label_to_camera[:3, 3]
    medians = np.full(len(labels), np.nan)
    for i, label in enumerate(labels):
        if label.box_3d is None:
            continue
        left, top, right, bottom = label.box
        in_box = np.flatnonzero((columns >= left) & (columns < right) & (rows >= top) & (rows < bottom))
        inside = in_box[points_in_box(label.box_3d, points[in_box])]
        if len(inside) >= MIN_POINTS:
            medians[i] = np.median(known[inside])
    return medians
