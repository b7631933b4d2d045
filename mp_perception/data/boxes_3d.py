"""Geometry of labelled 3D boxes: corners, points inside, and the surface that a camera sees.

Boxes are in the label frame (see Box3D).  The axes of the camera's optical frame are parallel to the label frame's:
label_to_camera, (4, 4), is a translation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import Floats, Mask
from mp_perception.data.object_label import Box3D, ObjectLabel
from mp_perception.geometry import CameraIntrinsics

#: Lidar points up to this distance outside a labelled box, metres, count as the object's: labels are drawn by hand and
#: points have noise.
LABEL_MARGIN = 0.1


def box_corners(box: Box3D) -> Floats:
    """The eight corners (8, 3), metres: the four of the bottom, front left first, then those above them."""
    height, width, length = box.dimensions
    along = np.array([1, 1, -1, -1, 1, 1, -1, -1]) * length / 2
    across = np.array([1, -1, -1, 1, 1, -1, -1, 1]) * width / 2
    up = np.array([0, 0, 0, 0, -1, -1, -1, -1]) * height
    return np.asarray(
        np.stack([along, up, across], axis=1) @ rotation_about_vertical(box.rotation_y).T + np.array(box.bottom_centre)
    )


def points_in_box(box: Box3D, points: NDArray[np.floating], margin: float = LABEL_MARGIN) -> Mask:
    """Mask (N,) of the points (N, 3), metres, that lie in the box enlarged by `margin` metres on all sides."""
    low, high = _limits(box)
    local = (points - np.array(box.bottom_centre)) @ rotation_about_vertical(box.rotation_y)
    return np.asarray(((local > low - margin) & (local < high + margin)).all(axis=1))


def visible_surface_depths(
    labels: Sequence[ObjectLabel], intrinsics: CameraIntrinsics, label_to_camera: Floats
) -> Floats:
    """Depth (N,), metres along the camera's axis, where the ray through each 2D box's middle enters its 3D box.

    NaN for a label without 3D box, and where the ray misses the 3D box (2D boxes of objects that the image cuts off)
    or starts inside it.
    """
    middles = np.array([label.box for label in labels], dtype=np.float64).reshape(-1, 2, 2).mean(axis=1)
    directions = intrinsics.unproject(middles, np.ones(len(labels)))
    eye = -label_to_camera[:3, 3]
    depths = np.full(len(labels), np.nan)
    for i, label in enumerate(labels):
        if label.box_3d is None:
            continue
        low, high = _limits(label.box_3d)
        rotation = rotation_about_vertical(label.box_3d.rotation_y)
        start, direction = (eye - np.array(label.box_3d.bottom_centre)) @ rotation, directions[i] @ rotation
        # Distances along the ray at which it crosses the box's three pairs of planes; with z = 1 they are depths.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            crossings = np.sort((np.stack([low, high]) - start) / direction, axis=0)
        # 0/0: the ray runs within a plane of the box, which then does not limit it.
        enter, leave = np.nanmax(crossings[0]), np.nanmin(crossings[1])
        if 0 < enter <= leave:
            depths[i] = enter
    return depths


def centre_depths(labels: Sequence[ObjectLabel], label_to_camera: Floats) -> Floats:
    """Depth (N,), metres along the camera's axis, of the 3D boxes' centres; NaN for a label without 3D box."""
    depths = [np.nan if label.box_3d is None else label.box_3d.bottom_centre[2] for label in labels]
    return np.asarray(np.array(depths, dtype=np.float64) + label_to_camera[2, 3])


def _limits(box: Box3D) -> tuple[Floats, Floats]:
    """Minimum and maximum coordinates (3,) in the box's own frame: along its length, down, across; bottom at zero."""
    height, width, length = box.dimensions
    return np.array([-length / 2, -height, -width / 2]), np.array([length / 2, 0, width / 2])


def rotation_about_vertical(angle: float) -> Floats:
    """(3, 3), turns x towards -z by the angle, radians: by rotation_y from a box's own axes to the label frame's."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
