"""Frames: depth, sky, boxes, occlusion and truncation against cases computed by hand, and in whole random scenes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mp_perception.data.boxes_3d import points_in_box
from mp_perception.synthetic.materials import ground_reflectance
from mp_perception.synthetic.render import KITTI_CAMERA, render
from mp_perception.synthetic.streets import random_scene


def test_box_ahead_has_the_depth_label_and_edges_computed_by_hand(make_scene, box_actor):
    frame = render(make_scene(box_actor(x=1.0, z=12.0)))
    (car,) = frame.labels
    # Its rear face is at z = 10, from x = 0.2 to 1.8 and from the ground (1.65 below the camera) 1.5 m up.
    f, cx, cy = KITTI_CAMERA.fx, KITTI_CAMERA.cx, KITTI_CAMERA.cy
    # The left side is visible too: the left edge of the front (x = 0.2 at z = 14) is left of the rear's.
    left = 0.2 * f / 14 + cx + 0.5
    expected = [left, 0.15 * f / 14 + cy + 0.5, 1.8 * f / 10 + cx + 0.5, 1.65 * f / 10 + cy + 0.5]
    np.testing.assert_allclose(car.box, expected, atol=1e-9)
    assert frame.depth[200, int(1.0 * f / 10 + cx)] == pytest.approx(10.0, rel=1e-6)
    np.testing.assert_allclose(car.box_3d.dimensions, [1.5, 1.6, 4.0])
    np.testing.assert_allclose(car.box_3d.bottom_centre, [1.0, 1.65, 12.0], atol=1e-12)
    assert car.box_3d.rotation_y == pytest.approx(-np.pi / 2)
    assert (car.truncation, car.occlusion, car.class_name) == (0.0, 0, "Car")


def test_ground_depth_is_camera_height_over_slope_and_the_rest_is_sky(make_scene, box_actor):
    frame = render(make_scene(box_actor(x=3.0, z=40.0)))
    rows = np.array([200, 250, 300, 374])
    np.testing.assert_allclose(frame.depth[rows, 600], 1.65 * KITTI_CAMERA.fy / (rows - KITTI_CAMERA.cy), rtol=1e-6)
    # The horizon is at row 172.854: above it everything but the car, whose roof is below it, is sky.
    expected = np.zeros((375, 1242), dtype=bool)
    expected[:173] = True
    np.testing.assert_array_equal(frame.sky, expected)


def test_sky_is_where_neither_objects_nor_ground_are(make_scene, box_actor):
    frame = render(make_scene(box_actor(x=0.0, z=10.5, size=(1.0, 2.0, 3.65))))
    # Its near face at z = 10 reaches 2 m above the camera: rows from 172.854 - 2 f / 10 = 28.5, columns within 1 m.
    f, cx = KITTI_CAMERA.fx, KITTI_CAMERA.cx
    columns = np.abs(np.arange(1242) - cx) < 1.0 * f / 10
    expected = np.zeros((375, 1242), dtype=bool)
    expected[:173] = True
    expected[29:173, columns] = False
    np.testing.assert_array_equal(frame.sky, expected)


@pytest.mark.parametrize(
    ("hidden", "occlusion"), [(0.0, 0), (0.17, 0), (0.23, 1), (0.57, 1), (0.63, 2), (0.87, 2), (0.93, 3), (1.0, 3)]
)
def test_occlusion_is_the_hidden_fraction_of_the_pixels(make_scene, box_actor, hidden, occlusion):
    behind = box_actor(x=0.0, z=20.5, size=(1.0, 2.0, 1.5))  # its near face: x = -1..1 at z = 20
    # At z = 10 its right edge is where it hides this fraction of the other one.
    edge = (-1.0 + 2.0 * hidden) / 2
    in_front = box_actor(x=edge - 1.0, z=10.5, size=(1.0, 2.0, 1.6), label="Van")
    labels = {label.class_name: label for label in render(make_scene(behind, in_front)).labels}
    assert labels["Car"].occlusion == occlusion
    assert labels["Van"].occlusion == 0
    # The box includes the hidden part.
    assert labels["Car"].box[2] - labels["Car"].box[0] == pytest.approx(2 * KITTI_CAMERA.fx / 20)


def test_truncation_is_the_fraction_of_the_box_outside(make_scene, box_actor):
    # A thin board 10 m ahead, x = -1..1 around the left edge of the image: half of it is outside.
    camera = KITTI_CAMERA
    edge = (-0.5 - camera.cx) / camera.fx * 10.0
    (car,) = render(make_scene(box_actor(x=edge, z=10.0005, size=(0.001, 2.0, 1.2)))).labels
    assert car.truncation == pytest.approx(0.5, abs=2e-3)
    assert car.box[0] == 0.0
    assert car.box[2] == pytest.approx(camera.fx / 10.0, abs=1.0)


def test_time_moves_actors(make_scene, box_actor):
    scene = make_scene(box_actor(x=1.0, z=12.0, speed=5.0))
    before, after = render(scene), render(scene, time=2.0)
    moved = np.subtract(after.labels[0].box_3d.bottom_centre, before.labels[0].box_3d.bottom_centre)
    np.testing.assert_allclose(moved, [0, 0, 10], atol=1e-12)
    assert before.depth[200, 690] == pytest.approx(10.0, rel=1e-6)
    assert after.depth[190, 650] == pytest.approx(20.0, rel=1e-6)


def differ(first, second):
    """Mask of the pixels where two depth maps show something else."""
    return ~np.isclose(first, second, rtol=0, atol=0, equal_nan=True)


def extent(mask):
    """x1 y1 x2 y2 of the pixels of a mask."""
    rows, columns = np.nonzero(mask)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


@pytest.mark.parametrize("seed", [3, 8])
def test_labels_of_a_random_scene_are_consistent(make_scene, small_camera, seed):
    """The box is the extent of the object alone, its pixels are in its 3D box, its occlusion is right."""
    scene = random_scene(seed)
    frame = render(scene, small_camera)
    assert frame.image.shape == (180, 320, 3)
    assert frame.image.dtype == np.uint8
    assert frame.depth.shape == (180, 320)
    # Each actor without the others, and with a backdrop that is out of view.
    empty = make_scene().backdrop
    scenes = [replace(scene, actors=(actor,), backdrop=empty) for actor in scene.actors]
    alone = [(single, render(single, small_camera)) for single in scenes]
    alone = [(single, rendered) for single, rendered in alone if rendered.labels]
    assert len(frame.labels) == len(alone) >= 4
    fine_camera = small_camera.scaled(4 * 320, 4 * 180)
    nothing, nothing_fine = (render(replace(scenes[0], actors=()), camera) for camera in (small_camera, fine_camera))
    for label, (single, rendered) in zip(frame.labels, alone, strict=True):
        assert label.box_3d == rendered.labels[0].box_3d
        covered = differ(rendered.depth, nothing.depth)
        box, seen = np.array(label.box), extent(covered)
        # A pixel belongs to the object if its centre does, so outlines differ by up to one pixel.
        assert (seen[:2] >= box[:2] - 0.5).all()
        assert (seen[2:] <= box[2:] + 0.5).all()
        # Thin ends (a mirror, the grip of a handlebar) may be between two centres; a finer image shows them.
        finer = extent(differ(render(single, fine_camera).depth, nothing_fine.depth)) / 4
        assert np.minimum(np.abs(seen - box), np.abs(finer - box)).max() < 1.5
        visible = np.argwhere(covered & ~differ(frame.depth, rendered.depth))
        fraction = len(visible) / np.count_nonzero(covered)
        assert label.occlusion == sum(fraction < limit for limit in (0.8, 0.4, 0.1))
        points = small_camera.unproject(visible[:, ::-1] + 0.5, frame.depth[visible[:, 0], visible[:, 1]])
        assert points_in_box(label.box_3d, points, margin=1e-4).all()


def test_everything_below_the_horizon_has_a_depth(small_camera):
    frame = render(random_scene(5), small_camera)
    assert np.isfinite(frame.depth[int(small_camera.cy) + 2 :]).all()
    assert (frame.depth[np.isfinite(frame.depth)] > 0).all()


def test_lane_markings_are_brighter_than_the_road(road):
    # Dashes of 4 m every 9 m, beginning 3 m (the seed) before z = 0.
    points = np.array([[0.0, 0.0, 6.5], [0.0, 0.0, 12.0], [2.0, 0.0, 6.5]], dtype=np.float32)
    dash, between, beside = ground_reflectance(road, points, points[:, 2])
    assert dash.min() > 2 * max(between.max(), beside.max())


def test_the_same_arguments_give_the_same_bytes(small_camera):
    first, second = (render(random_scene(11, 1.0), small_camera, 0.5) for _ in range(2))
    assert first.image.tobytes() == second.image.tobytes()
    assert first.depth.tobytes() == second.depth.tobytes()
    assert first.labels == second.labels
    assert render(random_scene(12, 1.0), small_camera, 0.5).image.tobytes() != first.image.tobytes()
