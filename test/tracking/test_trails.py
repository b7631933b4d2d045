"""Trails of tracks: how long, and which."""

from __future__ import annotations

from typing import Any

import numpy as np

from mp_perception.tracking.tracks import Tracks
from mp_perception.tracking.trails import Trails


def tracks(ids: list[int], x: float, **changes: Any) -> Tracks:
    """Tracks at (x, 0, 10 id)."""
    number = len(ids)
    return Tracks(
        **{
            "ids": np.array(ids, np.int64),
            "positions": np.array([[x, 0.0, 10.0 * track_id] for track_id in ids]).reshape(-1, 3),
            "labels": np.zeros(number, np.int64),
            "scores": np.ones(number),
            "boxes": np.zeros((number, 4)),
            "velocities": np.zeros((number, 3)),
            "covariances": np.zeros((number, 6, 6)),
            "seen": np.ones(number, bool),
            "ages": np.zeros(number),
            "detection_ids": np.zeros(0, np.int64),
            "class_names": ("Car",),
            "camera_pose": np.eye(4),
            "camera_velocity": np.zeros(3),
            **changes,
        }
    )


def test_a_trail_is_three_seconds_long_and_ends_with_its_track() -> None:
    trails = Trails()
    for image in range(50):
        trails.update(tracks([1, 2] if image < 45 else [2], image / 8), image / 8)
    (found,) = trails.positions().items()
    assert found[0] == 2
    np.testing.assert_allclose(found[1][:, 0], [*np.arange(26, 49, 2) / 8, 49 / 8])
    assert (found[1][:, 2] == 20).all()


def test_a_restart_begins_new_trails() -> None:
    trails = Trails()
    trails.update(tracks([1], 0.0), 100.0)
    trails.update(tracks([1], 1.0, restart="the stamp jumped back"), 5.0)
    assert trails.positions()[1].tolist() == [[1, 0, 10]]


def test_a_fast_camera_does_not_make_it_grow() -> None:
    trails = Trails()
    for image in range(10_000):
        trails.update(tracks([1], image), image / 1024)
    positions = trails.positions()[1][:, 0]
    assert 15 <= len(positions) <= 17
    assert positions[-1] == 9999
    assert (np.diff(positions[:-1]) == 205).all()  # 0.2 s
