"""What the network's depth map means for one camera: metres, their range, and their error."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mp_perception.geometry import DEPTH_STRIDE, CameraIntrinsics
from mp_perception.inference.prediction_settings import PredictionSettings
from mp_perception.inference.preprocess import Placement
from mp_perception.model.checkpoint_description import CheckpointDescription

#: Relative standard deviation of depth where the focal length is unknown.  Depth is proportional to it, and horizontal
#: fields of view from 40 to 120 degrees, equally likely on a logarithmic scale, give 0.45.
UNKNOWN_FOCAL_LENGTH_ERROR = 0.45
#: Rounding may move a bounded network slightly beyond its bounds.
_TOLERANCE = 1e-4


def camera_depth(
    network_depth: NDArray[np.float32],
    description: CheckpointDescription,
    placement: Placement,
    intrinsics: CameraIntrinsics | None,
    settings: PredictionSettings,
) -> NDArray[np.float32]:
    """The network's depth, clipped to the image and scaled to this camera; +Inf beyond the range, NaN below it.

    A network that was trained at focal length f0 estimates d * f0 / f for an object at distance d in a camera of focal
    length f, so the depth is multiplied by f / f0 (both in pixels of the network's input); in a distorted image f is
    that of the place.  An estimate above the checkpoint's maximum means "beyond" for any camera; the settings limit the
    depth of this camera.

    Args:
        network_depth: metres, of the network's whole input at DEPTH_STRIDE.
        placement: of the image in that input.
        intrinsics: of the image; without them depth is not scaled.
    """
    height, width = placement.content_size
    depth = network_depth[: height // DEPTH_STRIDE, : width // DEPTH_STRIDE]
    low, high = description.valid_depth_range
    training_focal = description.training_focal_length
    factor: NDArray[np.floating] = np.ones(1)
    if settings.focal_scaling and intrinsics is not None and training_focal is not None:
        factor = factor * (intrinsics.fy * placement.scale_y / training_focal)
        if intrinsics.distortion is not None:
            factor = factor * _magnification(intrinsics.scaled(depth.shape[1], depth.shape[0]))
    lowest = np.maximum(low * factor, settings.min_depth or 0.0)
    highest = np.minimum(high * factor, settings.max_depth or high)
    scaled = depth * factor.astype(np.float32)
    beyond = scaled > highest * (1 + _TOLERANCE)
    scaled[~(scaled >= lowest * (1 - _TOLERANCE))] = np.nan
    scaled[beyond] = np.inf
    return scaled


def relative_depth_error(
    description: CheckpointDescription, intrinsics: CameraIntrinsics | None, settings: PredictionSettings
) -> float:
    """Standard deviation of depth / truth: the network's, and that of an unknown focal length."""
    depends_on_camera = settings.focal_scaling and description.training_focal_length is not None
    focal_error = UNKNOWN_FOCAL_LENGTH_ERROR if depends_on_camera and intrinsics is None else 0.0
    return math.hypot(description.depth_error, focal_error)


@lru_cache(maxsize=4)
def _magnification(camera: CameraIntrinsics) -> NDArray[np.floating]:
    """Kept, because a camera seldom changes."""
    return camera.magnification()
