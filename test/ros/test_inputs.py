"""What is said about a topic from which nothing arrives, with real publishers of another node."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from mp_perception.ros import qos
from mp_perception.ros.inputs import Inputs

pytestmark = pytest.mark.dds


@pytest.fixture
def nodes(ros_domain_id: int) -> Iterator[tuple[Node, Node]]:
    """The node under test, and a camera; one context cannot have two types on a topic."""
    contexts = rclpy.Context(), rclpy.Context()
    for context in contexts:
        rclpy.init(context=context)
    node = rclpy.create_node("perception", namespace="/inputs", context=contexts[0])
    camera = rclpy.create_node("camera", context=contexts[1])
    yield node, camera
    node.destroy_node()
    camera.destroy_node()
    for context in contexts:
        rclpy.shutdown(context=context)


def wait_for(condition: Callable[[], bool]) -> None:
    """Until discovery has found what the condition needs."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_line_has_the_publishers_and_the_topics_that_could_be_meant(nodes: tuple[Node, Node]) -> None:
    node, camera = nodes
    inputs = Inputs(node)
    inputs.subscribe(Image, "image", lambda message: None, qos.profile(1, reliable=False))
    topic = "/inputs/image"
    assert inputs.describe_source(topic) == (
        "/inputs/image has no publisher; no topic has messages of sensor_msgs/msg/Image"
    )
    node.create_publisher(Image, "overlay", 1)
    for number in range(7):
        camera.create_publisher(Image, f"/camera_{number}/image_raw", 1)
    camera.create_publisher(CompressedImage, "/camera_0/image_raw/compressed", 1)
    wait_for(lambda: node.count_publishers("/camera_6/image_raw") == 1)
    named = ", ".join(f"/camera_{number}/image_raw" for number in range(5))
    wait_for(
        lambda: (
            inputs.describe_source(topic)
            == f"/inputs/image has no publisher; topics of sensor_msgs/msg/Image: {named} and 2 more"
        )
    )
    other = camera.create_publisher(CompressedImage, topic, 1)
    wait_for(lambda: node.count_publishers(topic) == 1)
    assert inputs.describe_source(topic) == (
        "/inputs/image has a publisher of sensor_msgs/msg/CompressedImage, expected sensor_msgs/msg/Image"
    )
    camera.destroy_publisher(other)
    camera.create_publisher(Image, topic, 1)
    wait_for(lambda: inputs.describe_source(topic).startswith("/inputs/image has 1 publisher (docs/troubleshooting"))
    assert inputs.num_publishers() == {topic: 1}
    inputs.destroy()
    assert (inputs.num_publishers(), inputs.describe_source(topic)) == ({}, "")


def test_a_latched_publisher_is_recognised(nodes: tuple[Node, Node]) -> None:
    node, camera = nodes
    inputs = Inputs(node)
    inputs.subscribe(CameraInfo, "camera_info", lambda message: None, qos.profile(5, reliable=False))
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    camera.create_publisher(CameraInfo, "/inputs/camera_info", latched)
    wait_for(lambda: node.count_publishers("/inputs/camera_info") == 1)
    assert "qos_overrides./inputs/camera_info.subscription.durability to transient_local" in inputs.describe_source(
        "/inputs/camera_info"
    )
