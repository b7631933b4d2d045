"""Resources of the node with the default weights: memory after many images, processor time without images."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from typing import Any

import psutil
import pytest
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

pytestmark = [pytest.mark.dds, pytest.mark.slow, pytest.mark.timeout(300)]

NUM_IMAGES = 300
#: Above an idle process with the same imports, bytes.
MEMORY_LIMIT = 350e6
#: Growth of buffers and caches that is allowed after the first third of the images, bytes.
GROWTH_LIMIT = 10e6

_IDLE = """
import sys, rclpy, openvino
import mp_perception.ros.perception_node
rclpy.init()
rclpy.create_node("idle")
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def node_and_robot(start_node: Any) -> Any:
    process, robot = start_node("/resources", reliable=["image"], runtime="openvino", max_age=10.0)
    robot.subscribe(Image, "depth/image", QoSProfile(depth=1))
    return process, robot


@pytest.fixture
def idle_memory(dds_environment: dict[str, str]) -> Any:
    """Resident memory of an idle node with the same imports, bytes."""
    with subprocess.Popen(
        [sys.executable, "-c", _IDLE], env=dds_environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        memory = psutil.Process(process.pid).memory_info().rss
        process.communicate("")
    assert memory > 50e6
    return memory


def test_memory_stays_small_and_flat(node: Any, robot: Any, idle_memory: int) -> None:
    process = psutil.Process(node.process.pid)
    image = robot.image(1242, 375)
    robot.answer(image)
    memory = []
    for _ in range(NUM_IMAGES):
        robot.answer(image)
        robot.received["detections"].clear()
        robot.received["depth/image"].clear()
        memory.append(process.memory_info().rss)
    assert re.search(r"weights mobilenet_v2(_int8)?\.onnx", node.text())
    third = NUM_IMAGES // 3
    print(f"idle {idle_memory / 1e6:.0f} MB, node {memory[third] / 1e6:.0f} to {memory[-1] / 1e6:.0f} MB")
    assert memory[-1] - idle_memory < MEMORY_LIMIT
    assert memory[-1] - memory[third] < GROWTH_LIMIT


def test_a_node_without_images_needs_little_processor_time(node: Any, robot: Any) -> None:
    process = psutil.Process(node.process.pid)
    robot.spin(1.0)
    before, start = process.cpu_times(), time.monotonic()
    robot.spin(3.0)
    after, seconds = process.cpu_times(), time.monotonic() - start
    # Only diagnostics are published; a thread that spins would take a whole core.
    assert (after.user + after.system - before.user - before.system) / seconds < 0.1
