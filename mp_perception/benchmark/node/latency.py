"""The perception node over DDS: latency by stage, age of its outputs, lost images, processor time and memory.

The node is a real process.  It is measured alone, and while another process occupies a core; and beside it a node that
only takes and publishes messages of the same sizes (bare_node).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil

from mp_perception.benchmark.node.robot import Robot
from mp_perception.benchmark.tables import Table
from mp_perception.errors import UserError
from mp_perception.ros.diagnostics import STAGES
from mp_perception.ros.node_process import NodeProcess, session_environment

_NAMESPACE = "/mp_perception_benchmark"
_BARE = "bare node"
_AGE = "age of the detections on arrival, ms, median"
#: Seconds of images before anything counts.
_WARM_UP = 2.0
#: Seconds between two diagnostics of the node.
_DIAGNOSTICS_PERIOD = 0.5


def measure_node(weights: Path, precision: str, rate: float, seconds: float, log_folder: Path) -> Table:
    """Latency by stage, and what is visible from outside the node.

    precision: the node's parameter.  rate: of the camera, Hz.  seconds: of each phase.

    Raises:
        UserError: the node fails.
    """
    os.environ.update(session_environment())
    parameters = {"weights": weights, "precision": precision, "diagnostics_period": _DIAGNOSTICS_PERIOD}
    with (
        Robot(_NAMESPACE) as robot,
        NodeProcess("perception_node", log_folder, remappings={"__ns": _NAMESPACE}, parameters=parameters) as node,
        Robot(f"{_NAMESPACE}/bare") as bare_robot,
        NodeProcess("bare_node", log_folder, remappings={"__ns": f"{_NAMESPACE}/bare"}, package=__package__) as bare,
    ):
        try:
            robot.wait_until_active()
            bare_robot.wait_until_connected()
            process = psutil.Process(node.process.pid)
            robot.stream("node: warm up", rate, _WARM_UP)
            phases = {"alone": _measure_phase("alone", robot, process, rate, seconds)}
            phases[_BARE] = _measure_outside(_BARE, bare_robot, psutil.Process(bare.process.pid), rate, seconds)
            with _busy_process():
                phases["beside a busy process"] = _measure_phase("busy", robot, process, rate, seconds)
        except (UserError, psutil.NoSuchProcess) as error:
            raise UserError(f"{error}; perception_node: {node.last_line()}") from error
    alone = phases["alone"]
    alone["age above inference and bare node, ms, medians"] = (
        alone[_AGE] - alone["inference, ms, median"] - phases[_BARE][_AGE]
    )
    values = robot.values
    return Table(
        f"Node over DDS, {rate:g} Hz: {values['runtime']} {values['precision']}, threads: {values['threads']}, "
        f"{values['input size']}",
        [{"figure": figure, **{name: figures.get(figure, "") for name, figures in phases.items()}} for figure in alone],
        f"{seconds:g} s each; stages are of the last 100 images processed.",
    )


def _measure_outside(name: str, robot: Robot, process: psutil.Process, rate: float, seconds: float) -> dict[str, float]:
    """What is visible of any node: the age of its detections, processor time and memory."""
    memory, start = _resident_mib(process), process.cpu_times()
    published = robot.stream(f"node: {name}", rate, seconds)
    end = process.cpu_times()
    if not robot.ages_ms:
        raise UserError(f"benchmark: {name}: the node published no detections")
    age, age_p99 = np.percentile(robot.ages_ms, (50, 99)).tolist()
    return {
        _AGE: age,
        "age of the detections on arrival, ms, p99": age_p99,
        "images published": published,
        "processor, cores": (end.user + end.system - start.user - start.system) / seconds,
        "resident memory at start, MiB": memory,
        "resident memory at end, MiB": _resident_mib(process),
    }


def _measure_phase(name: str, robot: Robot, process: psutil.Process, rate: float, seconds: float) -> dict[str, float]:
    before = robot.current_values()
    outside = _measure_outside(name, robot, process, rate, seconds)
    after, published = robot.current_values(), outside["images published"]
    received, processed = (int(after[name]) - int(before[name]) for name in ("images received", "images processed"))
    stages = {(stage, kind): float(after[f"{stage} {kind} (ms)"]) for stage in STAGES for kind in ("median", "p99")}
    inference = stages["inference", "median"]
    return {
        **{f"{stage}, ms, {kind}": value for (stage, kind), value in stages.items()},
        "total / inference, medians": stages["total", "median"] / inference,
        **outside,
        "age p99 / inference median": outside["age of the detections on arrival, ms, p99"] / inference,
        "delivered to the node, fraction": received / published,
        "processed, fraction": processed / published,
    }


def _resident_mib(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 2**20


@contextlib.contextmanager
def _busy_process() -> Iterator[None]:
    """Another program that takes all it can get of one core."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()
