"""Images at 60 Hz and a slower network: outputs stay new, services are answered, SIGTERM ends the node in time.

Times are compared with those of the network in the same run, because a busy machine stretches both.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.time import Time

from reliability.robot import stop

pytestmark = [pytest.mark.dds, pytest.mark.timeout(120)]

PERIOD = 1 / 60


@pytest.fixture(scope="module")
def node_and_robot(start_node: Any) -> Iterator[Any]:
    """A node with a large network input, and images of KITTI's size at 60 Hz."""
    process, robot = start_node("/fast", input_size=[768, 2496], diagnostics_period=0.5, max_age=10.0)
    image = robot.image(1242, 375)
    publisher = robot.publisher(type(image), "image")
    stopped = threading.Event()

    def stream() -> None:
        next_time = time.monotonic()
        while not stopped.is_set():
            image.header.stamp = robot.node.get_clock().now().to_msg()
            publisher.publish(image)
            next_time += PERIOD
            time.sleep(max(0.0, next_time - time.monotonic()))

    thread = threading.Thread(target=stream)
    thread.start()
    robot.wait(lambda: len(robot.received["detections"]) > 2, "outputs")
    yield process, robot
    stopped.set()
    thread.join()


def test_the_newest_image_is_processed_and_the_others_are_counted(robot: Any) -> None:
    before = robot.diagnostics()
    robot.received["detections"].clear()
    robot.wait(lambda: len(robot.received["detections"]) > 10, "outputs")
    stamps = [Time.from_msg(message.header.stamp).nanoseconds for message in robot.received["detections"]]
    after = robot.diagnostics()
    inference = float(after["inference median (ms)"])
    assert inference > 3e3 * PERIOD, "the network is too fast for this test"
    assert stamps == sorted(set(stamps))
    # An image waits for less than one interval of the camera; in a queue it would wait for other inferences.
    assert float(after["wait median (ms)"]) < inference / 2
    assert float(after["age at publishing (s)"]) < 2e-3 * float(after["total p99 (ms)"])

    def grown(name: str) -> int:
        return int(after[f"images {name}"]) - int(before[f"images {name}"])

    assert grown("overwritten") > grown("processed") > 5
    assert grown("stale") == 0
    accounted = grown("processed") + grown("overwritten")
    assert abs(grown("received") - accounted) <= 2  # one in work, one waiting
    assert after["level"] == "1"
    assert "images dropped" in after["message"]


def test_parameter_requests_are_answered_while_an_image_is_in_work(robot: Any) -> None:
    times = []
    for number in range(40):
        start = time.perf_counter()
        if number % 2:
            assert robot.set(score_threshold=0.5)[0].successful
        else:
            robot.get("max_age")
        times.append(1e3 * (time.perf_counter() - start))
    assert statistics.median(times) < float(robot.diagnostics()["inference median (ms)"])


def test_sigterm_while_a_large_network_is_loaded_ends_the_node_within_two_seconds(start_node: Any) -> None:
    """Loading and the first inference cannot be interrupted and take seconds here; the process ends anyway."""
    process, robot = start_node("/heavy", backbone="resnet50", input_size=[1024, 1024], autostart=False)
    client = robot.node.create_client(ChangeState, "/heavy/perception/change_state")
    robot.wait(client.service_is_ready, "change_state")
    request = ChangeState.Request()
    request.transition.id = Transition.TRANSITION_CONFIGURE
    configured = client.call_async(request)
    robot.spin(2)
    assert not configured.done()
    code, seconds = stop(process)
    assert code == 0, process.text()
    assert seconds < 2


def test_sigterm_in_mid_inference_ends_the_node_within_two_seconds(node: Any, robot: Any) -> None:
    """The last test of this module, because it ends the node."""
    robot.wait(lambda: robot.received["detections"], "an output")  # the next image is in work now
    code, seconds = stop(node)
    assert code == 0, node.text()
    assert seconds < 2
    assert "Traceback" not in node.text()
