"""Intersections of rays and shapes: every expectation is computed independently of the renderer's formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mp_perception.data.boxes_3d import rotation_about_vertical
from mp_perception.geometry import CameraIntrinsics
from mp_perception.synthetic.raster import NEAR, silhouettes, trace
from mp_perception.synthetic.shapes import Material, ModelBuilder, Surface, join

CAMERA = CameraIntrinsics(fx=100.0, fy=110.0, cx=49.5, cy=39.5, width=100, height=80)

WHITE = Surface((1.0, 1.0, 1.0))

#: Builder points are (forward, left, up): this turns a model so that its forward is the camera's z.
AHEAD = rotation_about_vertical(-np.pi / 2)


def model_of(add, at=(0.0, 0.0, 0.0)):
    """A model in the camera's frame: add draws with a builder whose forward, left, up are z, -x, -y."""
    builder = ModelBuilder()
    add(builder)
    return builder.build().moved(AHEAD, np.array(at))


def traced(model, camera=CAMERA):
    return trace(model, camera, np.zeros(len(model), dtype=int))


def points_seen(surfaces, camera=CAMERA):
    rows, columns = np.nonzero(surfaces.shape >= 0)
    return camera.unproject(np.stack([columns + 0.5, rows + 0.5], axis=1), surfaces.depth[rows, columns])


def test_square_facing_the_camera_covers_the_pixels_whose_centres_lie_in_it():
    square = model_of(lambda b: b.polygon([(10, 1, 1), (10, -1, 1), (10, -1, -1), (10, 1, -1)], WHITE))
    surfaces = traced(square)
    # x = -1..1 at z = 10 is u = 39.5..59.5 counted in pixel centres: columns 40..59; y: v = 28.5..50.5, rows 29..50.
    expected = np.zeros((80, 100), dtype=bool)
    expected[29:51, 40:60] = True
    np.testing.assert_array_equal(surfaces.shape >= 0, expected)
    np.testing.assert_allclose(surfaces.depth[expected], 10.0, rtol=1e-12)
    assert np.isinf(surfaces.depth[~expected]).all()


def test_slanted_plane_has_the_depth_of_ray_and_plane():
    corners = np.array([(8.0, 2.0, -1.0), (14.0, -3.0, -1.0), (14.0, -3.0, 2.0), (8.0, 2.0, 2.0)])
    surfaces = traced(model_of(lambda b: b.polygon(corners, WHITE)))
    points = points_seen(surfaces)
    assert len(points) > 500
    # In the camera's frame x = -left, so the wall runs from (x, z) = (-2, 8) to (3, 14).
    np.testing.assert_allclose((points[:, 2] - 8.0) * 5.0, (points[:, 0] + 2.0) * 6.0, atol=1e-9)


@pytest.mark.parametrize("radius", [0.3, 1.5])
def test_rays_meet_a_sphere_at_its_near_side(radius):
    centre = np.array([0.4, -0.2, 6.0])
    ball = model_of(lambda b: b.ellipsoid((0, 0, 0), (radius,) * 3, WHITE), centre)
    surfaces = traced(ball)
    directions = CAMERA.pixel_rays()
    unit = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    along = unit @ centre
    inside = radius**2 - (centre @ centre - along**2)
    expected = np.where(inside >= 0, (along - np.sqrt(np.maximum(inside, 0))) * unit[..., 2], np.inf)
    np.testing.assert_allclose(surfaces.depth, expected, rtol=1e-10)


def test_points_on_a_cone_lie_on_it_and_between_its_ends():
    start, end, radii = np.array([7.0, 0.5, -1.0]), np.array([8.0, -0.5, 1.2]), (0.6, 0.2)
    surfaces = traced(model_of(lambda b: b.cone(start, end, radii, WHITE)))
    seen = points_seen(surfaces)
    points = np.stack([seen[:, 2], -seen[:, 0], -seen[:, 1]], axis=1)  # back to forward, left, up
    axis = (end - start) / np.linalg.norm(end - start)
    along = (points - start) @ axis
    fraction = along / np.linalg.norm(end - start)
    distance = np.linalg.norm(points - start - along[:, None] * axis, axis=1)
    assert len(points) > 200
    assert fraction.min() >= -1e-9
    assert fraction.max() <= 1 + 1e-9
    np.testing.assert_allclose(distance, radii[0] + (radii[1] - radii[0]) * fraction, atol=1e-9)


def test_disc_is_seen_where_its_plane_lies_within_its_radius():
    surfaces = traced(model_of(lambda b: b.disc((5, 0, 0), (1, 0, 0), 1.0, WHITE)))
    rays = CAMERA.pixel_rays() * 5.0
    distance = np.hypot(rays[..., 0], rays[..., 1])
    np.testing.assert_array_equal(surfaces.shape >= 0, distance <= 1.0)
    # It is 2 mm thick.
    np.testing.assert_allclose(surfaces.depth[surfaces.shape >= 0], 5.0, atol=1.001e-3)


def test_a_wheel_shows_what_is_behind_it_between_its_spokes():
    wheel = model_of(lambda b: b.disc((5, 0, 0), (1, 0, 0), 1.0, Surface((0.1, 0.1, 0.1), Material.SPOKES)))
    is_wheel = traced(wheel).shape >= 0
    rays = CAMERA.pixel_rays() * 5.0
    radius = np.hypot(rays[..., 0], rays[..., 1])
    assert is_wheel[(radius > 0.93) & (radius < 1.0)].all()
    inside = is_wheel[(radius > 0.3) & (radius < 0.9)]
    assert 0.02 < inside.mean() < 0.2


def test_triangles_that_share_an_edge_share_no_pixel_and_leave_none_out():
    a, b, c, d = (9, 1.3, 1.1), (9, -1.7, 0.9), (9, -1.2, -1.4), (9, 1.5, -0.8)
    halves = join(
        [
            model_of(lambda builder: builder.polygon([a, b, c], WHITE)),
            model_of(lambda builder: builder.polygon([a, c, d], WHITE)),
        ]
    )
    whole = model_of(lambda builder: builder.polygon([a, b, c, d], WHITE))
    apart = trace(halves, CAMERA, group=np.array([0, 1])).alone
    together = traced(whole).alone
    np.testing.assert_array_equal(apart.sum(axis=0), together[0])
    np.testing.assert_array_equal(traced(halves).depth, traced(whole).depth)


def test_nearer_shape_hides_the_farther_one_but_not_in_the_masks_of_each_alone():
    near = model_of(lambda b: b.ellipsoid((5, 0, 0), (0.5,) * 3, WHITE))
    far = model_of(lambda b: b.polygon([(9, 2, 2), (9, -2, 2), (9, -2, -2), (9, 2, -2)], WHITE))
    surfaces = trace(join([far, near]), CAMERA, group=np.array([0, 1]))
    seen = np.bincount(surfaces.shape[surfaces.shape >= 0])
    assert surfaces.alone[1].sum() == seen[1] > 100
    assert surfaces.alone[0].sum() == seen[0] + seen[1]


def test_floor_that_reaches_behind_the_camera_is_seen_in_front_of_it():
    floor = model_of(lambda b: b.polygon([(-5, 3, -1.5), (20, 3, -1.5), (20, -3, -1.5), (-5, -3, -1.5)], WHITE))
    surfaces = traced(floor)
    rows = np.arange(60, 80)
    np.testing.assert_allclose(surfaces.depth[60:, 50], 1.5 * CAMERA.fy / (rows - CAMERA.cy), rtol=1e-12)
    boxes, drawn = silhouettes(floor, CAMERA)
    assert drawn.all()
    assert boxes[0, 3] == pytest.approx(1.5 * CAMERA.fy / NEAR + CAMERA.cy + 0.5)


def test_crowns_let_the_view_through_without_moving_what_is_left():
    leaves = Surface((0.0, 1.0, 0.0), Material.LEAVES, (0.0, 2.0, 0.0))
    whole, holed = (
        traced(model_of(lambda b, surface=surface: b.ellipsoid((8, 0, 0), (2.0, 2.0, 2.0), surface)))
        for surface in (WHITE, leaves)
    )
    left = np.linalg.norm(points_seen(holed) - (0, 0, 8), axis=1)
    np.testing.assert_allclose(left, 2.0, atol=1e-9)
    assert 0.3 < (holed.shape >= 0).sum() / (whole.shape >= 0).sum() < 1.0


@settings(max_examples=40, deadline=None)
@example(place=(4.0, 0.0, 0.0), tilt=(0.0, 1.0, 1.0), radii=(0.5, 0.5), kind="disc")
@given(
    place=st.tuples(st.floats(4, 9), st.floats(-1, 1), st.floats(-1, 1)),
    tilt=st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.1, 1)),
    radii=st.tuples(st.floats(0.1, 0.8), st.floats(0.1, 0.8)),
    kind=st.sampled_from(["ellipsoid", "cone", "disc"]),
)
def test_silhouette_is_the_extent_of_what_is_drawn(place, tilt, radii, kind):
    start, axis = np.array(place), np.array(tilt)

    def add(builder):
        if kind == "ellipsoid":
            builder.ellipsoid(start, np.diag(radii + (0.5,)), WHITE)
        elif kind == "cone":
            builder.cone(start, start + axis, radii, WHITE)
        else:
            builder.disc(start, axis / np.linalg.norm(axis), radii[0], WHITE)

    model = model_of(add)
    # Ten times the resolution: the pixels then give the outline to a tenth of a pixel.
    fine = CAMERA.scaled(1000, 800)
    rows, columns = np.nonzero(traced(model, fine).shape >= 0)
    box = silhouettes(model, fine)[0][0]
    if not len(rows):
        width = min(box[2] - box[0], box[3] - box[1])
        if kind == "disc":  # from its edge it is a line, which may run diagonally through its box
            slant = abs(axis @ start) / np.linalg.norm(axis) / np.linalg.norm(start)
            width = min(width, 2 * radii[0] * slant * fine.fx / np.linalg.norm(start))
        assert width < 1.5 or not (0 < box[0] < 1000)
        return
    drawn = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    clipped = np.clip(box, 0, [1000, 800, 1000, 800])
    assert (drawn[:2] >= clipped[:2] - 0.5 - 1e-6).all()
    assert (drawn[2:] <= clipped[2:] + 0.5 + 1e-6).all()
    # Pointed outlines (a disc from its edge) may end between pixel centres.
    if kind == "ellipsoid":
        assert np.abs(drawn - clipped).max() < 6


def test_polygons_out_of_plane_are_refused():
    with pytest.raises(ValueError, match="not planar"):
        ModelBuilder().polygon([(0, 0, 0), (1, 0, 0), (1, 1, 0.1), (0, 1, 0)], WHITE)
