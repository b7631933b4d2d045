"""A network that fails, and memory that runs out."""

from __future__ import annotations

from collections import Counter

import cv2
import numpy as np
import psutil
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image

from reliability.day.failing_runtime import install
from reliability.day.stage import (
    START_LIMIT,
    Stage,
    check_accounts,
    in_words,
    outputs_go_on,
    stop_camera,
    unaccounted,
)
from reliability.fuzzing.seeds import SEEDS
from reliability.robot import NodeProcess

_COMPRESSED = "image/compressed"


def runtime_fails(stage: Stage) -> str:
    """The runtime fails on single images (MemoryError, RuntimeError), at last on every one until it is loaded again."""
    weights = stage.folder / "failing.onnx"
    weights.write_bytes(SEEDS["onnx_model"]()[0])
    environment = install(stage.folder)
    node, robot = stage.active_node("/failing", "runtime:=failing", weights=weights, environment=environment)
    camera = stage.camera("/failing", "--size", "320", "240", "--rate", "10")
    robot.diagnostics(lambda values: "the network failed on " in values["message"])
    outputs_go_on(robot)
    assert "; stopping" not in node.text()
    for times in (1, 2):  # and so not only once in a life
        robot.wait(lambda times=times: node.text().count("active: looking at") > times, "second configuration", 60)
        outputs_go_on(robot)
    stop_camera(camera)
    counts = check_accounts(robot)
    assert counts["errors"] >= 2 * 6, counts  # three on single images and three in a row, each time
    lines = node.text().count("the network failed on an image")
    assert lines < counts["errors"], (lines, counts)
    assert "Traceback" not in node.text(), node.text()
    return (
        f"{counts['errors']} failures, {lines} lines of the log; given up after three in a row and loaded again"
        f" {node.text().count('configuring once more')} times; {in_words(counts)}"
    )


def memory_runs_out(stage: Stage) -> str:
    """A node that may take 60, 150, 250 and 450 MB more gets JPEG images of 8K, and a small one after each."""
    node, robot = stage.active_node("/memory", "image_transport:=compressed", "max_age:=0.0")
    for topic in ("depth/image", "overlay"):  # at the input's size: 133 and 100 MB
        robot.subscribe(Image, topic, QoSProfile(depth=1))
    small, large = _jpeg(320, 240), _jpeg(7680, 4320)
    robot.answer(small, image_topic=_COMPRESSED)
    for megabytes in (60, 150, 250, 450):
        _limit_memory(node, megabytes)
        for _ in range(2):
            robot.send_image(large, _COMPRESSED)
            robot.spin(0.2)
            robot.diagnostics(lambda values: unaccounted(values) == 0)
            robot.answer(small, image_topic=_COMPRESSED)
    counts = check_accounts(robot)
    reasons = [line.partition("failed on an image: ")[2] for line in node.text().splitlines()]
    assert "MemoryError" in reasons, node.text()
    assert counts["malformed"] > 0, counts  # OpenCV decodes nothing, and does not say why
    assert node.text().count("active: looking at") == 1, node.text()
    return f"an output for every small image; failures: {', '.join(sorted(set(reasons) - {''}))}; {in_words(counts)}"


def memory_runs_out_in_the_middleware(stage: Stage) -> str:
    """A node that may take 20, 60 and 100 MB more gets raw images of 4K; one that ends is started again."""
    ends: Counter[str] = Counter()
    for megabytes in (20, 60, 100):
        namespace = f"/limit{megabytes}"
        node, robot = stage.active_node(namespace)
        small = stage.camera(namespace, "--size", "320", "240", "--rate", "5")
        outputs_go_on(robot)
        _limit_memory(node, megabytes)
        large = stage.camera(namespace, "--size", "3840", "2160", "--rate", "2")
        robot.spin(10)
        stop_camera(large)
        robot.received["detections"].clear()
        code = robot.wait(
            lambda node=node, robot=robot: node.process.poll() or robot.received["detections"], "output", 30
        )
        if isinstance(code, int):
            ends[f"ended by signal {-code}" if code < 0 else f"exit code {code}"] += 1
            again = stage.node(namespace)
            robot.wait(lambda node=again: "active: looking at" in node.text(), "active node", START_LIMIT)
            outputs_go_on(robot)
        else:
            ends["went on"] += 1
        stop_camera(small)
    words = ", ".join(f"{end} ({times})" for end, times in sorted(ends.items()))
    return f"{words}; a node that was started again gave outputs"


def _limit_memory(node: NodeProcess, megabytes: int) -> None:
    """Let a node take so much more than it has now: heap and private maps, not shared memory."""
    (process,) = node.children()
    process.rlimit(psutil.RLIMIT_DATA, (process.memory_info().data + megabytes * 10**6, psutil.RLIM_INFINITY))


def _jpeg(width: int, height: int) -> CompressedImage:
    _, encoded = cv2.imencode(".jpg", np.full((height, width, 3), 90, dtype=np.uint8))
    message = CompressedImage(format="jpeg")
    message.data.frombytes(encoded.tobytes())
    return message
