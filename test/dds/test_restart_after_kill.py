"""A node that is started after another was killed: it prints no errors, and on request avoids the port of the other."""

from __future__ import annotations

import fcntl
import mmap
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.dds, pytest.mark.slow, pytest.mark.timeout(200)]

_SHARED_MEMORY = Path("/dev/shm")
#: Of a port in Fast DDS 3.2 (SharedMemGlobal.hpp): 1024 listeners of 20 bytes, then the name of its domain.
_LISTENERS, _LISTENER_SIZE, _DOMAIN = 1024, 20, b"fastdds\0"
_IN_USE, _WAITING = 1, 2


def leave_between_two_messages() -> int:
    """Make the receivers of killed processes look as if killed between two messages; the number of their ports.

    That state lasts microseconds: a kill at a random moment meets it once in some hundred times.
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


@pytest.fixture
def stale_segment() -> Iterator[Path]:
    """A segment without an owner, as a killed process may leave it."""
    path = _SHARED_MEMORY / f"fastdds_{secrets.token_hex(8)}"
    lock = path.with_name(f"{path.name}_el")
    path.touch()
    lock.touch()
    yield path
    path.unlink(missing_ok=True)
    lock.unlink(missing_ok=True)


def kill(process: Any) -> None:
    process.process.kill()
    process.process.wait(10)


def answers_again(robot: Any) -> bool:
    """Whether a node that was started again answers within ten seconds; the first images may be lost."""
    robot.received["detections"].clear()
    for _ in range(20):
        robot.send_image(robot.image())
        robot.spin(0.5)
        if robot.received["detections"]:
            return True
    return False


def test_a_restarted_node_receives_images_prints_no_errors_and_removes_nothing(
    start_node: Any, stale_segment: Path
) -> None:
    first, robot = start_node("/restarted", max_age=10.0)
    robot.answer(robot.image())
    kill(first)
    second, _ = start_node("/restarted", max_age=10.0)
    assert answers_again(robot)
    assert "RTPS" not in second.text(), second.text()
    assert "rror" not in second.text(), second.text()
    assert stale_segment.exists()


def test_on_request_stale_ports_are_avoided_and_stale_segments_removed(start_node: Any, stale_segment: Path) -> None:
    first, robot = start_node("/killed", max_age=10.0)
    robot.answer(robot.image())
    kill(first)
    if not leave_between_two_messages():
        pytest.skip("this Fast DDS has another port layout, or does not use shared memory")
    start_node("/killed", "--clean-shared-memory", max_age=10.0)
    assert not stale_segment.exists()
    assert answers_again(robot), "no output of the node that was started after the killed one"
