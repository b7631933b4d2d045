"""Depth of one camera in another."""

from __future__ import annotations

import numpy as np
import pytest

from mp_perception.data.depth_registration import is_same_view, register_depth
from mp_perception.geometry import CameraIntrinsics
from mp_perception.lens_distortion import LensDistortion

NARROW = CameraIntrinsics(60, 60, 39.5, 29.5, 80, 60)
SAME = np.eye(4)


def shifted(right: float) -> np.ndarray:
    """A depth camera `right` metres to the right of the other."""
    pose = np.eye(4)
    pose[0, 3] = right
    return pose


def test_the_same_camera_sees_the_same() -> None:
    depth = np.random.default_rng(0).uniform(1, 5, (60, 80)).astype(np.float32)
    depth[10:20, 30:40] = np.nan
    assert np.array_equal(register_depth(depth, NARROW, SAME, NARROW), depth, equal_nan=True)


def test_a_plane_has_no_gaps_in_a_larger_image() -> None:
    large = CameraIntrinsics(150, 150, 99.5, 74.5, 200, 150)
    depth = register_depth(np.full((60, 80), 2.0, np.float32), NARROW, shifted(0.02), large)
    # 0.02 m at 2 m are 1.5 pixels of 150; the view of 80 / 60 x 150 = 200 columns moves to the right.
    assert np.isnan(depth[:, 0]).all()
    assert (depth[:, 2:] == 2).all()


def test_the_nearer_surface_hides_the_farther_one() -> None:
    depth = np.full((60, 80), 4.0, np.float32)
    depth[20:40, 30:50] = 1.0
    registered = register_depth(depth, NARROW, shifted(0.1), NARROW)
    # The object moves by 60 x 0.1 / 1 = 6 pixels to the right, the wall by 1.5; what was behind the object is unknown.
    assert (registered[20:40, 36:56] == 1).all()
    assert np.isnan(registered[20:40, 32:36]).all()
    assert (registered[20:40, 2:31] == 4).all()
    assert (registered[20:40, 57:] == 4).all()


def test_the_lens_of_the_colour_camera_counts() -> None:
    lens = LensDistortion("plumb_bob", (-0.3, 0.05, 0.0, 0.0))
    wide = CameraIntrinsics(60, 60, 39.5, 29.5, 80, 60, lens)
    depth = np.full((60, 80), 4.0, np.float32)
    depth[28:32, 70:74] = 2.0
    registered = register_depth(depth, NARROW, SAME, wide)
    rows, columns = np.nonzero(registered == 2)
    # The ray through (72, 30) has x = 32 / 60, y = 0; the lens shows it at x (1 - 0.3 x^2 + 0.05 x^4).
    x = 32.0 / 60
    expected = 39.5 + 60 * x * (1 - 0.3 * x**2 + 0.05 * x**4)
    assert columns.mean() == pytest.approx(expected, abs=0.6)
    assert rows.mean() == pytest.approx(29.5, abs=0.6)
    assert not is_same_view(NARROW, wide)


def test_cameras_are_compared_by_what_they_see() -> None:
    assert is_same_view(NARROW, CameraIntrinsics(60.1, 60.1, 39.6, 29.5, 80, 60))
    assert not is_same_view(NARROW, CameraIntrinsics(62, 62, 39.5, 29.5, 80, 60))
    assert not is_same_view(NARROW, NARROW.scaled(160, 120))
