"""The rest of the robot around a perception node: a camera at a steady rate, and a listener to the node's outputs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from mp_perception.errors import UserError
from mp_perception.messages.images import image_message
from mp_perception.progress import track
from mp_perception.ros import qos
from mp_perception.ros.message_class import new_message
from mp_perception.synthetic.render import KITTI_CAMERA, render
from mp_perception.synthetic.streets import random_scene

#: A network on a busy machine may take this long to be ready, seconds.
_START_LIMIT = 120.0
#: The last outputs arrive within this time after the last image, seconds.
_END_TIME = 0.5
# One image more than the subscriber keeps, so that a delay in this process does not lose an image.
_CAMERA_QOS = QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)


class Robot:
    """Publishes a synthetic scene as the camera does and receives detections, depth and diagnostics of one node.

    ages_ms: time from the stamp of an image to the arrival of its detections, of the last stream.
    values: the newest diagnostics by name.
    """

    def __init__(self, node: Node, namespace: str) -> None:
        self._node = node
        self._namespace = namespace
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        self._status: DiagnosticStatus | None = None
        self._num_diagnostics = 0
        self.values: dict[str, str] = {}
        self.ages_ms: list[float] = []
        header = Header(frame_id="camera")
        self._image = image_message(new_message, render(random_scene(0), KITTI_CAMERA).image, "rgb8", header)
        self._camera_info = _camera_info(header)
        self._images = node.create_publisher(Image, "image", _CAMERA_QOS)
        self._camera_infos = node.create_publisher(CameraInfo, "camera_info", _CAMERA_QOS)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._take_diagnostics, qos.OUTPUT)
        node.create_subscription(Detection2DArray, "detections", self._take_detections, qos.OUTPUT)
        # Without a subscriber the node would not publish its depth.
        node.create_subscription(Image, "depth/image", lambda message: None, qos.LARGE_OUTPUT)

    def wait_until_active(self) -> None:
        """Wait until the node accepts images and its outputs are visible here.

        Raises:
            UserError: the node reports an error or is not active in time.
        """
        deadline = time.monotonic() + _START_LIMIT
        while self._node.count_publishers(f"{self._namespace}/detections") == 0 or self.values.get("state") != "active":
            self._spin_until(time.monotonic() + 0.2)
            if self._status is not None and self._status.level == DiagnosticStatus.ERROR:
                raise UserError(f"perception_node: {self._status.message}")
            if time.monotonic() > deadline:
                raise UserError(f"perception_node: not active after {_START_LIMIT:g} s")

    def stream(self, title: str, rate: float, seconds: float) -> int:
        """Publish images at `rate`, Hz, for `seconds`; returns their number once the last outputs have arrived.

        title: shown beside the progress bar.
        """
        self.ages_ms.clear()
        start, count = time.monotonic(), round(rate * seconds)
        for number in track(range(count), title):
            self._spin_until(start + number / rate)
            self._image.header.stamp = self._camera_info.header.stamp = self._node.get_clock().now().to_msg()
            self._camera_infos.publish(self._camera_info)
            self._images.publish(self._image)
        self._spin_until(time.monotonic() + _END_TIME)
        return count

    def current_values(self) -> dict[str, str]:
        """Diagnostics that the node made after this call."""
        seen, deadline = self._num_diagnostics, time.monotonic() + _START_LIMIT
        # The first message to arrive may have been made before.
        while self._num_diagnostics < seen + 2:
            self._spin_until(time.monotonic() + 0.1)
            if time.monotonic() > deadline:
                raise UserError(f"perception_node: no diagnostics within {_START_LIMIT:g} s")
        return dict(self.values)

    def close(self) -> None:
        """Stop receiving messages."""
        self._executor.shutdown()

    def _spin_until(self, deadline: float) -> None:
        while (remaining := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=remaining)

    def _take_detections(self, message: Detection2DArray) -> None:
        age = self._node.get_clock().now() - Time.from_msg(message.header.stamp)
        self.ages_ms.append(age.nanoseconds / 1e6)

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(self._namespace.lstrip("/")):
                self._status = status
                self.values = {value.key: value.value for value in status.values}
                self._num_diagnostics += 1


@contextmanager
def robot_around(namespace: str) -> Iterator[Robot]:
    """A `Robot` for the perception node in `namespace`, in a ROS context of its own."""
    context = Context()
    rclpy.init(context=context, args=[])
    node = Node("robot", namespace=namespace, context=context)
    robot = Robot(node, namespace)
    try:
        yield robot
    finally:
        robot.close()
        node.destroy_node()
        rclpy.try_shutdown(context=context)


def _camera_info(header: Header) -> CameraInfo:
    camera = KITTI_CAMERA
    projection = [camera.fx, 0.0, camera.cx, 0.0, 0.0, camera.fy, camera.cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    intrinsic = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
    return CameraInfo(header=header, width=camera.width, height=camera.height, k=intrinsic, p=projection)
