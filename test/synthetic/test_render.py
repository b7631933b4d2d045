"""Frames: depth, boxes, occlusion and truncation against cases computed by hand, and against whole random streets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mp_perception.synthetic.ground import KERB

from mp_perception.synthetic.render import KITTI_CAMERA, render
from mp_perception.synthetic.shapes import rotation_about_vertical
from mp_perception.synthetic.streets import random_scene


def test_box_ahead_has_the_depth_label_and_edges_of_pencil_and_paper(make_scene, box_actor):
    frame = render(make_scene(box_actor(s=12.0, t=1.0)))
    (car,) = frame.objects
    # Its rear face stands at z = 10, from x = 0.2 to 1.8 and from the ground (1.65 below the camera) up 1.5 m.
    f, cx, cy = KITTI_CAMERA.fx, KITTI_CAMERA.cx, KITTI_CAMERA.cy
    # The left side is seen too: the front's left edge (x = 0.2 at z = 14) lies farther left than the rear's.
    left = 0.2 * f / 14 + cx + 0.5
    expected = [left, 0.15 * f / 14 + cy + 0.5, 1.8 * f / 10 + cx + 0.5, 1.65 * f / 10 + cy + 0.5]
    expected[1] = min(0.15 * f / 10, 0.15 * f / 14) + cy + 0.5
    np.testing.assert_allclose(car.box, expected, atol=1e-9)
    assert frame.depth[200, int(1.0 * f / 10 + cx)] == pytest.approx(10.0, rel=1e-6)
    np.testing.assert_allclose(car.dimensions, [1.5, 1.6, 4.0])
    np.testing.assert_allclose(car.location, [1.0, 1.65, 12.0], atol=1e-12)
    assert car.rotation_y == pytest.approx(-np.pi / 2)
    assert (car.truncation, car.visible_share, car.occlusion, car.label) == (0.0, 1.0, 0, "Car")


def test_road_depth_is_camera_height_over_slope(make_scene, box_actor):
    frame = render(make_scene(box_actor(s=40.0, t=3.0)))
    rows = np.array([200, 250, 300, 374])
    expected = 1.65 * KITTI_CAMERA.fy / (rows - KITTI_CAMERA.cy)
    np.testing.assert_allclose(frame.depth[rows, 600], expected, rtol=1e-6)
    assert np.isnan(frame.depth[: int(KITTI_CAMERA.cy), 300]).all()


def test_occlusion_is_the_hidden_share(make_scene, box_actor):
    behind = box_actor(s=20.5, t=0.0, size=(1.0, 2.0, 1.5))  # its near face: x = -1..1 at z = 20
    half = box_actor(s=10.5, t=-1.0, size=(1.0, 2.0, 1.6))  # x = -2..0 at z = 10: hides everything left of the middle
    frame = render(make_scene(behind, half))
    seen = {object_.instance: object_ for object_ in frame.objects}
    assert seen[1].visible_share == pytest.approx(0.5, abs=0.02)
    assert seen[1].occlusion == 1
    assert seen[2].visible_share == 1.0
    # The box of the hidden half counts all the same.
    assert seen[1].box[2] - seen[1].box[0] == pytest.approx(2 * KITTI_CAMERA.fx / 20)

    wall = box_actor(s=10.5, t=0.0, size=(1.0, 3.0, 2.5), label="Van")
    hidden = render(make_scene(behind, wall)).objects[0]
    assert hidden.visible_share == 0.0
    assert hidden.occlusion == 3


@pytest.mark.parametrize(
    ("share", "occlusion"), [(1.0, 0), (0.8, 0), (0.79, 1), (0.4, 1), (0.39, 2), (0.1, 2), (0.09, 3)]
)
def test_occlusion_levels(make_scene, box_actor, share, occlusion):
    (car,) = render(make_scene(box_actor(s=12.0, t=1.0))).objects
    assert replace(car, visible_share=share).occlusion == occlusion


def test_truncation_is_the_share_of_the_box_outside(make_scene, box_actor):
    # A thin board 10 m ahead, x = -1..1, whose middle lies on the image's left edge: half of it is outside.
    camera = KITTI_CAMERA
    edge = (-0.5 - camera.cx) / camera.fx * 10.0
    board = box_actor(s=10.0005, t=edge, size=(0.001, 2.0, 1.2))
    (car,) = render(make_scene(board)).objects
    assert car.truncation == pytest.approx(0.5, abs=2e-3)
    assert car.box[0] == 0.0
    assert car.box[2] == pytest.approx(camera.fx / 10.0, rel=1e-3)


def test_time_moves_actors(make_scene, box_actor):
    scene = make_scene(box_actor(s=12.0, t=1.0, speed=5.0))
    before, after = render(scene), render(scene, time=2.0)
    assert after.objects[0].location[2] - before.objects[0].location[2] == pytest.approx(10.0)
    assert before.depth[200, 690] == pytest.approx(10.0, rel=1e-6)
    assert after.depth[190, 650] == pytest.approx(20.0, rel=1e-6)


def test_an_actor_on_the_footway_stands_on_it(make_scene, box_actor):
    (car,) = render(make_scene(box_actor(s=12.0, t=6.0))).objects
    assert car.location[1] == pytest.approx(1.65 - KERB)


@pytest.mark.parametrize("seed", [3, 8, 18])
def test_random_street_is_consistent(small_camera, seed):
    """Of every object: the box is its extent when alone, its pixels lie in its 3D box, its visible share is right."""
    scene = random_scene(seed)
    frame = render(scene, small_camera)
    assert frame.image.shape == (180, 320, 3)
    assert frame.image.dtype == np.uint8
    assert frame.depth.shape == frame.instance.shape == (180, 320)
    checked = 0
    for seen in frame.objects:
        alone = None
        for actor in scene.actors:
            candidate = render(replace(scene, actors=(actor,), backdrop=scene.backdrop.take(slice(0, 1))), small_camera)
            if candidate.objects and np.allclose(candidate.objects[0].location, seen.location):
                alone = candidate
                break
        assert alone is not None
        rows, columns = np.nonzero(alone.instance)
        extent = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        # A pixel belongs to the object if its centre does, so outlines differ by up to one pixel; thin ends (a mirror,
        # a handlebar's grip) may fall between two centres.
        assert (extent[:2] >= seen.box[:2] - 0.5).all()
        assert (extent[2:] <= seen.box[2:] + 0.5).all()
        assert np.abs(extent - seen.box).max() < 1.5
        visible = (frame.instance == seen.instance).sum()
        assert seen.visible_share == pytest.approx(visible / len(rows), abs=1e-9)
        rows, columns = np.nonzero(frame.instance == seen.instance)
        points = small_camera.unproject(np.stack([columns + 0.5, rows + 0.5], axis=1), frame.depth[rows, columns])
        local = (points - seen.location) @ rotation_about_vertical(seen.rotation_y)
        height, width, length = seen.dimensions
        assert (np.abs(local[:, 0]) <= length / 2 + 1e-4).all()
        assert (np.abs(local[:, 2]) <= width / 2 + 1e-4).all()
        assert (local[:, 1] <= 1e-4).all()
        assert (local[:, 1] >= -height - 1e-4).all()
        checked += 1
        if checked == 4:
            break
    assert checked >= 3


def test_everything_below_the_horizon_has_a_depth(small_camera):
    frame = render(random_scene(5), small_camera)
    assert np.isfinite(frame.depth[int(small_camera.cy) + 2 :]).all()
    assert (frame.depth[np.isfinite(frame.depth)] > 0).all()


def test_the_same_arguments_give_the_same_bytes(small_camera):
    first, second = (render(random_scene(11, 1.0), small_camera, 0.5) for _ in range(2))
    assert first.image.tobytes() == second.image.tobytes()
    assert first.depth.tobytes() == second.depth.tobytes()
    assert [seen.box.tolist() for seen in first.objects] == [seen.box.tolist() for seen in second.objects]
    assert render(random_scene(12, 1.0), small_camera, 0.5).image.tobytes() != first.image.tobytes()
