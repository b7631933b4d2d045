"""Extended Kalman filters of many objects at once: position, velocity, height, and the persistent error of the depth.

What a detection says is expressed as seen through an ideal camera of focal length 1: the direction of its box's centre,
the height of the box, and the depth.  The depth of a network errs by several percent, and about as much in the next
image, so its error is estimated as part of the state: averaging hundreds of images must not make a filter certain.
The height of the box is accurate from image to image, but tells only how the distance changes, because the height of
the object is unknown; it is part of the state for this reason.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Elements of the state: position, velocity (3 each), logarithm of the height in metres, error of the depth in
#: standard deviations.
STATE_SIZE = 8
_HEIGHT, _DEPTH_ERROR = 6, 7
#: Of an unknown measurement.
_UNKNOWN_VARIANCE = 1e6
#: Nearest depth that an object is predicted at, metres.
_NEAREST = 0.1


@dataclass(frozen=True)
class NoiseModel:
    """Standard deviations of what moves objects and of what is measured.

    acceleration: metres / s^2 * sqrt(s), of white noise.  speed: metres per second, of new objects.
    centre, height: of a box, as fractions of its width and height.  persistent: fraction of the variance of the depth
    that persists from image to image, for `persistence` seconds.
    """

    acceleration: float = 2.0
    speed: float = 8.0
    centre: float = 0.07
    height: float = 0.06
    persistent: float = 0.8
    persistence: float = 3.0


@dataclass(frozen=True)
class Measurements:
    """N detections seen through an ideal camera of focal length 1.

    directions: (N, 2) x and y of the box's centre at z = 1.  sizes: (N, 2) width and height of the box at z = 1.
    depths: (N,) metres, NaN where unknown.  depth_errors: (N,) relative standard deviation of depths.
    cut: (N, 2) bool, whether the image's edge cuts the box horizontally and vertically, so that its centre and size are
    not those of the object.
    """

    directions: Array
    sizes: Array
    depths: Array
    depth_errors: Array
    cut: NDArray[np.bool_]

    def __getitem__(self, chosen: NDArray[np.int64]) -> Measurements:
        return Measurements(
            self.directions[chosen],
            self.sizes[chosen],
            self.depths[chosen],
            self.depth_errors[chosen],
            self.cut[chosen],
        )


@dataclass(frozen=True)
class States:
    """Estimates of N objects: means (N, STATE_SIZE) and covariances (N, STATE_SIZE, STATE_SIZE)."""

    means: Array
    covariances: Array

    def __getitem__(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> States:
        return States(self.means[chosen], self.covariances[chosen])


@dataclass(frozen=True)
class Expectation:
    """What the camera is expected to measure of N objects.

    directions: (N, 2).  heights: (N,) of the boxes.  depths: (N,) metres, without the persistent error.
    jacobians: (N, 4, STATE_SIZE) of direction, log(height) and log(depth) (without its error) by the state.
    """

    directions: Array
    heights: Array
    depths: Array
    jacobians: Array


def joined(first: States, second: States) -> States:
    """All objects of both."""
    return States(np.concatenate([first.means, second.means]), np.concatenate([first.covariances, second.covariances]))


def born(seen: Measurements, nominal_depths: Array, pose: Array, camera_velocity: Array, noise: NoiseModel) -> States:
    """States of new objects.

    nominal_depths: (N,) metres, assumed where the depth is unknown, with a standard deviation of the same size.
    pose: (4, 4) from the camera to the frame of the states.
    """
    known = np.isfinite(seen.depths)
    depths = np.where(known, seen.depths, nominal_depths)
    relative = np.where(known, seen.depth_errors, 1.0)
    rays = np.concatenate([seen.directions, np.ones((len(depths), 1))], axis=1)
    means = np.zeros((len(depths), STATE_SIZE))
    means[:, :3] = (rays * depths[:, None]) @ pose[:3, :3].T + pose[:3, 3]
    means[:, _HEIGHT] = np.log(seen.sizes[:, 1] * depths)
    persistent = np.where(known, relative * np.sqrt(noise.persistent), 0.0)
    # Columns: the errors of depth (persistent, random), x, y, height, velocity, by which a state is moved.
    root = np.zeros((len(depths), STATE_SIZE, STATE_SIZE))
    along = (rays * depths[:, None]) @ pose[:3, :3].T
    root[:, :3, 0] = along * persistent[:, None]
    root[:, :3, 1] = along * np.sqrt(np.maximum(relative**2 - persistent**2, 0))[:, None]
    root[:, _HEIGHT, 0] = persistent
    root[:, _HEIGHT, 1] = root[:, 0, 1] * 0 + np.sqrt(np.maximum(relative**2 - persistent**2, 0))
    root[:, _DEPTH_ERROR, 0] = 1.0
    across = depths[:, None] * _direction_stds(seen, noise)
    root[:, :3, 2] = pose[:3, 0] * across[:, :1]
    root[:, :3, 3] = pose[:3, 1] * across[:, 1:]
    root[:, _HEIGHT, 4] = _height_stds(seen, noise)
    root[:, 3:6, 5:8] = np.eye(3) * noise.speed
    return States(means, root @ root.transpose(0, 2, 1))


def predicted(states: States, seconds: float, noise: NoiseModel) -> States:
    """The states after some seconds at constant velocity, with white noise of acceleration."""
    transition = np.eye(STATE_SIZE)
    transition[:3, 3:6] = np.eye(3) * seconds
    decay = np.exp(-seconds / noise.persistence)
    transition[_DEPTH_ERROR, _DEPTH_ERROR] = decay
    added = np.zeros((STATE_SIZE, STATE_SIZE))
    added[:3, :3] = np.eye(3) * seconds**3 / 3
    added[:3, 3:6] = added[3:6, :3] = np.eye(3) * seconds**2 / 2
    added[3:6, 3:6] = np.eye(3) * seconds
    added *= noise.acceleration**2
    added[_DEPTH_ERROR, _DEPTH_ERROR] = 1 - decay**2
    return States(states.means @ transition.T, transition @ states.covariances @ transition.T + added)


def expected(states: States, pose: Array) -> Expectation:
    """What a camera at this pose (4, 4) is expected to measure."""
    offsets = (states.means[:, :3] - pose[:3, 3]) @ pose[:3, :3]
    depths = np.maximum(offsets[:, 2], _NEAREST)
    directions = offsets[:, :2] / depths[:, None]
    jacobians = np.zeros((len(depths), 4, STATE_SIZE))
    to_camera = pose[:3, :3].T
    jacobians[:, :2, :3] = (to_camera[:2] - directions[:, :, None] * to_camera[2]) / depths[:, None, None]
    jacobians[:, 3, :3] = to_camera[2] / depths[:, None]
    jacobians[:, 2, :3] = -jacobians[:, 3, :3]
    jacobians[:, 2, _HEIGHT] = 1.0
    return Expectation(directions, np.exp(states.means[:, _HEIGHT]) / depths, depths, jacobians)


def updated(states: States, expectation: Expectation, seen: Measurements, noise: NoiseModel) -> States:
    """The states after the measurements (N) of the same objects."""
    known = np.isfinite(seen.depths)
    errors = np.where(known, seen.depth_errors, 0.0)
    jacobians = expectation.jacobians.copy()
    jacobians[:, 3, _DEPTH_ERROR] = errors * np.sqrt(noise.persistent)
    log_depths = np.log(np.where(known, seen.depths, expectation.depths) / expectation.depths)
    innovations = np.column_stack(
        [
            seen.directions - expectation.directions,
            np.log(seen.sizes[:, 1] / expectation.heights),
            log_depths - jacobians[:, 3, _DEPTH_ERROR] * states.means[:, _DEPTH_ERROR],
        ]
    )
    variances = np.column_stack(
        [
            _direction_stds(seen, noise) ** 2,
            _height_stds(seen, noise) ** 2,
            np.where(known, errors**2 * (1 - noise.persistent), _UNKNOWN_VARIANCE),
        ]
    )
    cross = states.covariances @ jacobians.transpose(0, 2, 1)
    innovation_covariances = jacobians @ cross
    innovation_covariances[:, range(4), range(4)] += variances
    gains = np.linalg.solve(innovation_covariances, cross.transpose(0, 2, 1)).transpose(0, 2, 1)
    means = states.means + (gains @ innovations[:, :, None])[:, :, 0]
    covariances = states.covariances - gains @ cross.transpose(0, 2, 1)
    return States(means, (covariances + covariances.transpose(0, 2, 1)) / 2)


def _direction_stds(seen: Measurements, noise: NoiseModel) -> Array:
    """(N, 2); the centre of a box that the image's edge cuts may be anywhere in the object."""
    return np.where(seen.cut, 0.5, noise.centre) * seen.sizes


def _height_stds(seen: Measurements, noise: NoiseModel) -> Array:
    """(N,) of log(height)."""
    return np.where(seen.cut[:, 1], 1.0, noise.height)
