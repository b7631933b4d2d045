"""Between the image of a camera and an ideal camera of focal length 1, as which the motion filter sees all objects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import Floats
from mp_perception.geometry import CameraIntrinsics, box_centres
from mp_perception.prediction import Detections
from mp_perception.tracking.motion_filter import Expectation, Measurements

#: A box nearer to the image's edge than this, pixels, is cut by it.
_EDGE = 2.0
#: Minimum relative error of a depth: networks that do not state theirs have none.
_MIN_DEPTH_ERROR = 0.02
#: Depths and their errors above this, metres, are unknown.
_MAX_DEPTH = 1e5


def measure(found: Detections, camera: CameraIntrinsics, bounded: bool) -> Measurements:
    """The detections seen through an ideal camera.  bounded: whether the size of the image is known."""
    boxes = found.boxes.astype(np.float64)
    x1, y1, x2, y2 = boxes.T
    x, y = box_centres(boxes).T
    # The centre and the middles of the edges; all at once, because calls cost more than arithmetic here.
    points = np.stack([np.concatenate([x, x1, x2, x, x]), np.concatenate([y, y, y, y1, y2])], axis=1)
    rays = camera.unproject(points, np.ones(len(points))).astype(np.float64)[:, :2].reshape(5, -1, 2)
    cut: NDArray[np.bool_] = np.zeros((len(found), 2), dtype=bool)
    if bounded:
        cut = (boxes[:, :2] < _EDGE) | (boxes[:, 2:] > np.array([camera.width, camera.height]) - _EDGE)
    depths, stds = found.depth.astype(np.float64), found.depth_std.astype(np.float64)
    depths[~((depths > 0) & (depths < _MAX_DEPTH) & (stds >= 0) & (stds < _MAX_DEPTH))] = np.nan
    return Measurements(
        directions=rays[0],
        sizes=np.stack([rays[2, :, 0] - rays[1, :, 0], rays[4, :, 1] - rays[3, :, 1]], axis=1),
        depths=depths,
        depth_errors=np.maximum(stds / depths, _MIN_DEPTH_ERROR),
        cut=cut,
    )


def boxes_in_image(expectation: Expectation, aspects: Floats, camera: CameraIntrinsics) -> Floats:
    """(N, 4) where objects appear in the image; empty boxes for objects that are not in front of the camera."""
    half = np.stack([expectation.heights * aspects, expectation.heights], axis=1) / 2
    half[expectation.offsets[:, 2] <= expectation.depths * 0.999] = 0.0
    corners = np.ones((2, len(half), 3))
    corners[0, :, :2] = expectation.directions - half
    corners[1, :, :2] = expectation.directions + half
    return camera.project(corners.reshape(-1, 3)).reshape(2, -1, 2).transpose(1, 0, 2).reshape(-1, 4).astype(np.float64)
