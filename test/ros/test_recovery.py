"""Failures while the node runs: a network that fails is loaded once more; clocks that disagree are reported."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from mp_perception.ros import worker
from mp_perception.ros.perception_node import PerceptionNode
from reliability.small_network import write_small_network

pytestmark = [pytest.mark.dds, pytest.mark.timeout(120)]


class Stage:
    """The node and a camera in one executor, which runs only inside `send_until`."""

    def __init__(self, context: rclpy.Context, parameter: Parameter) -> None:
        overrides = [parameter, Parameter("diagnostics_period", value=0.1)]
        self.node = PerceptionNode(context=context, namespace="/recovery", parameter_overrides=overrides)
        self.camera = rclpy.create_node("camera", context=context, namespace="/recovery")
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)
        self.executor.add_node(self.camera)
        self.detections: list[Detection2DArray] = []
        self.levels: list[int] = []
        self.messages: list[str] = []
        self.camera.create_subscription(Detection2DArray, "detections", self.detections.append, 10)
        self.camera.create_subscription(DiagnosticArray, "/diagnostics", self._take_diagnostics, 10)
        self.publisher = self.camera.create_publisher(Image, "image", 10)

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        self.levels.append(message.status[0].level[0])
        self.messages.append(message.status[0].message)

    def send_until(self, condition: Callable[[], Any], seconds_ahead: int = 0) -> None:
        """Publish images until the condition holds."""
        image = Image(height=32, width=64, encoding="mono8", step=64, data=bytes(32 * 64))
        deadline = time.monotonic() + 40
        while not condition():
            assert time.monotonic() < deadline
            image.header.stamp = self.camera.get_clock().now().to_msg()
            image.header.stamp.sec += seconds_ahead
            self.publisher.publish(image)
            for _ in range(5):
                self.executor.spin_once(timeout_sec=0.02)

    def processes(self) -> bool:
        """Whether the node processes images that are sent from now on."""
        self.detections.clear()
        self.send_until(lambda: self.detections)
        return True

    def break_network(self) -> Any:
        """Close the network of the running node; every prediction fails from now on."""
        predictor = self.node._predictor
        assert predictor is not None
        predictor.close()
        return predictor


@pytest.fixture
def stage(ros_domain_id: int) -> Iterator[Stage]:
    yield from running(Parameter("input_size", value=[32, 64]))


@pytest.fixture
def small_stage(ros_domain_id: int, tmp_path: Path) -> Iterator[Stage]:
    """With a tiny network."""
    yield from running(Parameter("weights", value=str(write_small_network(tmp_path))))


def running(parameter: Parameter) -> Iterator[Stage]:
    """A stage whose node has that parameter."""
    context = rclpy.Context()
    rclpy.init(context=context)
    stage = Stage(context, parameter)
    yield stage
    assert stage.node.release(10)
    stage.executor.shutdown()
    stage.node.destroy_node()
    stage.camera.destroy_node()
    rclpy.shutdown(context=context)


def test_a_failing_network_is_loaded_once_more_and_again_only_after_an_output(stage: Stage) -> None:
    assert stage.processes()
    broken = stage.break_network()
    stage.send_until(lambda: stage.node._predictor not in (broken, None))
    stage.send_until(lambda: 2 in stage.levels)
    assert any("the network failed on " in message and "closed" in message for message in stage.messages)
    assert stage.processes()  # and so it may be loaded again
    again = stage.break_network()
    stage.send_until(lambda: stage.node._predictor not in (again, None))

    stage.break_network()  # before any image was processed: no further restart
    stage.send_until(lambda: stage.node._predictor is None)
    stage.levels.clear()
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        stage.executor.spin_once(timeout_sec=0.05)
    assert stage.node._predictor is None
    assert stage.levels[-1] == 2
    assert "the network failed" in stage.messages[-1]
    stage.node.trigger_configure()
    stage.node.trigger_activate()
    assert stage.processes()


def test_clock_mismatches_are_logged_again_after_some_time(
    small_stage: Stage, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(worker.THROTTLED_TO_MINUTES, "throttle_duration_sec", 0.5)
    said = ""

    def count(words: str) -> int:
        nonlocal said
        said += capfd.readouterr().err
        return said.count(words)

    small_stage.send_until(
        lambda: count("stamps are 90 seconds in the future: synchronise the clocks"), seconds_ahead=90
    )
    assert small_stage.processes()
    small_stage.send_until(lambda: count("stamps are 3 hours old"), seconds_ahead=-3 * 3600)
