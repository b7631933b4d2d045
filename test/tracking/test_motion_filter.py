"""The motion filter: its errors are what its covariances say, and its distances are not biased."""

from __future__ import annotations

import numpy as np
import pytest

from mp_perception.tracking.motion_filter import Measurements, NoiseModel, States, born, expected, predicted, updated

#: Slow objects, which stay in front of the camera.
NOISE = NoiseModel(acceleration=0.5, speed=1.0)
TYPICAL = 1.6
PERIOD = 0.1


def drift(values: np.ndarray, persistence: float, std: float, random: np.random.Generator) -> np.ndarray:
    """Values that return to 0 after another image; their standard deviation stays the same."""
    decay = np.exp(-PERIOD / persistence)
    return decay * values + std * np.sqrt(1 - decay**2) * random.standard_normal(values.shape)


def simulate(count: int, images: int, relative: float, pose: np.ndarray) -> tuple[States, np.ndarray, np.ndarray]:
    """Objects that move and are measured as the noise model says: final states, true positions and velocities."""
    random = np.random.default_rng(1)
    position = random.uniform([-8, -0.5, 30], [8, 1, 60], (count, 3)) @ pose[:3, :3].T + pose[:3, 3]
    velocity = NOISE.speed * random.standard_normal((count, 3))
    height, depth_error = NOISE.height * random.standard_normal(count), random.standard_normal(count)
    typical = np.full(count, TYPICAL)
    states = None
    for _ in range(images):
        in_camera = (position - pose[:3, 3]) @ pose[:3, :3]
        z = in_camera[:, 2]
        box = TYPICAL * np.exp(height + NOISE.box_height * random.standard_normal(count)) / z
        sizes = np.stack([box, box], axis=1)
        persistent = np.sqrt(relative**2 * NOISE.persistent - (NOISE.height_for_depth * NOISE.height) ** 2)
        log_error = -NOISE.height_for_depth * height + persistent * depth_error
        log_error += relative * np.sqrt(1 - NOISE.persistent) * random.standard_normal(count)
        directions = in_camera[:, :2] / z[:, None] + NOISE.centre * sizes * random.standard_normal((count, 2))
        seen = Measurements(
            directions, sizes, z * np.exp(log_error), np.full(count, relative), np.zeros((count, 2), bool)
        )
        if states is None:
            states = born(seen, typical, pose, NOISE)
        else:
            states = predicted(states, PERIOD, typical, NOISE)
            states, _ = updated(states, expected(states, pose), seen, typical, pose, NOISE)
        truth = position, velocity
        step = NOISE.acceleration * np.sqrt(PERIOD) * random.standard_normal((count, 3))
        position = position + velocity * PERIOD + step * PERIOD / 2
        velocity = velocity + step
        height = drift(height, NOISE.height_persistence, NOISE.height, random)
        depth_error = drift(depth_error, NOISE.persistence, 1.0, random)
    return states, *truth


def pose_of(angle: float) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    pose[:3, 3] = [3.0, -1.0, 7.0]
    return pose


@pytest.mark.parametrize("images", [1, 2, 5, 20, 60])
@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_errors_are_what_the_covariance_says(images: int, angle: float) -> None:
    """NEES (Bar-Shalom et al. 2001, 5.4.2): errors weighted by the inverse covariance have a mean of their number."""
    states, position, velocity = simulate(1500, images, 0.1, pose_of(angle))
    errors = states.means[:, :6] - np.concatenate([position, velocity], axis=1)
    weighted = np.linalg.solve(states.covariances[:, :6, :6], errors[:, :, None])[:, :, 0]
    assert 5.4 < (errors * weighted).sum(axis=1).mean() < 6.6
    positions = np.linalg.solve(states.covariances[:, :3, :3], errors[:, :3, None])[:, :, 0]
    assert 2.7 < (errors[:, :3] * positions).sum(axis=1).mean() < 3.3


def test_distances_are_not_biased_and_better_than_measured() -> None:
    states, position, _ = simulate(1500, 30, 0.1, np.eye(4))
    ratios = np.log(states.means[:, 2] / position[:, 2])
    assert abs(ratios.mean()) < 0.015
    assert ratios.std() < 0.085


def test_covariances_stay_symmetric_and_positive() -> None:
    states, _, _ = simulate(50, 100, 0.1, np.eye(4))
    assert np.array_equal(states.covariances, states.covariances.transpose(0, 2, 1))
    assert (np.linalg.eigvalsh(states.covariances) > 0).all()
