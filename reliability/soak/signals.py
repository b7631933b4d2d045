"""A node that is ended by signals at random moments, and must work again after each restart."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from random import Random

from mp_perception.ros.node_process import NodeProcess
from reliability.robot import Robot
from reliability.soak.stage import Stage, without_zeros

_MOMENTS = ("start", "inference", "shutdown")
#: A node ends within two seconds of a signal (docs/ros_interface.md); a busy machine may take so much longer.
_END_LIMIT = 12.0


def signal_rounds(stage: Stage, rounds: int) -> str:
    """Rounds of a signal at a random moment, a restart, an output; raises AssertionError for the first that fails."""
    random = Random(1)
    stage.camera("/rounds", "--size", "320", "240", "--rate", "10")
    robot = stage.robot("/rounds")
    start = time.monotonic()
    node = _working_node(stage, robot)
    start_seconds = time.monotonic() - start
    done: Counter[str] = Counter()
    slowest_end = 0.0
    for _ in range(rounds):
        moment, number = random.choice(_MOMENTS), random.choice((signal.SIGTERM, signal.SIGINT, signal.SIGKILL))
        if moment == "start":
            node.process.terminate()
            _wait_for_end(node)
            node = stage.node("/rounds")
            time.sleep(random.uniform(0, start_seconds))
        elif moment == "shutdown":
            node.process.terminate()
            time.sleep(random.uniform(0, 1))
        else:
            time.sleep(random.uniform(0, 0.3))
        sent = time.monotonic()
        node.process.send_signal(number)
        code = _wait_for_end(node)
        if moment != "start" and number != signal.SIGKILL:
            assert code == 0, f"exit code {code} after {number.name} in {moment} ({node.log}): {node.text()[-500:]}"
        slowest_end = max(slowest_end, time.monotonic() - sent)
        done[f"{number.name} in {moment}"] += 1
        node = _working_node(stage, robot)
    node.process.terminate()
    _wait_for_end(node)
    return f"{without_zeros(done)}: every restart gave outputs; slowest end {slowest_end:.1f} s after the signal"


def _working_node(stage: Stage, robot: Robot) -> NodeProcess:
    node = stage.node("/rounds")
    robot.wait_for_log(node)
    robot.received["detections"].clear()
    robot.wait(lambda: robot.received["detections"], f"output after a restart ({node.log})", 30)
    return node


def _wait_for_end(node: NodeProcess) -> int:
    """The node's exit code."""
    try:
        code = node.process.wait(_END_LIMIT)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"a node still runs {_END_LIMIT:g} s after a signal ({node.log})") from None
    assert "Traceback" not in node.text() or "KeyboardInterrupt" in node.text(), node.text()
    return code
