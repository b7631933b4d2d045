"""CameraInfo: what is read, what is written, what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics
from mp_perception.lens_distortion import LensDistortion
from mp_perception.messages.camera_info import (
    camera_info_message,
    intrinsics_of,
    is_rectified_topic,
    pinhole_error,
    scaled_camera_info,
)
from mp_perception.messages.header import Message, NewMessage, new_header

K = [100.0, 0.0, 63.5, 0.0, 110.0, 31.5, 0.0, 0.0, 1.0]
P = [90.0, 0.0, 60.0, -45.0, 0.0, 95.0, 30.0, 0.0, 0.0, 0.0, 1.0, 0.0]


def info(new: NewMessage, **changes: Any) -> Message:
    """A CameraInfo; matrices may be lists, roi a dictionary."""
    fields = {"width": 128, "height": 64, "k": K, "p": P, "d": [], **changes}
    arrays = {name: np.array(fields.pop(name), dtype=np.float64) for name in ("k", "p", "d")}
    region = new("sensor_msgs/msg/RegionOfInterest", **fields.pop("roi", {}))
    return new("sensor_msgs/msg/CameraInfo", **fields, **arrays, roi=region)


def test_p_counts_first_and_k_where_p_is_empty(new: NewMessage) -> None:
    assert intrinsics_of(info(new), 128, 64) == CameraIntrinsics(90, 95, 60, 30, 128, 64)
    assert intrinsics_of(info(new, p=[0.0] * 12), 128, 64) == CameraIntrinsics(100, 110, 63.5, 31.5, 128, 64)


D = [-0.35, 0.12, 0.001, -0.002, 0.0]


def test_a_raw_image_has_k_and_the_distortion_a_rectified_one_p(new: NewMessage) -> None:
    raw = info(new, d=D, distortion_model="plumb_bob")
    lens = LensDistortion("plumb_bob", tuple(D))
    assert intrinsics_of(raw, 128, 64) == CameraIntrinsics(100, 110, 63.5, 31.5, 128, 64, lens)
    assert intrinsics_of(raw, 128, 64, rectified=True) == CameraIntrinsics(90, 95, 60, 30, 128, 64)
    for zeros in ([], [0.0] * 5, [0.0] * 14):
        undistorted = info(new, d=zeros, distortion_model="any")
        assert intrinsics_of(undistorted, 128, 64) == CameraIntrinsics(90, 95, 60, 30, 128, 64)


def test_a_region_of_a_distorted_image_keeps_its_rays(new: NewMessage) -> None:
    whole = info(new, d=D, distortion_model="plumb_bob")
    region = {"x_offset": 40, "y_offset": 20, "width": 64, "height": 32}
    part = info(new, d=D, distortion_model="plumb_bob", roi=region, binning_x=2, binning_y=2)
    points = [[0.1, -0.05, 1.0], [0.2, 0.1, 1.0]]
    seen = (intrinsics_of(whole, 128, 64).project(points) - [40, 20]) / 2
    np.testing.assert_allclose(intrinsics_of(part, 32, 16).project(points), seen)


@pytest.mark.parametrize(
    ("topic", "rectified"),
    [
        ("/camera/image_raw", False),
        ("/camera/image_rect", True),
        ("/left/image_rect_color/compressed", True),
        ("/kitti/camera_color_left/image_raw", True),
        ("/rectangle/image", False),
    ],
)
def test_the_topic_tells_whether_an_image_is_rectified(topic: str, rectified: bool) -> None:
    assert is_rectified_topic(topic) == rectified


def test_the_error_of_a_pinhole_is_that_of_its_farthest_edge_point(new: NewMessage) -> None:
    """Equidistant, f 100: the middle of the left edge, 63.5 pixels aside, is seen at tan(0.635), by P at 59.5 / 90."""
    fisheye = info(new, d=[0.0, 0.0, 0.0, 1e-12], distortion_model="equidistant")
    error = pinhole_error(fisheye, intrinsics_of(fisheye, 128, 64))
    by_hand = [math.tan(0.635) - 60 / 90, math.tan(0.635) - 67 / 90]
    # Its row is 0 for the lens (31.5 of 31.5), and for P (31.5 - 30) / 95.
    expected = math.hypot(max(abs(value) for value in by_hand), 1.5 / 95)
    assert error == pytest.approx(expected, rel=1e-3)
    assert pinhole_error(info(new), intrinsics_of(info(new), 128, 64)) == 0


def test_binning_and_region_of_interest(new: NewMessage) -> None:
    # The image shows the 64x32 sensor pixels from (40, 20) on, two by two in one.
    region = {"x_offset": 40, "y_offset": 20, "width": 64, "height": 32}
    camera = intrinsics_of(info(new, roi=region, binning_x=2, binning_y=2), 32, 16)
    assert (camera.fx, camera.fy) == (45, 47.5)
    # A ray through the sensor point (60, 30), the middle of its pixel, hits the image at ((60.5 - 40) / 2, ...).
    np.testing.assert_allclose(camera.project([[0, 0, 1]]), [[10.25, 5.25]])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"k": [0.0] * 9, "p": [0.0] * 12}, "focal length above 0, found 0 in P and 0 in K"),
        ({"k": [math.nan] * 9}, "found NaN or infinity"),
        ({"p": [math.inf] * 12}, "found NaN or infinity"),
        ({"width": 64}, "size: expected 128x64 as the image has, found 64x64"),
        ({"width": 0, "height": 0}, "found 0x0"),
        ({"binning_x": 2}, "found 64x64"),
        ({"p": [0.01, *P[1:]]}, "expected 6.4 to 12800 pixels for an image of 128x64, found 0.01 x 95"),
        ({"p": [*P[:5], 1e6, *P[6:]]}, "found 90 x 1e+06"),
        (
            {"d": D, "distortion_model": "fov"},
            "distortion_model: expected one of plumb_bob, rational",
        ),
        ({"d": D[:3], "distortion_model": "plumb_bob"}, "D: expected 4 or 5 coefficients of plumb_bob, found 3"),
        ({"d": [math.nan] * 5, "distortion_model": "plumb_bob"}, "D: expected finite numbers"),
        ({"d": D, "distortion_model": "plumb_bob", "k": [0.0] * 9}, "K: expected a focal length above 0 beside the"),
    ],
)
def test_what_cannot_be_used_is_refused(new: NewMessage, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as caught:
        intrinsics_of(info(new, **changes), 128, 64)
    assert words in str(caught.value)


def test_scaling_keeps_rays(new: NewMessage, sent: Callable[[Any, str], Any]) -> None:
    header = new_header(new, "camera", 7)
    wide = info(new, d=[0.1, 0.2, 0.0, 0.0], distortion_model="plumb_bob")
    scaled = sent(scaled_camera_info(new, wide, 32, 32, header), "sensor_msgs/msg/CameraInfo")
    assert (scaled.width, scaled.height, scaled.header) == (32, 32, header)
    assert list(scaled.d) == [0.1, 0.2, 0, 0]
    assert scaled.distortion_model == "plumb_bob"
    points = [[0.5, -0.2, 2.0], [-1.0, 0.4, 3.0]]
    for rectified in (True, False):
        before, after = intrinsics_of(wide, 128, 64, rectified), intrinsics_of(scaled, 32, 32, rectified)
        np.testing.assert_allclose(after.project(points), before.project(points) * [32 / 128, 32 / 64])
    assert scaled.p[3] == -45 / 4  # Tx is a focal length times the baseline
    assert scaled.k[0] == 25
    assert scaled.k[2] == (63.5 + 0.5) / 4 - 0.5
    assert list(scaled.k[6:]) == [0, 0, 1]


def test_scaling_resolves_binning_and_region(new: NewMessage) -> None:
    region = {"x_offset": 40, "y_offset": 20, "width": 64, "height": 32}
    part = info(new, roi=region, binning_x=2, binning_y=2)
    scaled = scaled_camera_info(new, part, 16, 8, new_header(new, "camera", 7))
    assert scaled.roi == new("sensor_msgs/msg/RegionOfInterest")
    assert intrinsics_of(scaled, 16, 8) == intrinsics_of(part, 32, 16).scaled(16, 8)


def test_an_empty_matrix_stays_empty(new: NewMessage) -> None:
    assert not np.any(scaled_camera_info(new, info(new, k=[0.0] * 9), 64, 32, new_header(new, "camera", 7)).k)


def test_camera_info_of_a_rectified_pair(new: NewMessage, sent: Callable[[Any, str], Any]) -> None:
    camera = CameraIntrinsics(50, 60, 31, 15, 64, 32)
    message = camera_info_message(new, camera, new_header(new, "right", 7), stereo_baseline=0.5)
    message = sent(message, "sensor_msgs/msg/CameraInfo")
    assert list(message.k) == [50, 0, 31, 0, 60, 15, 0, 0, 1]
    # sensor_msgs/CameraInfo: "Tx = -fx' * B" for the right camera
    assert list(message.p) == [50, 0, 31, -25, 0, 60, 15, 0, 0, 0, 1, 0]
    assert list(message.r) == [1, 0, 0, 0, 1, 0, 0, 0, 1]
    assert (list(message.d), message.distortion_model) == ([0] * 5, "plumb_bob")
    assert intrinsics_of(message, 64, 32) == camera


def test_camera_info_of_a_distorted_image_comes_back(new: NewMessage, sent: Callable[[Any, str], Any]) -> None:
    camera = CameraIntrinsics(50, 60, 31, 15, 64, 32, LensDistortion("equidistant", (0.1, 0.2, 0.3, 0.4)))
    message = sent(camera_info_message(new, camera, new_header(new, "raw", 7)), "sensor_msgs/msg/CameraInfo")
    assert intrinsics_of(message, 64, 32) == camera
