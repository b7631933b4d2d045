"""A node that was killed at the one moment after which Fast DDS takes it for alive."""

from __future__ import annotations

import fcntl
import mmap
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from vision_msgs.msg import Detection2DArray

pytestmark = [pytest.mark.dds, pytest.mark.slow, pytest.mark.timeout(200)]

_SHARED_MEMORY = Path("/dev/shm")
#: Of a port in Fast DDS 3.2 (SharedMemGlobal.hpp): 1024 listeners of 20 bytes, then the name of its domain.
_LISTENERS, _LISTENER_SIZE, _DOMAIN = 1024, 20, b"fastdds\0"
_IN_USE, _WAITING = 1, 2


def leave_between_two_messages() -> int:
    """Let the receivers of dead processes look as if killed neither waiting nor at work; the number of their ports.

    Between the two lie microseconds, so that killing at random meets them once in some hundred times.
    """
    changed = 0
    opened = set(re.findall(rf"{_SHARED_MEMORY}/(fastdds_port\d+)$", Path("/proc/self/maps").read_text(), re.MULTILINE))
    for name in opened:
        with (_SHARED_MEMORY / f"{name}_el").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
        with (_SHARED_MEMORY / name).open("r+b") as file, mmap.mmap(file.fileno(), 0) as port:
            listener = port.rfind(_DOMAIN) - _LISTENERS * _LISTENER_SIZE
            if listener > 0 and port[listener] == _IN_USE | _WAITING:
                port[listener] = _IN_USE
                changed += 1
    return changed


def test_its_successor_receives_images(start_node: Any) -> None:
    first, robot = start_node("/killed", "-p", "max_age:=10.0")
    robot.subscribe(Detection2DArray, "detections")
    robot.wait(lambda: "active: looking at" in first.text(), "active node", 60)
    robot.answer(robot.image())
    for process in first.children():
        process.send_signal(signal.SIGKILL)
    first.process.wait(10)
    if not leave_between_two_messages():
        pytest.skip("Fast DDS here lays its ports out in another way, or does not use shared memory")
    second, _ = start_node("/killed", "-p", "max_age:=10.0")
    robot.wait(lambda: "active: looking at" in second.text(), "active node", 60)
    robot.received["detections"].clear()
    for _ in range(20):
        robot.send_image(robot.image())
        robot.spin(0.5)
        if robot.received["detections"]:
            break
    assert robot.received["detections"], "no output of the node that was started after the killed one"
