"""A perception node seen from another process: its diagnostics, and who subscribes to a topic."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Self, TypeVar

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from mp_perception.errors import UserError
from mp_perception.ros import qos

Value = TypeVar("Value")


class NodeProbe:
    """Collects the diagnostics of one perception node; leaving the context ends it.

    It has a ROS context of its own.  Messages arrive only while one of its methods runs.

    Args:
        namespace: of the perception node, such as "/front".

    Attributes:
        node: the probe's own node, in the same namespace.
        values: the newest diagnostics by name, and their "level" ("0" to "3") and "message".
    """

    def __init__(self, namespace: str = "") -> None:
        self._context = Context()
        rclpy.init(context=self._context, args=[])
        self.node = Node("probe", namespace=namespace, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._target = f"{namespace}/perception".lstrip("/")
        self._num_diagnostics = 0
        self.values: dict[str, str] = {}
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._take, qos.OUTPUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    @property
    def error(self) -> str:
        """The message of the newest diagnostics if their level is ERROR, else ""."""
        return self.values["message"] if self.values.get("level") == str(DiagnosticStatus.ERROR[0]) else ""

    def num_subscribers(self, topic: str) -> int:
        """Number of subscriptions to a topic, without that of the probe itself."""
        return int(self.node.count_subscribers(topic)) - (topic == "/diagnostics")

    def spin(self, seconds: float) -> None:
        """Receive messages for so many seconds."""
        deadline = time.monotonic() + seconds
        while (remaining := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=remaining)

    def wait_until(self, condition: Callable[[], Value], description: str, limit: float) -> Value:
        """Receive messages until a condition holds; returns its value.

        Raises:
            UserError: it does not hold after `limit` seconds; begins with the description.
        """
        deadline = time.monotonic() + limit
        while not (value := condition()):
            self._executor.spin_once(timeout_sec=0.05)
            if time.monotonic() > deadline:
                raise UserError(f"{description} after {limit:g} s; diagnostics: {self.values}")
        return value

    def diagnostics(self, until: Callable[[dict[str, str]], Any] = bool, limit: float = 20.0) -> dict[str, str]:
        """The first diagnostics to arrive after this call for which `until` holds; raises UserError as `wait_until`.

        The first message of all may have been made before the call.
        """
        first = self._num_diagnostics
        description = f"{self._target}: no such diagnostics"
        self.wait_until(lambda: self._num_diagnostics > first and until(self.values), description, limit)
        return dict(self.values)

    def _take(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == self._target:
                self.values = {value.key: value.value for value in status.values}
                self.values |= {"level": str(status.level[0]), "message": status.message}
                self._num_diagnostics += 1
