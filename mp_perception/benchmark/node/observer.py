"""What is seen of a perception node from outside: its diagnostics, the age of what it publishes, its process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.time import Time
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from mp_perception.errors import UserError
from mp_perception.ros import qos

#: A network on a busy machine may take this long to be ready, seconds.
_START_LIMIT = 120.0


class Observer:
    """Subscribes to detections and depth, so that both are made, and to the diagnostics.

    ages: seconds between an image's stamp and the arrival of its detections, since the last `forget`.
    values: the newest diagnostics by name.
    """

    def __init__(self, node: Node, namespace: str) -> None:
        self._node = node
        self._namespace = namespace
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        self._status: DiagnosticStatus | None = None
        self.ages: list[float] = []
        self.values: dict[str, str] = {}
        self._diagnostics = 0
        node.create_subscription(DiagnosticArray, "/diagnostics", self._take_diagnostics, qos.OUTPUT)
        node.create_subscription(Detection2DArray, f"{namespace}/detections", self._take_detections, qos.OUTPUT)
        node.create_subscription(Image, f"{namespace}/depth/image", lambda message: None, qos.LARGE_OUTPUT)

    def spin(self, seconds: float) -> None:
        """Take messages for so long."""
        deadline = time.monotonic() + seconds
        while (remaining := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=remaining)

    def wait_until_active(self) -> None:
        """Until the node looks at images and its outputs are seen here; raises UserError if it fails or takes long."""
        deadline = time.monotonic() + _START_LIMIT
        while self._node.count_publishers(f"{self._namespace}/detections") == 0 or self.values.get("state") != "active":
            self.spin(0.2)
            if self._status is not None and self._status.level == DiagnosticStatus.ERROR:
                raise UserError(f"perception_node: {self._status.message}")
            if time.monotonic() > deadline:
                raise UserError(f"perception_node: not active after {_START_LIMIT:g} s")

    def newest_values(self) -> dict[str, str]:
        """Diagnostics that were made after this call."""
        seen, deadline = self._diagnostics, time.monotonic() + _START_LIMIT
        # The first to come may have been on its way already.
        while self._diagnostics < seen + 2:
            self.spin(0.1)
            if time.monotonic() > deadline:
                raise UserError(f"perception_node: no diagnostics for {_START_LIMIT:g} s")
        return dict(self.values)

    def forget(self) -> None:
        """Start to collect ages anew."""
        self.ages.clear()

    def close(self) -> None:
        """Take no more messages."""
        self._executor.shutdown()

    def _take_detections(self, message: Detection2DArray) -> None:
        age = self._node.get_clock().now() - Time.from_msg(message.header.stamp)
        self.ages.append(age.nanoseconds / 1e9)

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(self._namespace.lstrip("/")):
                self._status = status
                self.values = {value.key: value.value for value in status.values}
                self._diagnostics += 1


@contextmanager
def observe(namespace: str) -> Iterator[Observer]:
    """An observer in a ROS context of its own."""
    context = Context()
    rclpy.init(context=context, args=[])
    node = Node("observer", namespace=namespace, context=context)
    observer = Observer(node, namespace)
    try:
        yield observer
    finally:
        observer.close()
        node.destroy_node()
        rclpy.try_shutdown(context=context)
