"""Road coordinates and the depth of roadway, kerb and footway."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mp_perception.synthetic.ground import KERB, Road, ground_color, ground_depth

ROAD = Road(0.0, 4.0, 3.0, True, 2, 0.0, None, 0.2, 0.0, 3)
EYE = np.array([0.0, -1.65, 0.0])


@given(st.floats(-1 / 100, 1 / 100), st.floats(-20, 120), st.floats(-15, 15))
def test_place_and_coordinates_are_inverse(curvature, s, t):
    road = replace(ROAD, curvature=curvature)
    x, z = road.place(s, t)
    back_s, back_t = road.coordinates(np.array([x]), np.array([z]))
    assert back_s[0] == pytest.approx(s, abs=1e-6)
    assert back_t[0] == pytest.approx(t, abs=1e-6)


def test_a_bent_road_keeps_its_distance_from_the_centre_of_its_circle():
    road = replace(ROAD, curvature=1 / 50)
    places = np.array([road.place(s, 2.0) for s in np.linspace(0, 100, 20)])
    np.testing.assert_allclose(np.hypot(places[:, 0] - 50, places[:, 1]), 48.0, rtol=1e-12)


def test_depth_of_roadway_footway_and_kerb_by_hand():
    directions = np.array(
        [
            [0.0, 0.1, 1.0],  # roadway ahead: 1.65 / 0.1
            [0.8, 0.3, 1.0],  # footway: 1.53 / 0.3 = 5.1, x = 4.08
            [0.74, 0.3, 1.0],  # over the footway's edge at x = 3.774, on the roadway's plane at x = 4.07: the kerb
            [0.0, -0.1, 1.0],  # sky
        ]
    )
    depth = ground_depth(ROAD, EYE, directions)
    np.testing.assert_allclose(depth, [16.5, 5.1, 4.0 / 0.74, np.inf], rtol=1e-12)


@pytest.mark.parametrize("curvature", [0.0, 1 / 80, -1 / 120])
def test_every_ground_point_lies_on_roadway_kerb_or_footway(curvature):
    road = replace(ROAD, curvature=curvature)
    columns, rows = np.meshgrid(np.linspace(-0.9, 0.9, 181), np.linspace(0.03, 0.5, 200))
    directions = np.stack([columns, rows, np.ones_like(rows)], axis=-1)
    depth = ground_depth(road, EYE, directions)
    points = EYE + directions * depth[..., None]
    _, t = road.coordinates(points[..., 0], points[..., 2])
    height = -points[..., 1]
    on_roadway = (np.abs(height) < 1e-9) & (np.abs(t) <= 4 + 1e-6)
    on_footway = (np.abs(height - KERB) < 1e-9) & (np.abs(t) >= 4 - 1e-6)
    on_kerb = (np.abs(np.abs(t) - 4) < 1e-6) & (height > -1e-9) & (height < KERB + 1e-9)
    assert (on_roadway | on_footway | on_kerb).all()
    assert on_kerb.sum() > 50
    assert on_footway.sum() > 1000


def test_zebra_crossing_is_brighter_than_the_road():
    road = replace(ROAD, zebra=10.0)
    points = np.array([[0.25, 0.0, 10.0], [0.25, 0.0, 15.0]], dtype=np.float32)
    on_mark, beside = ground_color(road, points, np.array([10.0, 15.0], dtype=np.float32))
    assert on_mark.min() > 2 * beside.max()
