"""Geometry of KITTI's labelled 3D boxes: corners, which points lie inside, and the surface that a camera sees.

Boxes stand in the rectified camera 0 frame (x right, y down, z forward, metres) and turn about its y axis only; the
image's camera is shifted against it, as KittiCalibration.camera_0_to_camera says.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mp_perception.data.kitti.labels import KittiLabel
from mp_perception.geometry import CameraIntrinsics

Floats = NDArray[np.float64]

#: How far outside a labelled box, on all sides, a laser point may lie and still be the object's: labels are drawn by
#: hand and the scan has noise.
LABEL_MARGIN = 0.1


def box_corners(label: KittiLabel) -> Floats:
    """The eight corners (8, 3), metres, camera 0: the four of the bottom, front left first, then those above them.

    Raises ValueError if the label has no 3D box.
    """
    height, width, length = _dimensions(label)
    along = np.array([1, 1, -1, -1, 1, 1, -1, -1]) * length / 2
    across = np.array([1, -1, -1, 1, 1, -1, -1, 1]) * width / 2
    up = np.array([0, 0, 0, 0, -1, -1, -1, -1]) * height
    return np.asarray(np.stack([along, up, across], axis=1) @ _box_to_camera(label).T + np.array(label.location))


def points_in_box(label: KittiLabel, points: NDArray[np.floating], margin: float = LABEL_MARGIN) -> NDArray[np.bool_]:
    """Mask (N,) of the points (N, 3), camera 0, that lie in the label's 3D box, wider by `margin` metres on all sides.

    Raises ValueError if the label has no 3D box.
    """
    low, high = _limits(label)
    local = (points - np.array(label.location)) @ _box_to_camera(label)
    return np.asarray(((local > low - margin) & (local < high + margin)).all(axis=1))


def visible_surface_depths(
    labels: Sequence[KittiLabel], intrinsics: CameraIntrinsics, camera_0_to_camera: Floats
) -> Floats:
    """Depth (N,), metres along the camera's axis, where the ray through each 2D box's middle enters its 3D box.

    NaN for a label without 3D box, and where the ray passes the 3D box by (2D boxes of objects that the image cuts
    off) or starts inside it.
    """
    middles = np.array([label.box for label in labels], dtype=np.float64).reshape(-1, 2, 2).mean(axis=1)
    directions = intrinsics.unproject(middles, np.ones(len(labels)))
    eye = -camera_0_to_camera[:3, 3]
    depths = np.full(len(labels), np.nan)
    for i, label in enumerate(labels):
        if not label.has_3d_box:
            continue
        low, high = _limits(label)
        rotation = _box_to_camera(label)
        start, direction = (eye - np.array(label.location)) @ rotation, directions[i] @ rotation
        # Distances along the ray at which it crosses the box's three pairs of planes; with z = 1 they are depths.
        with np.errstate(divide="ignore", invalid="ignore"):
            crossings = np.sort((np.stack([low, high]) - start) / direction, axis=0)
        # 0/0: the ray runs within a plane of the box, which then does not limit it.
        enter, leave = np.nanmax(crossings[0]), np.nanmin(crossings[1])
        if 0 < enter <= leave:
            depths[i] = enter
    return depths


def centre_depths(labels: Sequence[KittiLabel], camera_0_to_camera: Floats) -> Floats:
    """Depth (N,), metres along the camera's axis, of the 3D boxes' middles; NaN for a label without 3D box."""
    depths = [label.location[2] + camera_0_to_camera[2, 3] if label.has_3d_box else np.nan for label in labels]
    return np.array(depths, dtype=np.float64)


def _dimensions(label: KittiLabel) -> tuple[float, float, float]:
    if not label.has_3d_box:
        raise ValueError(f"expected a label with a 3D box, found {label}")
    return label.dimensions


def _limits(label: KittiLabel) -> tuple[Floats, Floats]:
    """Lowest and highest coordinates (3,) in the box's own frame: along its length, down, across; bottom at zero."""
    height, width, length = _dimensions(label)
    return np.array([-length / 2, -height, -width / 2]), np.array([length / 2, 0, width / 2])


def _box_to_camera(label: KittiLabel) -> Floats:
    """(3, 3) rotation from the box's own frame to camera 0's axes: about y, by rotation_y."""
    cosine, sine = np.cos(label.rotation_y), np.sin(label.rotation_y)
    return np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
