"""Camera info matched with images: what is used, what is refused, and when distances are withheld."""

from __future__ import annotations

from typing import Any

import pytest
from rclpy.logging import get_logger
from sensor_msgs.msg import CameraInfo

from mp_perception.geometry import CameraIntrinsics
from mp_perception.lens_distortion import LensDistortion
from mp_perception.model.checkpoint_description import AdaptedCamera
from mp_perception.ros import camera_watch
from mp_perception.ros.camera_watch import CameraWatch


@pytest.fixture
def watch() -> CameraWatch:
    return CameraWatch("/camera_info", get_logger("test"))


def info(focal: float = 300.0, width: int = 320, height: int = 96, frame_id: str = "") -> CameraInfo:
    message = CameraInfo(width=width, height=height, k=[focal, 0.0, 159.5, 0.0, focal, 47.5, 0.0, 0.0, 1.0])
    message.header.frame_id = frame_id
    return message


def distorted(model: str, *coefficients: float) -> CameraInfo:
    message = info()
    message.distortion_model, message.d = model, list(coefficients)
    return message


def test_a_raw_image_is_told_from_a_rectified_one_with_one_warning(watch: CameraWatch, capfd: Any) -> None:
    watch.info = distorted("plumb_bob", -0.3, 0.1, 0.0, 0.0)
    for _ in range(3):
        camera = watch.match(320, 96, "camera")
        assert camera.intrinsics is not None
        assert camera.intrinsics.distortion == LensDistortion("plumb_bob", (-0.3, 0.1, 0.0, 0.0))
    assert watch.match(320, 96, "camera", rectified=True).intrinsics == CameraIntrinsics(300, 300, 159.5, 47.5, 320, 96)
    text = capfd.readouterr().err
    # The edge, 159.5 pixels aside at f = 300: 0.532 for the pinhole, 0.585 for the lens, r - 0.3 r^3 + 0.1 r^5 = 0.532.
    assert text.count("10 m ahead, 0.5 m away from where they are") == 1


def test_usable_camera_info_gives_the_intrinsics(watch: CameraWatch) -> None:
    watch.info = info()
    camera = watch.match(320, 96, "camera")
    assert camera.intrinsics == CameraIntrinsics(300, 300, 159.5, 47.5, 320, 96)
    assert (camera.info, camera.problem, camera.has_metres) == (watch.info, "", True)


def test_missing_camera_info_is_a_problem_after_the_first_images(
    watch: CameraWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert watch.match(320, 96, "camera").problem == ""
    monkeypatch.setattr(camera_watch, "EARLY_SECONDS", 0.0)
    camera = watch.match(320, 96, "camera")
    assert camera.problem.startswith("no camera info on /camera_info; objects have no x and y")
    assert camera.has_metres


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (info(width=640, height=192), "size: expected 320x96 as the image has, found 640x192"),
        (info(frame_id="rear"), "frame: expected 'camera' as the image has, found 'rear'"),
        (info(focal=0.001), "focal length"),
        (info(focal=1e9), "focal length"),
        (info(focal=0.0), "focal length above 0"),
        (info(width=0, height=0), "found 0x0"),
        (CameraInfo(width=320, height=96, k=[float("nan")] * 9), "found NaN"),
        (distorted("fov", 0.9), "distortion_model: expected one of plumb_bob"),
        (distorted("plumb_bob", float("nan"), 0.0, 0.0, 0.0), "D: expected finite numbers"),
    ],
)
def test_unusable_camera_info_withholds_distances_once_the_camera_was_known(
    watch: CameraWatch, bad: CameraInfo, words: str
) -> None:
    watch.info = bad
    before = watch.match(320, 96, "camera")
    watch.info = info(frame_id="camera")
    watch.match(320, 96, "camera")
    watch.info = bad
    after = watch.match(320, 96, "camera")
    for camera, has_metres, consequence in ((before, True, "as uncertain as"), (after, False, "no distances")):
        assert (camera.info, camera.intrinsics, camera.has_metres) == (None, None, has_metres)
        assert camera.problem.startswith("camera info of /camera_info: ")
        assert words in camera.problem
        assert consequence in camera.problem
    watch.info = info()
    assert watch.match(320, 96, "camera").has_metres


def test_an_image_of_another_size_than_the_known_camera_has_no_distances(watch: CameraWatch) -> None:
    watch.info = info()
    assert watch.match(320, 96, "camera").has_metres
    assert not watch.match(640, 192, "camera").has_metres


def test_changes_are_logged_but_not_with_every_image(watch: CameraWatch, capfd: Any) -> None:
    for number in range(20):
        watch.info = info(focal=300.0 + number)
        watch.match(320, 96, "camera")
        watch.match(320, 97, "camera")
    text = capfd.readouterr().err
    assert text.count("the image size changes to 320x97") == 1
    assert text.count("camera of /camera_info: 320x96, focal length 300.0 x 300.0 pixels") == 1


@pytest.mark.parametrize(
    ("live", "differs"),
    [
        (info(), False),
        (info(focal=305.0), False),  # another calibration of the same camera
        (info(focal=307.0), True),
        (info(focal=600.0, width=640, height=192), True),
    ],
)
def test_adapted_weights_are_for_one_camera(watch: CameraWatch, live: CameraInfo, differs: bool) -> None:
    watch.adapted = AdaptedCamera(320, 96, 300.0)
    watch.info = live
    camera = watch.match(live.width, live.height, "camera")
    assert camera.intrinsics is not None
    assert camera.has_metres
    expected = "adapted to another camera: 320x96 with a focal length of 300.0 pixels, /camera_info has"
    assert (expected in camera.problem) is differs
    watch.adapted = None
    assert watch.match(live.width, live.height, "camera").problem == ""
