"""Camera and box arithmetic against hand-computed cases and independent formulations."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import from_numpy
from torchvision.ops import box_iou as torchvision_box_iou

from mp_perception.geometry import CameraIntrinsics, box_areas, box_centres, box_iou, clip_boxes, seen_sizes
from mp_perception.lens_distortion import LensDistortion

KITTI = CameraIntrinsics(721.5377, 721.5377, 609.5593, 172.854, 1242, 375)
finite = st.floats(-50, 50)


def test_a_point_on_the_axis_lies_at_the_centre_of_the_principal_pixel():
    camera = CameraIntrinsics(100, 100, 3, 2, 7, 5)
    assert camera.project([[0, 0, 10]]).tolist() == [[3.5, 2.5]]  # the middle of pixel (3, 2), which covers [3, 4)


def test_projection_equals_the_matrix_of_ros_up_to_the_half_pixel():
    matrix = np.array([[KITTI.fx, 0, KITTI.cx], [0, KITTI.fy, KITTI.cy], [0, 0, 1]])
    point = np.array([2.0, -1.5, 17.0])
    homogeneous = matrix @ point
    np.testing.assert_allclose(KITTI.project([point])[0], homogeneous[:2] / homogeneous[2] + 0.5)


@given(finite, finite, st.floats(0.1, 100))
def test_unprojecting_a_projected_point_gives_the_point(x, y, z):
    image_point = KITTI.project([[x, y, z]])
    np.testing.assert_allclose(KITTI.unproject(image_point, [z]), [[x, y, z]], atol=1e-9)


@given(finite, finite, st.floats(1, 100), st.integers(10, 3000), st.integers(10, 3000))
def test_a_scaled_camera_sees_a_point_at_the_scaled_image_point(x, y, z, width, height):
    scaled = KITTI.scaled(width, height).project([[x, y, z]])
    np.testing.assert_allclose(scaled, KITTI.project([[x, y, z]]) * [width / 1242, height / 375], atol=1e-6)


#: About KITTI's camera before its images were rectified.
RAW = CameraIntrinsics(984.2, 980.8, 690.3, 233.2, 1392, 512)
LENSES = [
    LensDistortion("plumb_bob", (-0.37, 0.2, 0.002, 0.001, -0.07)),
    LensDistortion("rational_polynomial", (0.5, -2.5, 0.001, 0.0005, 1.5, 0.4, -2.3, 1.4)),
    LensDistortion("equidistant", (-0.02, 0.01, -0.005, 0.001)),
]


@pytest.mark.parametrize("lens", LENSES)
def test_points_seen_through_a_lens_come_back(lens):
    camera = replace(RAW, distortion=lens)
    rows, columns = np.mgrid[0.5:512:40, 0.5:1392:60]
    seen = np.stack([columns.ravel(), rows.ravel()], axis=1)
    depth = np.linspace(2, 70, len(seen))
    points = camera.unproject(seen, depth)
    np.testing.assert_allclose(camera.project(points), seen, atol=0.1)
    assert np.abs(RAW.project(points) - seen).max() > 10  # which a pinhole would see elsewhere
    resized = camera.scaled(696, 128)
    np.testing.assert_allclose(resized.project(points), seen * [0.5, 0.25], atol=0.1)


@pytest.mark.parametrize("lens", LENSES)
def test_pixel_rays_are_those_of_the_lens(lens):
    camera = replace(RAW, distortion=lens)
    rays = camera.pixel_rays()
    assert rays.shape == (512, 1392, 3)
    rows, columns = np.mgrid[0:512:31, 0:1392:37]
    np.testing.assert_allclose(
        camera.project(rays[rows.ravel(), columns.ravel()]),
        np.stack([columns.ravel(), rows.ravel()], axis=1) + 0.5,
        atol=0.1,
    )


def test_pixels_without_a_ray_have_none():
    """The corners of a fisheye image lie beyond the half sphere in front of it."""
    camera = CameraIntrinsics(40, 40, 63.5, 63.5, 128, 128, LensDistortion("equidistant", (0.0, 0.0, 0.0, 1e-9)))
    rays = camera.pixel_rays()
    radius = np.hypot(*(np.mgrid[:128, :128] - 63.5)) / 40
    assert np.isnan(rays[radius > np.pi / 2]).all()
    assert np.isfinite(rays[radius < 1.2]).all()
    assert (np.isnan(rays).all(axis=2) == np.isnan(rays).any(axis=2)).all()
    position = camera.unproject([[1, 1], [64, 64]], [5, 5])
    np.testing.assert_array_equal(position, [[np.nan, np.nan, 5], [0, 0, 5]])


def test_magnification_is_the_height_of_a_thing_where_the_lens_shows_it():
    assert (KITTI.magnification() == 1).all()
    # Equidistant, beside the axis: the ray to (tan(t), y, 1) is seen f * t aside, and y as high as f * t / tan(t) * y,
    # which is t / tan(t) of its height in the middle.
    camera = CameraIntrinsics(500, 500, 599.5, 199.5, 1200, 400, LensDistortion("equidistant", (0.0, 0.0, 0.0, 1e-9)))
    angles = np.abs(np.arange(1200) - 599.5) / 500
    np.testing.assert_allclose(camera.magnification()[199], angles / np.tan(angles), atol=2e-3)
    assert camera.magnification().shape == (400, 1200)
    # Where the lens has no ray, nothing is known.
    assert replace(camera, fx=300, fy=300).magnification()[0, 0] == 1


def test_sizes_that_boxes_show():
    boxes = np.array([[600.0, 100, 700, 300]])
    np.testing.assert_allclose(seen_sizes(boxes, np.array([10.0]), KITTI), [[1000 / 721.5377, 2000 / 721.5377]])
    # An equidistant lens shows equal angles as equal lengths: the same box is wider beside the axis.
    camera = CameraIntrinsics(500, 500, 599.5, 199.5, 1200, 400, LensDistortion("equidistant", (0.0, 0.0, 0.0, 1e-9)))
    aside = seen_sizes(np.array([[900.0, 150, 1000, 250]]), np.array([10.0]), camera)
    np.testing.assert_allclose(aside[0, 0], 10 * (np.tan(400 / 500) - np.tan(300 / 500)), rtol=1e-4)


@pytest.mark.parametrize("lens", [None, *LENSES])
def test_the_covariance_of_a_position_is_that_of_its_errors(lens):
    """Monte Carlo, with errors so small that the first order is exact to its own precision."""
    camera = replace(RAW, distortion=lens)
    random = np.random.default_rng(0)
    points, depth = np.array([[80.0, 300], [900.0, 100]]), np.array([12.0, 30])
    depth_std, point_std = np.array([0.3, 0.6]), np.array([[4.0, 2.0], [1.0, 3.0]])
    covariances = camera.position_covariance(points, depth, depth_std, point_std)
    for i in range(2):
        count = 20000
        seen = points[i] + random.normal(0, 1, (count, 2)) * point_std[i]
        positions = camera.unproject(seen, random.normal(depth[i], depth_std[i], count))
        root = np.linalg.cholesky(covariances[i])  # positive definite
        whitened = np.linalg.solve(root, (positions - positions.mean(axis=0)).T)
        np.testing.assert_allclose(np.cov(whitened), np.eye(3), atol=0.05)
        # What a tracker's gate lets pass: 95 % within the quantile of chi-square with three degrees of freedom.
        inside = (whitened**2).sum(axis=0) < 7.815
        assert inside.mean() == pytest.approx(0.95, abs=0.01)


def test_pixel_rays_go_through_pixel_centres():
    camera = CameraIntrinsics(20, 25, 4.2, 3.1, 9, 6)
    rays = camera.pixel_rays()
    assert rays.shape == (6, 9, 3)
    np.testing.assert_allclose(camera.project([rays[2, 7] * 5]), [[7.5, 2.5]])


@pytest.mark.parametrize("bad", [{"fx": 0}, {"fy": -1}, {"cx": float("nan")}, {"width": 0}])
def test_invalid_cameras_are_refused(bad):
    values = {"fx": 1, "fy": 1, "cx": 0, "cy": 0, "width": 2, "height": 2} | bad
    with pytest.raises(ValueError, match="must be"):
        CameraIntrinsics(**values)


def test_box_arithmetic_by_hand():
    boxes = np.array([[0, 0, 4, 2], [2, 1, 6, 3], [5, 5, 4, 9]], dtype=np.float64)
    assert box_areas(boxes).tolist() == [8, 8, 0]
    np.testing.assert_allclose(box_iou(boxes[:1], boxes), [[1, 2 / 14, 0]])
    assert box_centres(boxes[:1]).tolist() == [[2, 1]]
    assert clip_boxes(np.array([[-3.0, 1, 99, 99]]), 10, 5).tolist() == [[0, 1, 10, 5]]


def test_iou_equals_that_of_torchvision():
    random = np.random.default_rng(3)
    corners = random.uniform(0, 100, (2, 40, 2, 2))
    first, second = np.concatenate([corners.min(axis=2), corners.max(axis=2)], axis=-1)
    expected = torchvision_box_iou(from_numpy(first), from_numpy(second)).numpy()
    np.testing.assert_allclose(box_iou(first, second), expected, rtol=1e-9)


def test_iou_of_two_empty_boxes_is_zero():
    empty = np.zeros((1, 4))
    assert box_iou(empty, empty).tolist() == [[0]]
