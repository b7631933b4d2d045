"""One node that each test configures: lifecycle, the generated parameter file, inputs and clocks.

Reliability is overridden by a parameter, as a user would do it.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from PIL import Image as PillowImage
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from mp_perception.ros.parameters import PARAMETERS, ros_value

pytestmark = [pytest.mark.dds, pytest.mark.timeout(120)]

CHECKOUT = Path(__file__).resolve().parents[2]
OVERRIDES = {"input_size": [96, 320], "score_threshold": 0.0, "diagnostics_period": 0.2, "autostart": False}
OVERRIDES |= {"max_age": 0.0}  # no image is too old on a busy machine


@pytest.fixture(scope="module")
def node_and_robot(start_node: Any) -> Any:
    """A node that is not configured."""
    # As for a camera info that is published once.
    latched = {"qos_overrides./rear/camera_info.subscription.durability": "transient_local"}
    parameter_file = CHECKOUT / "config" / "perception.yaml"
    reliable = ["image", "camera_info"]
    return start_node("/rear", reliable=reliable, parameter_file=parameter_file, **OVERRIDES, **latched)


@pytest.fixture
def robot(robot: Any) -> Any:
    """The counterpart of an unconfigured node."""
    if robot.state() == "active":
        assert robot.change_state(Transition.TRANSITION_DEACTIVATE)
    if robot.state() == "inactive":
        assert robot.change_state(Transition.TRANSITION_CLEANUP)
    assert robot.state() == "unconfigured"
    return robot


@pytest.fixture
def run(robot: Any) -> Callable[..., Any]:
    """Configures and activates the node with other parameters during the test."""
    before: dict[str, Any] = {}

    def activate(**parameters: Any) -> Any:
        before.update({name: robot.get(name) for name in parameters})
        assert all(result.successful for result in robot.set(**parameters))
        assert robot.change_state(Transition.TRANSITION_CONFIGURE)
        assert robot.change_state(Transition.TRANSITION_ACTIVATE)
        robot.wait_for_publisher("detections")
        return robot

    yield activate
    assert robot.change_state(Transition.TRANSITION_DEACTIVATE)
    assert robot.change_state(Transition.TRANSITION_CLEANUP)
    assert all(result.successful for result in robot.set(**before))


def test_the_generated_file_contains_the_defaults(robot: Any) -> None:
    for name, row in PARAMETERS.items():
        assert robot.get(name) == OVERRIDES.get(name, ros_value(row.default))


def test_images_are_subscribed_to_only_while_active(robot: Any) -> None:
    topic = "/rear/image"
    diagnostics = robot.diagnostics()
    assert (diagnostics["state"], diagnostics["level"]) == ("unconfigured", "0")
    assert robot.change_state(Transition.TRANSITION_CONFIGURE)
    assert robot.state() == "inactive"
    assert robot.node.count_subscribers(topic) == 0
    assert robot.change_state(Transition.TRANSITION_ACTIVATE)
    assert robot.state() == "active"
    robot.wait_for_publisher("detections")
    assert len(robot.answer(robot.image()).detections) > 0
    assert robot.change_state(Transition.TRANSITION_DEACTIVATE)
    robot.wait(lambda: robot.node.count_subscribers(topic) == 0, "end of the subscription")
    assert robot.change_state(Transition.TRANSITION_ACTIVATE)
    assert len(robot.answer(robot.image()).detections) > 0


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("device", "cuda:99", "cuda:99"),
        ("weights", "no/such/file.safetensors", "no/such/file.safetensors"),
        ("classes", ["Unicorn"], "Unicorn"),
    ],
)
def test_after_a_failed_configuration_the_node_runs_and_reports_the_reason(
    node: Any, robot: Any, name: str, value: Any, words: str
) -> None:
    before = robot.get(name)
    assert robot.set(**{name: value})[0].successful
    assert not robot.change_state(Transition.TRANSITION_CONFIGURE)
    assert robot.state() == "unconfigured"
    diagnostics = robot.diagnostics(lambda values: values["level"] == "2")
    assert words in diagnostics["message"]
    assert [line for line in node.text().splitlines() if "cannot configure" in line and words in line]
    assert robot.set(**{name: before})[0].successful
    assert robot.change_state(Transition.TRANSITION_CONFIGURE)
    assert robot.diagnostics()["level"] == "0"


def test_cleanup_frees_the_memory(robot: Any) -> None:
    def resident() -> float:
        robot.spin(0.3)
        return float(robot.diagnostics()["resident memory (MB)"])

    assert robot.set(backbone="resnet50")[0].successful
    assert robot.change_state(Transition.TRANSITION_CONFIGURE)
    loaded = resident()
    assert robot.change_state(Transition.TRANSITION_CLEANUP)
    assert robot.set(backbone="mobilenet_v2")[0].successful
    assert resident() < loaded - 200  # its 75 million parameters are 300 MB


def compressed(robot: Any, kind: str) -> CompressedImage:
    pixels = np.frombuffer(robot.image().data, np.uint8).reshape(96, 320, 3)
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, kind)
    return CompressedImage(format=f"rgb8; {kind.lower()} compressed rgb8", data=buffer.getvalue())


def test_compressed_images(run: Callable[..., Any]) -> None:
    robot = run(image_transport="compressed")
    topic = "image/compressed"
    from_png = robot.answer(compressed(robot, "PNG"), image_topic=topic)
    assert from_png.header.frame_id == "camera_optical"
    assert len(from_png.detections) > 0
    assert len(robot.answer(compressed(robot, "JPEG"), image_topic=topic).detections) > 0
    before = int(robot.diagnostics()["images malformed"])
    for data in (b"", b"no picture", compressed(robot, "PNG").data[:20000]):
        robot.send_image(CompressedImage(format="png", data=data), topic)
        before += 1
        robot.diagnostics(lambda values, wanted=before: int(values["images malformed"]) == wanted)
    assert len(robot.answer(compressed(robot, "PNG"), image_topic=topic).detections) > 0


def test_latched_camera_info_is_kept_while_the_node_is_inactive(run: Callable[..., Any]) -> None:
    robot = run()
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    publisher = robot.node.create_publisher(CameraInfo, "camera_info", latched)
    publisher.publish(CameraInfo(width=320, height=96, k=[180.0, 0.0, 160.0, 0.0, 180.0, 48.0, 0.0, 0.0, 1.0]))
    robot.wait(lambda: np.isfinite(position(robot)), "position")
    robot.node.destroy_publisher(publisher)
    assert robot.change_state(Transition.TRANSITION_DEACTIVATE)
    assert robot.change_state(Transition.TRANSITION_ACTIVATE)
    assert np.isfinite(position(robot))


def position(robot: Any) -> float:
    """x of the first object in an image."""
    return float(robot.answer(robot.image()).detections[0].results[0].pose.pose.position.x)


def test_process_every_frame_keeps_order_and_accepts_any_age(run: Callable[..., Any]) -> None:
    robot = run(process_every_frame=True)
    robot.answer(robot.image())
    robot.received["detections"].clear()
    start = time.time() - 30
    sent = [robot.send_image(robot.image(), stamp=start + i).header.stamp for i in range(20)]
    robot.wait(lambda: len(robot.received["detections"]) >= 20, "20 outputs")
    assert [message.header.stamp for message in robot.received["detections"]] == sent
    assert int(robot.diagnostics()["images overflowed"]) == 0


def test_old_images_are_dropped_but_not_those_of_another_clock(node: Any, run: Callable[..., Any]) -> None:
    robot = run(max_age=20.0)
    robot.answer(robot.image())
    before = robot.diagnostics()
    robot.send_image(robot.image(), stamp=time.time() - 40)
    after = robot.diagnostics(lambda values: int(values["images stale"]) == int(before["images stale"]) + 1)
    assert after["images processed"] == before["images processed"]
    of_2011 = robot.answer(robot.image(), stamp=1317042272.345808896)
    assert of_2011.header.stamp.sec == 1317042272
    robot.diagnostics(lambda values: int(values["images clock_mismatch"]) >= 1)
    assert "years old: set use_sim_time and play with --clock" in node.text()


def test_simulated_time_and_its_jump_backwards(node: Any, run: Callable[..., Any]) -> None:
    robot = run(max_age=0.5)
    assert robot.set(use_sim_time=True)[0].successful
    clock = robot.publisher(Clock, "/clock", QoSProfile(depth=10))

    def set_clock(seconds: int) -> None:
        message = Clock()
        message.clock.sec = seconds
        for _ in range(10):  # like a bag; a single message may be lost during discovery
            clock.publish(message)
            robot.spin(0.05)

    set_clock(1000)
    assert len(robot.answer(robot.image(), stamp=999.75).detections) > 0
    before = int(robot.diagnostics()["images stale"])
    robot.send_image(robot.image(), stamp=990.0)
    robot.diagnostics(lambda values: int(values["images stale"]) == before + 1)
    set_clock(500)
    robot.wait(lambda: "time jumped back by 500.0 s" in node.text(), "line about the jump")
    assert robot.answer(robot.image(), stamp=499.75).header.stamp.sec == 499
    robot.diagnostics(lambda values: values["age at publishing (s)"] == "0.250")
    assert robot.set(use_sim_time=False)[0].successful


def test_an_incompatible_publisher_is_reported_with_the_parameter(node: Any, run: Callable[..., Any]) -> None:
    robot = run()
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = robot.node.create_publisher(Image, "image", best_effort)
    parameter = "qos_overrides./rear/image.subscription.reliability"
    line = robot.wait(lambda: [line for line in node.text().splitlines() if parameter in line], "line about QoS")[0]
    for words in ("a publisher offers best effort", "asks for reliable", "to best_effort"):
        assert words in line
    robot.node.destroy_publisher(publisher)
