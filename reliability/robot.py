"""A perception node as a process of its own, and a robot's side to talk to it: written only with rclpy and messages.

Used by the tests over DDS (test/dds) and by the reliability suite (reliability/day).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image

FOCAL, CENTRE_X, CENTRE_Y = 180.0, 152.25, 43.0
START_LIMIT = 60.0


class Robot:
    """The other side: publishes images, collects outputs, calls services of one node under test."""

    def __init__(self, context: rclpy.Context, namespace: str) -> None:
        self.node = Node("robot", namespace=namespace, context=context)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)
        self.received: dict[str, list[Any]] = defaultdict(list)
        self.target = f"{namespace}/perception"
        self._subscriptions: dict[str, Any] = {}
        self._publishers: dict[str, Any] = {}
        self._clients: dict[str, Any] = {}
        self._connected: set[str] = set()
        self.subscribe(DiagnosticArray, "/diagnostics")

    def subscribe(self, message_type: type[Any], topic: str, qos: QoSProfile | int = 50) -> None:
        """Collect what comes on a topic in `received[topic]`."""
        if topic not in self._subscriptions:
            append = self.received[topic].append
            self._subscriptions[topic] = self.node.create_subscription(message_type, topic, append, qos)

    def unsubscribe(self, topic: str) -> None:
        self.node.destroy_subscription(self._subscriptions.pop(topic))
        self.received.pop(topic, None)

    def wait(self, condition: Callable[[], Any], what: str, limit: float = 20.0) -> Any:
        """Spin until the condition holds; its value."""
        deadline = time.monotonic() + limit
        while not (value := condition()):
            assert time.monotonic() < deadline, f"no {what} within {limit:g} s; {self._last_diagnostics()}"
            self.executor.spin_once(timeout_sec=0.02)
        return value

    def spin(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.executor.spin_once(timeout_sec=0.01)

    def publisher(self, message_type: type[Any], topic: str, qos: QoSProfile | int = 50) -> Any:
        """A publisher that the node under test has found."""
        publisher = self._publishers.get(topic)
        if publisher is None:
            publisher = self._publishers[topic] = self.node.create_publisher(message_type, topic, qos)
        if publisher.get_subscription_count() == 0:
            self.wait(lambda: publisher.get_subscription_count() > 0, f"subscriber of {topic}")
            self.spin(0.2)
        return publisher

    def wait_for_publisher(self, topic: str) -> None:
        """Until the node under test and our subscription know each other."""
        self.wait(lambda: self.node.count_publishers(topic) > 0, f"publisher of {topic}")
        self.spin(0.2)

    def send_image(self, message: Any, topic: str = "image", stamp: float | None = None) -> Any:
        """Publish an image stamped with the time now, or with `stamp` in seconds."""
        publisher = self.publisher(type(message), topic)
        nanoseconds = self.node.get_clock().now().nanoseconds if stamp is None else int(stamp * 1e9)
        message.header.stamp = Time(nanoseconds=nanoseconds).to_msg()
        message.header.frame_id = "camera_optical"
        publisher.publish(message)
        return message

    def send_camera_info(self, info: CameraInfo) -> None:
        """Publish camera info, as often as a camera would, before the next image."""
        for _ in range(5):
            self.publisher(CameraInfo, "camera_info").publish(info)
            self.spin(0.05)

    def answer(
        self, message: Any, topic: str = "detections", image_topic: str = "image", stamp: float | None = None
    ) -> Any:
        """Publish an image; what comes on `topic` with its stamp.

        Best effort may lose the very first message between two sides that have just met, and now and then does: until
        one has come through, the image is sent again.
        """
        deadline = time.monotonic() + 20
        while image_topic not in self._connected and time.monotonic() < deadline:
            sent = self.send_image(message, image_topic, stamp)
            self.spin(1.0)
            if any(m.header.stamp == sent.header.stamp for m in self.received[topic]):
                self._connected.add(image_topic)
        sent = self.send_image(message, image_topic, stamp)
        return self.wait(
            lambda: next((m for m in self.received[topic] if m.header.stamp == sent.header.stamp), None), topic
        )

    def call(self, service_type: type[Any], name: str, request: Any, limit: float = START_LIMIT) -> Any:
        """Answer of a service of the node under test."""
        full_name = f"{self.target}/{name}"
        if name not in self._clients:
            self._clients[name] = self.node.create_client(service_type, full_name)
        client = self._clients[name]
        self.wait(client.service_is_ready, full_name, limit)
        future = client.call_async(request)
        self.wait(future.done, f"answer of {full_name}", limit)
        return future.result()

    def set(self, **values: Any) -> list[Any]:
        """Set parameters one by one; results with .successful and .reason."""
        parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        return list(self.call(SetParameters, "set_parameters", SetParameters.Request(parameters=parameters)).results)

    def get(self, name: str) -> Any:
        values = self.call(GetParameters, "get_parameters", GetParameters.Request(names=[name])).values
        return rclpy.parameter.parameter_value_to_python(values[0])

    def change_state(self, transition: int) -> bool:
        request = ChangeState.Request()
        request.transition.id = transition
        return bool(self.call(ChangeState, "change_state", request).success)

    def state(self) -> str:
        return str(self.call(GetState, "get_state", GetState.Request()).current_state.label)

    def diagnostics(self, until: Callable[[dict[str, str]], Any] = bool) -> dict[str, str]:
        """Values of a diagnostics message newer than this call for which `until` holds, with level and message."""
        seen = self.received["/diagnostics"]
        seen.clear()

        def newest() -> dict[str, str] | None:
            for array in reversed(seen):
                for status in array.status:
                    values = {value.key: value.value for value in status.values}
                    values |= {"level": str(status.level[0]), "message": status.message, "name": status.name}
                    if status.name == self.target.lstrip("/") and until(values):
                        return values
            return None

        return dict(self.wait(newest, "diagnostics that fit"))

    @staticmethod
    def image(width: int = 320, height: int = 96, **changes: Any) -> Image:
        """An rgb8 image of noise, the same every time, with fields changed; untrained networks find objects in it."""
        pixels = np.random.default_rng(7).integers(0, 256, width * height * 3, dtype=np.uint8)
        message = Image(height=height, width=width, encoding="rgb8", step=width * 3)
        message.data.frombytes(pixels.tobytes())
        for name, value in changes.items():
            setattr(message, name, value)
        return message

    @staticmethod
    def camera_info() -> CameraInfo:
        """The camera of images of 320x96."""
        return CameraInfo(
            width=320,
            height=96,
            k=[FOCAL, 0.0, CENTRE_X, 0.0, FOCAL, CENTRE_Y, 0.0, 0.0, 1.0],
            p=[FOCAL, 0.0, CENTRE_X, 0.0, 0.0, FOCAL, CENTRE_Y, 0.0, 0.0, 0.0, 1.0, 0.0],
        )

    def _last_diagnostics(self) -> str:
        name = self.target.lstrip("/")
        statuses = [s for array in self.received["/diagnostics"] for s in array.status if s.name == name]
        return ", ".join(f"{v.key}: {v.value}" for v in statuses[-1].values) if statuses else "no diagnostics"

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()


class NodeProcess:
    """`perception_node` in a process of its own, killed when it does not end."""

    def __init__(
        self, environment: dict[str, str], log: Path, namespace: str, *arguments: str, longest: float = 200
    ) -> None:
        """longest: seconds after which it is ended, whatever became of who started it."""
        self.log = log
        command = [sys.executable, "-m", "mp_perception.ros.perception_node", "--ros-args", "-r", f"__ns:={namespace}"]
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                ["timeout", "--foreground", "--kill-after=5", str(longest), *command, *arguments],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def text(self) -> str:
        """What the node has logged so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def children(self) -> list[psutil.Process]:
        """The node itself, once it runs; the process that was started only watches the clock."""
        try:
            return psutil.Process(self.process.pid).children()
        except psutil.NoSuchProcess:
            return []

    def stop(self, number: int = signal.SIGTERM, limit: float = 10.0) -> tuple[int, float]:
        """Exit code and seconds from the signal to the end."""
        start = time.monotonic()
        self.process.send_signal(number)
        try:
            code = self.process.wait(limit)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        return code, time.monotonic() - start
