"""Trails of tracks: how long, and which."""

from __future__ import annotations

import numpy as np

from mp_perception.tracking.trails import Trails


def after(trails: Trails, ids: list[int], x: float, stamp: float) -> Trails:
    """The trails after one more image, with tracks at (x, 0, 10 id)."""
    positions = np.array([[x, 0.0, 10.0 * track_id] for track_id in ids]).reshape(-1, 3)
    return trails.continued(np.array(ids, np.int64), positions, stamp)


def test_a_trail_is_three_seconds_long_and_ends_with_its_track() -> None:
    trails = Trails()
    for image in range(50):
        trails = after(trails, [1, 2] if image < 45 else [2], image / 8, image / 8)
    assert list(trails.paths) == [2]
    np.testing.assert_allclose(trails[2][:, 0], [*np.arange(26, 49, 2) / 8, 49 / 8])
    assert (trails[2][:, 2] == 20).all()


def test_the_trails_of_an_earlier_image_stay_what_they_were() -> None:
    before = after(Trails(), [1], 0.0, 1.0)
    assert after(before, [1, 2], 1.0, 2.0)[1].tolist() == [[0, 0, 10], [1, 0, 10]]
    assert before[1].tolist() == [[0, 0, 10]]


def test_a_fast_camera_does_not_make_it_grow() -> None:
    trails = Trails()
    for image in range(10_000):
        trails = after(trails, [1], image, image / 1024)
    positions = trails[1][:, 0]
    assert 15 <= len(positions) <= 17
    assert positions[-1] == 9999
    assert (np.diff(positions[:-1]) == 205).all()  # 0.2 s
