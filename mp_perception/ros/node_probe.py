"""A perception node seen from another process: its diagnostics, and who subscribes to a topic."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from mp_perception.errors import UserError
from mp_perception.ros import qos


class NodeProbe:
    """Collects the diagnostics of one perception node.

    values: the newest, by name.  error: their message if their level is ERROR, else "".
    num_received: how many of them arrived.
    """

    def __init__(self, node: Node, executor: SingleThreadedExecutor, target: str) -> None:
        self._node = node
        self._executor = executor
        self._target = target
        self.values: dict[str, str] = {}
        self.num_received = 0
        self.error = ""
        node.create_subscription(DiagnosticArray, "/diagnostics", self._take, qos.OUTPUT)

    def spin(self, seconds: float) -> None:
        """Take messages for so many seconds."""
        deadline = time.monotonic() + seconds
        while (remaining := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=remaining)

    def num_subscribers(self, topic: str) -> int:
        """Number of subscriptions to a topic, without that of the probe itself."""
        return int(self._node.count_subscribers(topic)) - (topic == "/diagnostics")

    def wait_until(self, condition: Callable[[], bool], description: str, limit: float) -> None:
        """Take messages until a condition holds.  Raises UserError after `limit` seconds."""
        deadline = time.monotonic() + limit
        while not condition():
            self.spin(0.1)
            if time.monotonic() > deadline:
                raise UserError(f"{description} after {limit:g} s; diagnostics: {self.values}")

    def _take(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == self._target:
                self.error = status.message if status.level == DiagnosticStatus.ERROR else ""
                self.values = {value.key: value.value for value in status.values}
                self.num_received += 1


@contextmanager
def probe_node(target: str) -> Iterator[NodeProbe]:
    """A probe in a ROS context of its own.  target: the node's full name without the first slash."""
    context = Context()
    rclpy.init(context=context, args=[])
    node = Node("probe", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        yield NodeProbe(node, executor, target)
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown(context=context)
