"""Extended Kalman filters of many objects at once: position, velocity, height, and the persistent error of the depth.

What a detection says is expressed as seen through an ideal camera of focal length 1: the direction of its box's centre,
the height of the box, and the depth.  Two errors last, so that averaging many images does not remove them, and are
part of the state: the height of an object is only known roughly, from its class; and a network's depth that is too
large in one image is too large in the next.  From image to image both are accurate, the height of the box above all,
which therefore tells how fast the distance changes (time to contact) better than the depth does.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import Floats

#: Elements of the state: position, velocity (3 each), logarithm of the height in metres, error of the depth in
#: standard deviations.
STATE_SIZE = 8
_HEIGHT, _DEPTH_ERROR = 6, 7
#: Of an unknown measurement.
_UNKNOWN_VARIANCE = 1e6
#: Nearest depth that an object is predicted at, metres.
_NEAREST = 0.1
#: Depth of an object of which neither depth nor height is known, metres; it may be e times as near or far.
_NOMINAL_DEPTH = 20.0


@dataclass(frozen=True)
class NoiseModel:
    """Standard deviations of how objects move and of what is measured.

    Those of measurements are from 1,400 pairs of detections of one object in successive frames of KITTI's object data.

    Attributes:
        acceleration: white noise, metres / second^1.5.
        speed: of new objects, metres per second.
        centre: of a box, fractions of its width and height.
        box_height: of its logarithm.
        height: of the logarithm of an object's height about that typical for its class.
        height_persistence: for about how long an unusual height is that of the same object, seconds.
        persistent: fraction of the variance of the depth that persists from image to image.
        persistence: for about how long it does, seconds.
        height_for_depth: the network takes this fraction of an unusual height for distance.
    """

    acceleration: float = 2.0
    speed: float = 8.0
    centre: tuple[float, float] = (0.06, 0.03)
    box_height: float = 0.045
    height: float = 0.1
    height_persistence: float = 2.0
    persistent: float = 0.83
    persistence: float = 3.0
    height_for_depth: float = 0.3


@dataclass(frozen=True)
class Rows:
    """Arrays, or others of these, with one row per object."""

    def __getitem__(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> Self:
        return replace(self, **{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def joined(self, others: Self) -> Self:
        """These rows and then the others."""
        pairs = {field.name: (getattr(self, field.name), getattr(others, field.name)) for field in fields(self)}
        joined = {
            name: mine.joined(theirs) if isinstance(mine, Rows) else np.concatenate([mine, theirs])
            for name, (mine, theirs) in pairs.items()
        }
        return replace(self, **joined)


@dataclass(frozen=True)
class Measurements(Rows):
    """N detections seen through an ideal camera of focal length 1.

    directions: (N, 2) x and y of the box's centre at z = 1.  sizes: (N, 2) width and height of the box at z = 1.
    depths: (N,) metres, NaN where unknown.  depth_errors: (N,) relative standard deviation of depths.
    cut: (N, 2) bool, whether the image's edge cuts the box horizontally and vertically, so that its centre and size are
    not those of the object.
    """

    directions: Floats
    sizes: Floats
    depths: Floats
    depth_errors: Floats
    cut: NDArray[np.bool_]


@dataclass(frozen=True)
class States(Rows):
    """Estimates of N objects: means (N, STATE_SIZE) and covariances (N, STATE_SIZE, STATE_SIZE)."""

    means: Floats
    covariances: Floats


@dataclass(frozen=True)
class Expectation(Rows):
    """Where a camera is expected to see N objects.

    offsets: (N, 3) metres, positions in the camera's frame.  directions: (N, 2) at z = 1.  heights: (N,) of the boxes
    at z = 1.  depths, depth_stds: (N,) metres.
    """

    offsets: Floats
    directions: Floats
    heights: Floats
    depths: Floats
    depth_stds: Floats


def born(seen: Measurements, typical_heights: Floats, pose: Floats, noise: NoiseModel) -> States:
    """States of new objects.

    typical_heights: (N,) metres, of their classes, NaN where unknown.  pose: (4, 4) from the camera to the frame of the
    states.
    """
    count = len(seen.depths)
    known, typical = np.isfinite(seen.depths), np.isfinite(typical_heights)
    nominal = np.where(known, seen.depths, _NOMINAL_DEPTH)
    log_heights = np.log(np.where(typical, typical_heights, nominal * seen.sizes[:, 1]))
    # Logarithm of the depth (about the nominal one), of the height (about the typical one), and the depth's error, from
    # two measurements and what is known beforehand.
    slopes, depth_variances = _depth_model(seen, typical, noise)
    jacobians = np.zeros((count, 2, 3))
    jacobians[:, 0, 0], jacobians[:, 0, 1:] = 1.0, slopes
    jacobians[:, 1, 0], jacobians[:, 1, 1] = -1.0, 1.0
    measured = np.zeros((count, 2))
    measured[:, 1] = np.log(seen.sizes[:, 1] * nominal) - log_heights
    variances = np.column_stack([depth_variances, _height_stds(seen, noise) ** 2])
    weighted = jacobians.transpose(0, 2, 1) / variances[:, None]
    information = weighted @ jacobians
    information[:, range(3), range(3)] += np.column_stack(
        [np.ones(count), np.where(typical, noise.height**-2, 1.0), np.ones(count)]
    )
    covariances = np.linalg.inv(information)
    estimates = (covariances @ weighted @ measured[:, :, None])[:, :, 0]
    depths = nominal * np.exp(estimates[:, 0])
    along = np.concatenate([seen.directions, np.ones((count, 1))], axis=1) * depths[:, None] @ pose[:3, :3].T
    means = np.zeros((count, STATE_SIZE))
    means[:, :3] = along + pose[:3, 3]
    means[:, _HEIGHT] = log_heights + estimates[:, 1]
    means[:, _DEPTH_ERROR] = estimates[:, 2]
    # How depth, height and depth error, the two directions, and the velocity move the state.
    moves = np.zeros((count, STATE_SIZE, 8))
    moves[:, :3, 0] = along
    moves[:, _HEIGHT, 1] = moves[:, _DEPTH_ERROR, 2] = 1.0
    moves[:, :3, 3:5] = pose[:3, :2] * (depths[:, None] * _direction_stds(seen, noise))[:, None]
    moves[:, 3:6, 5:] = np.eye(3) * noise.speed
    inner = np.zeros((count, 8, 8))
    inner[:, :3, :3] = covariances
    inner[:, range(3, 8), range(3, 8)] = 1.0
    return States(means, moves @ inner @ moves.transpose(0, 2, 1))


def predicted(states: States, seconds: float, typical_heights: Floats, noise: NoiseModel) -> States:
    """The states after some seconds at constant velocity, with white noise of acceleration.

    Height and depth error return to what is typical, so that a wrong association is forgotten.
    typical_heights: as for `born`.
    """
    typical = np.isfinite(typical_heights)
    decay = np.exp(-seconds / np.array([noise.height_persistence, noise.persistence]))
    transition = np.zeros((len(states.means), STATE_SIZE, STATE_SIZE))
    transition[:] = np.eye(STATE_SIZE)
    transition[:, :3, 3:6] = np.eye(3) * seconds
    transition[:, _HEIGHT, _HEIGHT] = np.where(typical, decay[0], 1.0)
    transition[:, _DEPTH_ERROR, _DEPTH_ERROR] = decay[1]
    means = (transition @ states.means[:, :, None])[:, :, 0]
    means[:, _HEIGHT] += np.where(typical, (1 - decay[0]) * np.log(np.where(typical, typical_heights, 1.0)), 0.0)
    added = np.zeros((STATE_SIZE, STATE_SIZE))
    added[:3, :3] = np.eye(3) * seconds**3 / 3
    added[:3, 3:6] = added[3:6, :3] = np.eye(3) * seconds**2 / 2
    added[3:6, 3:6] = np.eye(3) * seconds
    added *= noise.acceleration**2
    added[_HEIGHT, _HEIGHT] = noise.height**2 * (1 - decay[0] ** 2)
    added[_DEPTH_ERROR, _DEPTH_ERROR] = 1 - decay[1] ** 2
    return States(means, transition @ states.covariances @ transition.transpose(0, 2, 1) + added)


def expected(states: States, pose: Floats) -> Expectation:
    """Where a camera at this pose (4, 4) is expected to see the objects."""
    offsets = (states.means[:, :3] - pose[:3, 3]) @ pose[:3, :3]
    depths = np.maximum(offsets[:, 2], _NEAREST)
    axis = pose[:3, 2]
    variances = axis @ states.covariances[:, :3, :3] @ axis
    return Expectation(
        offsets, offsets[:, :2] / depths[:, None], np.exp(states.means[:, _HEIGHT]) / depths, depths, np.sqrt(variances)
    )


def updated(
    states: States,
    expectation: Expectation,
    seen: Measurements,
    typical_heights: Floats,
    pose: Floats,
    noise: NoiseModel,
) -> tuple[States, Floats]:
    """The states after the measurements (N) of the same objects, and how much they differ from what was expected.

    The error of a position is taken in direction and logarithm of the depth, in which measurements are linear: in the
    first images, when the velocity is unknown, an error along the axis would bias the depth by several percent.
    The difference (N,) is the squared Mahalanobis distance of four values.  typical_heights: as for `born`.
    """
    count, depths, directions = len(seen.depths), expectation.depths[:, None], expectation.directions
    known, typical = np.isfinite(seen.depths), np.isfinite(typical_heights)
    slopes, depth_variances = _depth_model(seen, typical, noise)
    in_camera = np.zeros((count, 3, 3))
    in_camera[:, :2, :2] = np.eye(2)
    in_camera[:, :2, 2] = -directions
    in_camera[:, 2, 2] = 1.0
    jacobians = np.zeros((count, 4, STATE_SIZE))
    jacobians[:, [0, 1, 3], :3] = in_camera @ pose[:3, :3].T / depths[:, None]
    jacobians[:, 2, :3] = -jacobians[:, 3, :3]
    jacobians[:, 2, _HEIGHT] = 1.0
    jacobians[:, 3, _HEIGHT:] = slopes
    log_typical = np.log(np.where(typical, typical_heights, 1.0))
    errors = slopes[:, 0] * (states.means[:, _HEIGHT] - log_typical) + slopes[:, 1] * states.means[:, _DEPTH_ERROR]
    innovations = np.column_stack(
        [
            seen.directions - directions,
            np.log(seen.sizes[:, 1] / expectation.heights),
            np.log(np.where(known, seen.depths, expectation.depths) / expectation.depths) - errors,
        ]
    )
    variances = np.column_stack([_direction_stds(seen, noise) ** 2, _height_stds(seen, noise) ** 2, depth_variances])
    cross = states.covariances @ jacobians.transpose(0, 2, 1)
    innovation_covariances = jacobians @ cross
    innovation_covariances[:, range(4), range(4)] += variances
    solved = np.linalg.solve(
        innovation_covariances, np.concatenate([cross.transpose(0, 2, 1), innovations[:, :, None]], axis=2)
    )
    weighted = solved[:, :, -1]
    changes = (cross @ weighted[:, :, None])[:, :, 0]
    covariances = states.covariances - cross @ solved[:, :, :-1]
    means = states.means + changes
    moved = (in_camera @ (changes[:, :3] @ pose[:3, :3])[:, :, None])[:, :, 0] / depths
    nearer = np.exp(np.clip(moved[:, 2:], -1.0, 1.0))
    rays = np.concatenate([directions + moved[:, :2], np.ones((count, 1))], axis=1)
    means[:, :3] = (rays * depths * nearer) @ pose[:3, :3].T + pose[:3, 3]
    covariances[:, :3] *= nearer[:, :, None]
    covariances[:, :, :3] *= nearer[:, :, None]
    return States(means, (covariances + covariances.transpose(0, 2, 1)) / 2), np.sum(innovations * weighted, axis=1)


def _depth_model(seen: Measurements, typical: NDArray[np.bool_], noise: NoiseModel) -> tuple[Floats, Floats]:
    """How log(depth) depends on the last two elements of the state (N, 2), and its variance besides (N,)."""
    known = np.isfinite(seen.depths)
    errors = np.where(known, seen.depth_errors, 0.0)
    by_height = np.where(known & typical, -noise.height_for_depth, 0.0)
    persistent = np.maximum(errors**2 * noise.persistent - (by_height * noise.height) ** 2, 0.0)
    variances = np.where(known, errors**2 * (1 - noise.persistent), _UNKNOWN_VARIANCE)
    return np.column_stack([by_height, np.sqrt(persistent)]), np.maximum(variances, 1e-6)


def _direction_stds(seen: Measurements, noise: NoiseModel) -> Floats:
    """(N, 2); the centre of a box that the image's edge cuts may be anywhere in the object."""
    return np.where(seen.cut, 0.5, noise.centre) * seen.sizes


def _height_stds(seen: Measurements, noise: NoiseModel) -> Floats:
    """(N,) of the logarithm of the box's height."""
    return np.where(seen.cut[:, 1], 1.0, noise.box_height)
