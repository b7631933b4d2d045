"""What a node says when it does not get what it needs, and that single messages do not end it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image

from mp_perception.model.checkpoint_description import AdaptedCamera
from reliability.small_network import write_small_network

pytestmark = [pytest.mark.dds, pytest.mark.timeout(300)]

CAMERA = CameraInfo(width=320, height=96, k=[180.0, 0.0, 160.0, 0.0, 180.0, 48.0, 0.0, 0.0, 1.0])
WARN = "1"


@pytest.fixture(scope="module")
def node_and_robot(start_node: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An active node with a tiny network, whose images do not come."""
    weights = write_small_network(tmp_path_factory.mktemp("weights"))
    return start_node("/quiet", weights=weights, diagnostics_period=0.2, score_threshold=0, max_age=1.0)


def until(robot: Any, words: str, image: Image | None = None) -> dict[str, str]:
    """Diagnostics with these words in the message, while images are sent."""

    def found(values: dict[str, str]) -> bool:
        if image is not None:
            robot.send_image(image)
        return words in values["message"]

    return dict(robot.diagnostics(found))


def lines(node: Any, words: str) -> list[str]:
    return [line for line in node.text().splitlines() if words in line]


def test_no_image_names_the_topic_and_those_that_have_images(node: Any, robot: Any) -> None:
    robot.node.create_publisher(Image, "/camera/image_raw", 1)
    found = until(robot, "no image for ")
    assert found["level"] == WARN
    (line,) = lines(node, "no image for ")
    assert "[WARN]" in line
    assert "/quiet/image has no publisher; topics of sensor_msgs/msg/Image: /camera/image_raw" in line
    assert "/quiet/overlay" not in line
    robot.answer(robot.image())
    robot.wait(lambda: lines(node, "over: no image"), "end of the silence")
    assert len(lines(node, "no image for ")) == 1


def test_missing_camera_info_and_its_remedy(node: Any, robot: Any) -> None:
    found = until(robot, "no camera info on /quiet/camera_info", robot.image())
    assert found["level"] == WARN
    assert "no topic has messages of sensor_msgs/msg/CameraInfo" in found["message"]


def test_camera_info_of_another_size_ends_the_distances_until_it_fits_again(node: Any, robot: Any) -> None:
    def positions(info: CameraInfo) -> np.ndarray:
        for _ in range(3):
            robot.publisher(CameraInfo, "camera_info").publish(info)
            robot.spin(0.05)
        objects = robot.answer(robot.image()).detections
        assert objects
        return np.array([[getattr(d.results[0].pose.pose.position, axis) for axis in "xyz"] for d in objects])

    assert np.isfinite(positions(CAMERA)).all()
    half = CameraInfo(width=160, height=48, k=[90.0, 0.0, 80.0, 0.0, 90.0, 24.0, 0.0, 0.0, 1.0])
    assert np.isnan(positions(half)).all()
    found = until(robot, "size: expected 320x96 as the image has, found 160x48; no distances are published")
    assert found["level"] == WARN
    assert np.isfinite(positions(CAMERA)).all()
    robot.diagnostics(lambda values: values["last problem"] == "")
    assert lines(node, "over: camera info of /quiet/camera_info: size: expected 320x96")


def test_images_that_are_all_too_old(node: Any, robot: Any) -> None:
    for _ in range(8):
        robot.send_image(robot.image(), stamp=time.time() - 20)
        robot.spin(0.1)
    found = until(robot, "all images are dropped, the last ")
    assert found["level"] == WARN
    robot.answer(robot.image())
    robot.wait(lambda: lines(node, "over: old images"), "end of old images")
    assert len(lines(node, "all images are dropped")) == 1


def test_a_black_image_is_a_warning_until_there_is_something_to_see(node: Any, robot: Any) -> None:
    black = robot.image()
    black.data = bytes(len(black.data))
    found = until(robot, "images show nothing: their outputs mean nothing", black)
    assert found["level"] == WARN
    assert "[WARN]" in lines(node, "/quiet/image shows nothing, its pixels are nearly equal")[0]
    robot.answer(robot.image())
    robot.diagnostics(lambda values: "show nothing" not in values["message"])


def test_a_stamp_before_1970_is_a_clock_mismatch(node: Any, robot: Any) -> None:
    before = robot.diagnostics()
    image = robot.image()
    publisher = robot.publisher(Image, "image")
    image.header.stamp.sec = -5
    publisher.publish(image)
    wanted = int(before["images processed"]) + 1
    after = robot.diagnostics(lambda values: int(values["images processed"]) == wanted)
    assert int(after["images clock_mismatch"]) == int(before.get("images clock_mismatch", 0)) + 1
    assert after["images errors"] == "0"
    assert lines(node, "the stamps are before 1970")


def test_messages_that_rclpy_does_not_accept_do_not_end_the_node(node: Any, robot: Any) -> None:
    client = robot.node.create_client(SetParameters, "perception/set_parameters")
    robot.wait(client.service_is_ready, "service")
    unknown = Parameter(name="max_age", value=ParameterValue(type=200))
    client.call_async(SetParameters.Request(parameters=[unknown]))
    robot.wait(lambda: lines(node, "message or service call ignored: 200 is not a valid"), "line about the parameter")
    assert robot.set(use_sim_time=True)[0].successful
    clock = Clock()
    clock.clock.sec = -5
    for _ in range(5):
        robot.publisher(Clock, "/clock", QoSProfile(depth=10)).publish(clock)
        robot.spin(0.1)
    assert robot.set(use_sim_time=False)[0].successful
    assert robot.answer(robot.image()).detections


def test_adapted_weights_on_another_camera(start_node: Any, tmp_path: Any) -> None:
    """One warning, and WARN in the diagnostics until the camera is the adapted one."""
    weights = write_small_network(tmp_path, AdaptedCamera(320, 96, 360.0))
    node, robot = start_node("/adapted", weights=weights, diagnostics_period=0.2, score_threshold=0)
    camera_info = robot.publisher(CameraInfo, "camera_info")
    words = "the weights were adapted to another camera: 320x96 with a focal length of 360.0 pixels, "

    def shows_warning(info: CameraInfo, expected: bool) -> bool:
        camera_info.publish(info)
        robot.spin(0.05)
        assert robot.answer(robot.image()).detections
        values = robot.diagnostics()
        return (words in values["message"]) is expected and (values["level"] == WARN) is expected

    robot.wait(lambda: shows_warning(CAMERA, True), "warning")
    (line,) = lines(node, words)
    assert "[WARN]" in line
    assert "/adapted/camera_info has 320x96 and 180.0; distances may be wrong" in line
    right = CameraInfo(width=320, height=96, k=[360.0, 0.0, 160.0, 0.0, 360.0, 48.0, 0.0, 0.0, 1.0])
    robot.wait(lambda: shows_warning(right, False), "end of the warning")
    assert len(lines(node, f"over: {words}")) == 1


def test_a_node_that_is_shut_down_is_finalized(robot: Any) -> None:
    assert robot.change_state(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    after = robot.diagnostics(lambda values: values["state"] != "active")
    assert (after["state"], after["message"]) == ("finalized", "finalized")
