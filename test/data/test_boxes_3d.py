"""3D boxes: corners and membership by hand, the visible surface against rays sampled in small steps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mp_perception.data.boxes_3d import box_corners, centre_depths, points_in_box, visible_surface_depths
from mp_perception.data.kitti.calibration_files import read_calibration
from mp_perception.data.kitti.labels import read_labels
from mp_perception.data.object_label import Box3D, ObjectLabel
from mp_perception.geometry import CameraIntrinsics

CAMERA = CameraIntrinsics(fx=700, fy=700, cx=600, cy=180, width=1242, height=375)


def label_of(box_3d, box=(590.0, 170, 611, 191)):
    return ObjectLabel("Car", box, box_3d=box_3d)


def test_corners_by_hand() -> None:
    """A car 4 m long, 2 m wide, 1.5 m high, its front to the right (rotation 0), then away from us (-90 degrees)."""
    corners = box_corners(Box3D((10, 1.6, 20), (1.5, 2, 4), 0))
    np.testing.assert_allclose(corners[:4], [[12, 1.6, 21], [12, 1.6, 19], [8, 1.6, 19], [8, 1.6, 21]])
    np.testing.assert_allclose(corners[4:], corners[:4] - [0, 1.5, 0])
    turned = box_corners(Box3D((10, 1.6, 20), (1.5, 2, 4), -math.pi / 2))
    np.testing.assert_allclose(turned[0], [9, 1.6, 22], atol=1e-12)


@pytest.mark.parametrize(
    ("point", "inside"),
    [
        ((10, 1.6, 21.9), True),
        ((10, 1.6, 22.2), False),  # beyond its front
        ((10.9, 1, 20), True),
        ((11.2, 1, 20), False),  # beside it
        ((10, 0.2, 20), True),
        ((10, -0.1, 20), False),  # above it
        ((10, 1.8, 20), False),  # below it
        ((11.05, 1, 20), True),  # within the margin
    ],
)
def test_points_of_a_car_that_drives_away(point, inside) -> None:
    box = Box3D((10, 1.6, 20), (1.5, 2, 4), -math.pi / 2)
    assert points_in_box(box, np.array([point])).tolist() == [inside]


angles = st.floats(-math.pi, math.pi)
sizes = st.tuples(st.floats(0.5, 4), st.floats(0.5, 3), st.floats(0.5, 12))
places = st.tuples(st.floats(-15, 15), st.floats(-1, 3), st.floats(8, 60))


@given(sizes, places, angles, st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_points_between_corners_are_inside_and_points_beyond_them_are_not(size, place, angle, fractions) -> None:
    box = Box3D(place, size, angle)
    corners = box_corners(box)
    a, b, c = fractions
    inside = corners[0] + a * (corners[1] - corners[0]) + b * (corners[3] - corners[0]) + c * (corners[4] - corners[0])
    assert points_in_box(box, inside[None], margin=1e-6).all()
    middle = corners.mean(axis=0)
    assert not points_in_box(box, middle + (corners - middle) * 1.01, 0.0).any()


def test_the_surface_of_a_car_ahead_is_its_rear() -> None:
    """The rear of a car that drives away stands half its length before its middle; camera 2's shift counts too."""
    shift = np.eye(4)
    shift[:3, 3] = 0.06, 0, 0.003
    label = label_of(Box3D((0, 0.7, 20), (1.5, 2, 4), -math.pi / 2))
    assert visible_surface_depths([label], CAMERA, np.eye(4)) == pytest.approx([18])
    assert visible_surface_depths([label], CAMERA, shift) == pytest.approx([18.003])
    assert centre_depths([label], shift) == pytest.approx([20.003])


def test_the_surface_is_unknown_without_3d_box_beside_the_ray_and_around_the_camera() -> None:
    unknown = label_of(None)
    beside = label_of(Box3D((5, 0.7, 20), (1.5, 2, 4), 0))
    around = label_of(Box3D((0, 2, 1), (4, 4, 10), -math.pi / 2))
    assert np.isnan(visible_surface_depths([unknown, beside, around], CAMERA, np.eye(4))).all()
    assert np.isnan(centre_depths([unknown], np.eye(4))).all()
    assert visible_surface_depths([], CAMERA, np.eye(4)).shape == (0,)


@given(sizes, places, angles)
def test_the_surface_is_where_a_sampled_ray_enters_the_box(size, place, angle) -> None:
    box = Box3D(place, size, angle)
    projected = CAMERA.project(box_corners(box))
    label = label_of(box, (*projected.min(axis=0).tolist(), *projected.max(axis=0).tolist()))
    ray = CAMERA.unproject(projected.min(axis=0)[None] / 2 + projected.max(axis=0)[None] / 2, [1.0])[0]
    steps = np.arange(0.5, 80, 0.002)
    inside = points_in_box(box, steps[:, None] * ray, margin=0.0)
    assume(inside.sum() > 3)  # not a ray that grazes an edge
    assert visible_surface_depths([label], CAMERA, np.eye(4))[0] == pytest.approx(steps[inside.argmax()], abs=0.0021)


@pytest.mark.shared_data
def test_real_boxes_project_onto_their_2d_boxes_and_rays_meet_them(shared_data) -> None:
    folder = shared_data / "kitti" / "object"
    differences, met, whole = [], 0, 0
    for frame in (folder / "ImageSets" / "val.txt").read_text().split():
        calibration = read_calibration(folder / "training" / "calib" / f"{frame}.txt")
        camera = calibration.intrinsics(2, 1242, 375)
        transform = calibration.camera_0_to_camera(2)
        labels = [
            label
            for label in read_labels(folder / "training" / "label_2" / f"{frame}.txt")
            if label.box_3d is not None and label.truncation == 0 and label.occlusion == 0
        ]
        for label in labels:
            corners = camera.project(box_corners(label.box_3d) + transform[:3, 3])
            box = [*corners.min(axis=0), *corners.max(axis=0)]
            differences.append(np.abs(np.array(box) - label.box).max() / (label.box[3] - label.box[1]))
        met += int(np.isfinite(visible_surface_depths(labels, camera, transform)).sum())
        whole += len(labels)
    assert whole > 200
    assert np.median(differences) < 0.1
    assert met == whole
