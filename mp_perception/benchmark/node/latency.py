"""The perception node over DDS: latency by stage, age of its outputs, lost images, processor time and memory.

The node is a real process.  It is measured alone, and while another process occupies a core.
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
from mp_perception.benchmark.tables import Cell, Table
from mp_perception.errors import UserError
from mp_perception.ros.diagnostics import STAGES
from mp_perception.ros.node_process import NodeProcess, session_environment

_NAMESPACE = "/mp_perception_benchmark"
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
    ):
        try:
            robot.wait_until_active()
            process = psutil.Process(node.process.pid)
            robot.stream("node: warm up", rate, _WARM_UP)
            phases = {"alone": _measure_phase("alone", robot, process, rate, seconds)}
            with _busy_process():
                phases["beside a busy process"] = _measure_phase("busy", robot, process, rate, seconds)
        except (UserError, psutil.NoSuchProcess) as error:
            raise UserError(f"{error}; perception_node: {node.last_line()}") from error
    values = robot.values
    return Table(
        f"Node over DDS, {rate:g} Hz: {values['runtime']} {values['precision']}, threads: {values['threads']}, "
        f"{values['input size']}",
        [
            {"figure": figure, **{name: figures[figure] for name, figures in phases.items()}}
            for figure in next(iter(phases.values()))
        ],
        f"{seconds:g} s each; stages are of the last 100 images processed.",
    )


def _measure_phase(name: str, robot: Robot, process: psutil.Process, rate: float, seconds: float) -> dict[str, Cell]:
    before, memory, start = robot.current_values(), _resident_mib(process), process.cpu_times()
    published = robot.stream(f"node: {name}", rate, seconds)
    end, after = process.cpu_times(), robot.current_values()
    if not robot.ages_ms:
        raise UserError("benchmark: the node published no detections")
    received, processed = (int(after[name]) - int(before[name]) for name in ("images received", "images processed"))
    stages = {(stage, kind): float(after[f"{stage} {kind} (ms)"]) for stage in STAGES for kind in ("median", "p99")}
    inference = stages["inference", "median"]
    age, age_p99 = np.percentile(robot.ages_ms, (50, 99)).tolist()
    return {
        **{f"{stage}, ms, {kind}": value for (stage, kind), value in stages.items()},
        "total / inference, medians": stages["total", "median"] / inference,
        "age of the detections on arrival, ms, median": age,
        "age of the detections on arrival, ms, p99": age_p99,
        "age p99 / inference median": age_p99 / inference,
        "images published": published,
        "delivered to the node, fraction": received / published,
        "processed, fraction": processed / published,
        "processor, cores": (end.user + end.system - start.user - start.system) / seconds,
        "resident memory at start, MiB": memory,
        "resident memory at end, MiB": _resident_mib(process),
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
