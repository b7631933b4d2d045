"""Poses of moving frames between their stamps, and after the last."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from mp_perception.arrays import Matrix
from mp_perception.messages.frame_tree import FrameTree

MS = 10**6
#: Stamps of the moving frame, every 20 ms.
STAMPS = range(1000 * MS, 1200 * MS, 20 * MS)


def rotated(angles: Any, position: Any = (0, 0, 0)) -> Matrix:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec(angles).as_matrix()
    pose[:3, 3] = position
    return pose


def turning(stamp_ns: int) -> Matrix:
    """A robot that drives 10 m/s along x and turns 2 rad/s about a tilted axis."""
    seconds = stamp_ns / 1e9
    axis = np.array([0.1, -0.2, 0.97]) / np.linalg.norm([0.1, -0.2, 0.97])
    return rotated(2 * seconds * axis, (10 * seconds, 1, 2))


def tree() -> FrameTree:
    """odom -> base, moving; base -> camera, fixed."""
    return FrameTree(
        parents={"base": "odom", "camera": "base"},
        fixed={"camera": rotated((0, 0.3, 0), (0, 0, 1.5))},
        moving={"base": {stamp: turning(stamp) for stamp in STAMPS}},
    )


@pytest.mark.parametrize("stamp_ms", [1003, 1090, 1179])
def test_between_two_stamps_the_pose_is_that_of_slerp(stamp_ms: int) -> None:
    stamp = stamp_ms * MS
    found = tree().lookup("odom", "base", stamp)
    assert found is not None
    poses = [turning(each) for each in STAMPS]
    slerp = Slerp(np.array(STAMPS), Rotation.from_matrix([pose[:3, :3] for pose in poses]))
    np.testing.assert_allclose(found[:3, :3], slerp(stamp).as_matrix(), atol=1e-9)
    np.testing.assert_allclose(found[:3, 3], (10 * stamp / 1e9, 1, 2), rtol=1e-12)
    assert found[3].tolist() == [0, 0, 0, 1]


def test_motion_goes_on_after_the_last_stamp_for_a_limited_time() -> None:
    limit = 100 * MS
    last = STAMPS[-1]
    for late in (10 * MS, limit):
        found = tree().lookup("odom", "camera", last + late, limit)
        assert found is not None
        np.testing.assert_allclose(found, turning(last + late) @ rotated((0, 0.3, 0), (0, 0, 1.5)), atol=1e-9)
    assert tree().lookup("odom", "camera", last + limit + 1, limit) is None
    assert tree().lookup("odom", "camera", STAMPS[0] - limit - 1, limit) is None
    assert np.array_equal(tree().lookup("odom", "base", STAMPS[0] - limit, limit), turning(STAMPS[0]))


def test_without_a_limit_the_last_pose_stays() -> None:
    assert np.array_equal(tree().lookup("odom", "base", STAMPS[-1] + 10**12), turning(STAMPS[-1]))


def test_two_poses_of_almost_the_same_time_give_no_motion() -> None:
    """Two publishers of one transform differ by noise, which must not be extrapolated as motion."""
    noisy = tree()
    noisy.moving["base"] = {1000 * MS: rotated((0, 0, 0)), 1000 * MS + 10: rotated((0, 0, 0.001), (0.05, 0, 0))}
    found = noisy.lookup("odom", "base", 1090 * MS, 100 * MS)
    assert found is not None
    assert found[:3, 3] == pytest.approx([0.05, 0, 0])


def test_a_single_pose_is_held() -> None:
    one = tree()
    one.moving["base"] = {1000 * MS: rotated((0, 0, 1), (1, 2, 3))}
    assert np.array_equal(one.lookup("odom", "base", 1050 * MS, 100 * MS), rotated((0, 0, 1), (1, 2, 3)))
