"""Faults that a node must survive: each function causes one and returns what happened; its docstring says what.

A function raises AssertionError if the node does not behave as documented.  Faults of single messages, of QoS and of
simulated time are in test/dds, and a network that fails for good in test/ros/test_recovery.py.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import psutil
from lifecycle_msgs.msg import Transition
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image

from mp_perception.files import write_atomically
from reliability.soak.load import resources_of
from reliability.soak.stage import (
    NotPossibleHereError,
    Stage,
    check_counts,
    frame_counts,
    outputs_go_on,
    stop_camera,
    unaccounted,
    without_zeros,
)

_SIZE = ("--size", "640", "480")


def camera_stops(stage: Stage) -> str:
    """The camera is suspended for five seconds, then killed and restarted with another size, encoding and frame"""
    _, robot = stage.active_node("/stops")
    camera = stage.camera("/stops", *_SIZE)
    outputs_go_on(robot)
    camera.send_signal(signal.SIGSTOP)
    robot.spin(5)
    message = robot.diagnostics(lambda values: "no image for" in values["message"])["message"]
    camera.send_signal(signal.SIGCONT)
    waits = [outputs_go_on(robot)]
    for frame, size, encoding in (("left", ("320", "240"), "mono8"), ("right", ("1280", "720"), "bgra8")):
        camera.kill()
        camera.wait()
        camera = stage.camera("/stops", "--size", *size, "--encoding", encoding, "--frame", frame)
        waits.append(outputs_go_on(robot, lambda message, frame=frame: message.header.frame_id == frame))
    stop_camera(camera)
    counts = check_counts(robot)
    assert counts["malformed"] == counts["errors"] == 0, counts
    seconds = ", ".join(f"{wait:.1f}" for wait in waits)
    return f'"{message.split(":")[0]}"; outputs again after {seconds} s; {without_zeros(counts)}'


def suspended_subscriber(stage: Stage) -> str:
    """A subscriber of detections and depth is suspended for ten seconds while images come at 30 Hz"""
    node, robot = stage.active_node("/unread")
    process = psutil.Process(node.process.pid)
    topics, quiet = ("/unread/detections", "/unread/depth/image"), ("--ros-args", "--log-level", "warn")
    reader = stage.start("mp_perception.ros.record_node", str(stage.folder / "bag"), "--topics", *topics, *quiet)
    camera = stage.camera("/unread", *_SIZE)
    outputs_go_on(robot)
    robot.wait(lambda: int(robot.diagnostics().get("images published depth/image", 0)) > 0, "depth images", 30)
    before = resources_of(process)
    reader.send_signal(signal.SIGSTOP)
    processed = frame_counts(robot.diagnostics())["processed"]
    robot.spin(10)
    went_on = frame_counts(robot.diagnostics())["processed"] - processed
    after = resources_of(process)
    reader.send_signal(signal.SIGCONT)
    stop_camera(camera)
    assert went_on > 5, went_on
    assert after["MB"] < before["MB"] + 100, (before, after)
    check_counts(robot)
    return f"{went_on} images processed meanwhile; {without_zeros(before)} before, {without_zeros(after)} after"


def weights_replaced(stage: Stage) -> str:
    """The weights file is deleted, and replaced by garbage, while the node runs"""
    weights = stage.folder / f"weights{stage.weights.suffix}"
    shutil.copy(stage.weights, weights)
    node, robot = stage.active_node("/weights", weights=weights)
    camera = stage.camera("/weights", *_SIZE, "--rate", "5")
    outputs_go_on(robot)
    weights.unlink()
    outputs_go_on(robot)
    weights.write_bytes(b"garbage" * 1000)
    outputs_go_on(robot)
    for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP):
        assert robot.change_state(transition)
    assert not robot.change_state(Transition.TRANSITION_CONFIGURE)
    assert robot.state() == "unconfigured"
    reason = next(line for line in node.text().splitlines() if "cannot configure: " in line)
    stop_camera(camera)
    check_counts(robot)
    found = reason.partition("cannot configure: ")[2].replace(f"{stage.folder}/", "")
    return f'outputs went on; a new configuration is refused: "{found[:90]}"'


def log_folder_not_writable(stage: Stage) -> str:
    """The folder of ROS's log files cannot be created"""
    node, robot = stage.active_node("/silent", environment={"ROS_LOG_DIR": "/dev/null/logs"})
    camera = stage.camera("/silent", *_SIZE)
    outputs_go_on(robot)
    stop_camera(camera)
    check_counts(robot)
    line = next(line for line in node.text().splitlines() if "log" in line)
    return f'runs; "{line[:100]}"'


def _settable_clock(offset: Path) -> dict[str, str]:
    """Variables for processes whose system clock has the offset in this file, seconds; their steady clock is real.

    Raises NotPossibleHereError if libfaketime is not installed.
    """
    folders = ("lib/*", "lib*", "local/lib*")
    libraries = [path for folder in folders for path in Path("/usr").glob(f"{folder}/faketime/libfaketimeMT.so.1")]
    if not libraries:
        raise NotPossibleHereError("libfaketime is not installed")
    return {
        "LD_PRELOAD": str(libraries[0]),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }


def clock_set(stage: Stage) -> str:
    """The system clock is set back and forward, by 0.5 s to an hour"""
    offset = stage.folder / "offset"
    write_atomically(offset, b"+0\n")
    _, robot = stage.active_node("/clock", environment=_settable_clock(offset))
    camera = stage.camera("/clock", *_SIZE, "--clock", str(offset))
    outputs_go_on(robot)
    waits = []
    for seconds in (-3600, 3600, -0.5, 30, -3600, 0):
        write_atomically(offset, f"{seconds:+g}\n".encode())
        waits.append(
            outputs_go_on(robot, lambda m, seconds=seconds: abs(m.header.stamp.sec - time.time() - seconds) < 10)
        )
        # On a busy machine, which drops images older than half a second.
        robot.diagnostics(lambda values: values["age at publishing (s)"][:2] in ("0.", "1."))
    stop_camera(camera)
    counts = check_counts(robot)
    assert counts["errors"] == 0, counts
    return f"outputs of the new time after at most {max(waits):.1f} s; {without_zeros(counts)}"


def memory_runs_out(stage: Stage) -> str:
    """A node that may allocate 60, 150, 250 and 450 MB more gets JPEG images of 8K, and a small one after each"""
    node, robot = stage.active_node("/memory", image_transport="compressed", max_age=0.0)
    process = psutil.Process(node.process.pid)
    topic = "image/compressed"
    for output in ("depth/image", "overlay"):  # at the input's size: 133 and 100 MB
        robot.subscribe(Image, output, QoSProfile(depth=1))
    small, large = _jpeg(320, 240), _jpeg(7680, 4320)
    robot.answer(small, image_topic=topic)
    for megabytes in (60, 150, 250, 450):
        limit = process.memory_info().data + megabytes * 10**6  # heap and private maps, not shared memory
        process.rlimit(psutil.RLIMIT_DATA, (limit, psutil.RLIM_INFINITY))
        for _ in range(2):
            robot.send_image(large, topic)
            robot.spin(0.2)
            robot.diagnostics(lambda values: unaccounted(values) == 0)
            robot.answer(small, image_topic=topic)
    counts = check_counts(robot)
    reasons = {line.partition("failed on an image: ")[2] for line in node.text().splitlines()} - {""}
    assert "MemoryError" in reasons, node.text()
    assert counts["malformed"] > 0, counts  # OpenCV does not decode the image, and does not say why
    assert node.text().count("active: looking at") == 1, node.text()
    return f"an output for every small image; failures: {', '.join(sorted(reasons))}; {without_zeros(counts)}"


def _jpeg(width: int, height: int) -> CompressedImage:
    _, encoded = cv2.imencode(".jpg", np.full((height, width, 3), 90, dtype=np.uint8))
    message = CompressedImage(format="jpeg")
    message.data.frombytes(encoded.tobytes())
    return message


def shared_memory_small(stage: Stage) -> str:
    """/dev/shm of 64 MB, the default of Docker, in a mount namespace of its own"""
    unshare = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    mount = "mount -t tmpfs -o size=64m tmpfs /dev/shm"
    if shutil.which("unshare") is None or subprocess.run([*unshare, mount], check=False).returncode != 0:
        raise NotPossibleHereError("no right to mount here")
    soak = f"{sys.executable} -m reliability.soak --seconds 5 --only '1 camera, 320x240, 10 Hz'"
    command = f"{mount} && exec {soak} --weights {stage.weights}"
    done = subprocess.run([*unshare, command], capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    return done.stdout.splitlines()[-1].split("|")[2].strip()


#: What the soak test tries after the loads and before the signals.
SCENARIOS: tuple[Callable[[Stage], str], ...] = (
    camera_stops,
    suspended_subscriber,
    weights_replaced,
    log_folder_not_writable,
    clock_set,
    memory_runs_out,
    shared_memory_small,
)
