"""The robot's side of a perception node under test: publishes images, collects outputs, calls services.

Used by the tests over DDS (test/dds) and by the soak test.
"""

from __future__ import annotations

import signal
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import rclpy
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import Image

from mp_perception.errors import UserError
from mp_perception.ros.node_probe import NodeProbe
from mp_perception.ros.node_process import NodeProcess

#: A busy machine starts a node in this many seconds.
START_LIMIT = 120.0
_QOS = QoSProfile(depth=50)


class Robot(NodeProbe):
    """A probe that also publishes to a node, receives its outputs and calls its services.

    received: topic -> messages in order of arrival.
    """

    def __init__(self, namespace: str) -> None:
        super().__init__(namespace)
        self.received: dict[str, list[Any]] = defaultdict(list)
        self._subscriptions: dict[str, Any] = {}
        self._publishers: dict[str, Any] = {}
        self._clients: dict[str, Any] = {}
        self._connected: set[str] = set()

    def subscribe(self, message_type: type[Any], topic: str, qos: QoSProfile = _QOS) -> None:
        """Collect the messages of a topic in `received[topic]`."""
        if topic not in self._subscriptions:
            take = self.received[topic].append
            self._subscriptions[topic] = self.node.create_subscription(message_type, topic, take, qos)

    def unsubscribe(self, topic: str) -> None:
        """End the subscription to a topic."""
        self.node.destroy_subscription(self._subscriptions.pop(topic))
        self.received.pop(topic, None)

    def wait(self, condition: Callable[[], Any], what: str, limit: float = 20.0) -> Any:
        """Receive messages until the condition holds; its value."""
        return self.wait_until(condition, f"no {what}", limit)

    def wait_for_log(self, node: NodeProcess, words: str = "active: looking at", times: int = 1) -> None:
        """Receive messages until these words are in the log of a node; by default when it is active."""
        self.wait(lambda: node.text().count(words) >= times, f"{words!r} in {node.log}", START_LIMIT)

    def publisher(self, message_type: type[Any], topic: str, qos: QoSProfile = _QOS) -> Any:
        """A publisher that the node under test has discovered."""
        publisher = self._publishers.get(topic)
        if publisher is None:
            publisher = self._publishers[topic] = self.node.create_publisher(message_type, topic, qos)
        if publisher.get_subscription_count() == 0:
            self.wait(lambda: publisher.get_subscription_count() > 0, f"subscriber of {topic}")
            self.spin(0.2)
        return publisher

    def wait_for_publisher(self, topic: str) -> None:
        """Until the node under test and the subscription here have discovered each other."""
        self.wait(lambda: self.node.count_publishers(topic) > 0, f"publisher of {topic}")
        self.spin(0.2)

    def send_image(self, message: Any, topic: str = "image", stamp: float | None = None) -> Any:
        """Publish an image stamped with the present time, or with `stamp` in seconds."""
        publisher = self.publisher(type(message), topic)
        nanoseconds = self.node.get_clock().now().nanoseconds if stamp is None else int(stamp * 1e9)
        message.header.stamp = Time(nanoseconds=nanoseconds).to_msg()
        message.header.frame_id = "camera_optical"
        publisher.publish(message)
        return message

    def answer(
        self, message: Any, topic: str = "detections", image_topic: str = "image", stamp: float | None = None
    ) -> Any:
        """Publish an image; the message on `topic` with its stamp.

        The first messages between two nodes that have just discovered each other may be lost: until one has arrived
        since the node's last change of state, the image is sent again.
        """
        deadline = time.monotonic() + 20
        while image_topic not in self._connected and time.monotonic() < deadline:
            sent = self.send_image(message, image_topic, stamp)
            with suppress(UserError):
                self.wait(partial(self.with_stamp, topic, sent), topic, 1.0)
                self._connected.add(image_topic)
        sent = self.send_image(message, image_topic, stamp)
        return self.beside(sent, topic)

    def beside(self, message: Any, topic: str) -> Any:
        """The message on a topic with the stamp of another message, received before or from now on."""
        return self.wait(partial(self.with_stamp, topic, message), topic)

    def with_stamp(self, topic: str, message: Any) -> Any:
        """The newest message received on a topic with the stamp of another message; None if there is none."""
        return next((m for m in reversed(self.received[topic]) if m.header.stamp == message.header.stamp), None)

    def call(self, service_type: type[Any], name: str, request: Any) -> Any:
        """The answer of a service of the node under test."""
        if name not in self._clients:
            self._clients[name] = self.node.create_client(service_type, f"perception/{name}")
        client = self._clients[name]
        self.wait(client.service_is_ready, f"service {name}", START_LIMIT)
        future = client.call_async(request)
        self.wait(future.done, f"answer of {name}", START_LIMIT)
        return future.result()

    def set(self, **values: Any) -> list[Any]:
        """Set parameters one by one; results with .successful and .reason."""
        parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        return list(self.call(SetParameters, "set_parameters", SetParameters.Request(parameters=parameters)).results)

    def get(self, name: str) -> Any:
        """The value of a parameter."""
        values = self.call(GetParameters, "get_parameters", GetParameters.Request(names=[name])).values
        return rclpy.parameter.parameter_value_to_python(values[0])

    def change_state(self, transition: int) -> bool:
        """Whether a transition of the lifecycle succeeded."""
        self._connected.clear()  # it may end the node's subscriptions and make new ones
        request = ChangeState.Request()
        request.transition.id = transition
        return bool(self.call(ChangeState, "change_state", request).success)

    def state(self) -> str:
        """The state of the lifecycle."""
        return str(self.call(GetState, "get_state", GetState.Request()).current_state.label)

    @staticmethod
    def image(width: int = 320, height: int = 96, **changes: Any) -> Image:
        """An rgb8 image of noise, the same every time, with changed fields; untrained networks find objects in it."""
        pixels = np.random.default_rng(7).integers(0, 256, width * height * 3, dtype=np.uint8)
        message = Image(height=height, width=width, encoding="rgb8", step=width * 3)
        message.data.frombytes(pixels.tobytes())
        for name, value in changes.items():
            setattr(message, name, value)
        return message


def stop(node: NodeProcess, number: int = signal.SIGTERM) -> tuple[int, float]:
    """Send a signal to a node; its exit code, and the seconds until its end."""
    start = time.monotonic()
    node.process.send_signal(number)
    return node.process.wait(10), time.monotonic() - start
