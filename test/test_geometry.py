"""Camera and box arithmetic against hand-computed cases and independent formulations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import from_numpy
from torchvision.ops import box_iou as torchvision_box_iou

from mp_perception.geometry import CameraIntrinsics, box_areas, box_centres, box_iou, clip_boxes

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
