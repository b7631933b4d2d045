"""The whole node over DDS, in real processes: camera, node, listener; alone, and beside a busy process."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import psutil

from mp_perception.benchmark.charts import Bars, SectionResult
from mp_perception.benchmark.conditions import Conditions
from mp_perception.benchmark.measurement import spread
from mp_perception.benchmark.node.camera import Camera, camera_process
from mp_perception.benchmark.node.observer import Observer, observe
from mp_perception.benchmark.tables import Cell, Table
from mp_perception.errors import UserError
from mp_perception.progress import track
from mp_perception.ros.diagnostics import STAGES
from mp_perception.ros.node_process import NodeProcess, session_environment

_NAMESPACE = "/mp_perception_benchmark"
#: Seconds of images before anything counts.
_WARM_UP = 2.0
#: What a node holds before it has a network: the same imports, in an idle rclpy process.
_IDLE = """
import psutil, rclpy, {module}, mp_perception.ros.perception_node
rclpy.init(args=[])
node = rclpy.create_node("idle", namespace="{namespace}")
print(psutil.Process().memory_info().rss)
"""


@dataclass(frozen=True)
class Phase:
    """One stretch of images.

    published, received, processed: numbers of images.  ages_ms: of the outputs when they came here.
    processor_share: processor time of the node over time.  memory_mib: of the node, at the start and at the end.
    values: the node's diagnostics at the end.
    """

    name: str
    published: int
    received: int
    processed: int
    ages_ms: list[float]
    processor_share: float
    memory_mib: tuple[float, float]
    values: Mapping[str, str]

    def stage(self, name: str, kind: str) -> float:
        """Milliseconds of a stage or of the "total"; kind: "median" or "p99"."""
        return float(self.values[f"{name} {kind} (ms)"])


def measure_node(conditions: Conditions) -> SectionResult:
    """Latency, age, delivery, processor share and memory.  Raises UserError if a process fails."""
    os.environ.update(session_environment())
    logs = conditions.folder / "logs"
    logs.mkdir(exist_ok=True)
    parameters = {
        "weights": conditions.exported,
        "precision": conditions.node_precision,
        "diagnostics_period": 0.5,
    }
    with (
        camera_process(_NAMESPACE) as camera,
        observe(_NAMESPACE) as observer,
        NodeProcess("perception_node", logs, remappings={"__ns": _NAMESPACE}, parameters=parameters) as node,
    ):
        try:
            observer.wait_until_active()
            process = psutil.Process(node.process.pid)
            _stream("node: warm up", camera, observer, conditions.rate, _WARM_UP)
            idle = _phase("alone", camera, observer, process, conditions)
            with _busy_process():
                busy = _phase("beside a busy process", camera, observer, process, conditions)
        except (UserError, psutil.NoSuchProcess) as error:
            raise UserError(f"{error}; perception_node: {node.last_line()}") from error
    return _result(conditions, [idle, busy])


def _phase(name: str, camera: Camera, observer: Observer, process: psutil.Process, conditions: Conditions) -> Phase:
    before, memory = observer.newest_values(), _resident_mib(process)
    observer.forget()
    start = process.cpu_times()
    published = _stream(f"node: {name}", camera, observer, conditions.rate, conditions.seconds)
    end = process.cpu_times()
    observer.spin(0.5)
    after = observer.newest_values()

    def grown(count: str) -> int:
        return int(after[f"images {count}"]) - int(before[f"images {count}"])

    return Phase(
        name=name,
        published=published,
        received=grown("received"),
        processed=grown("processed"),
        ages_ms=[1e3 * age for age in observer.ages],
        processor_share=(end.user + end.system - start.user - start.system) / conditions.seconds,
        memory_mib=(memory, _resident_mib(process)),
        values=after,
    )


def _stream(title: str, camera: Camera, observer: Observer, rate: float, seconds: float) -> int:
    """Images for so long; their number."""
    camera.stream(rate, seconds)
    published = None
    for _ in track(range(2 * round(seconds)), title):
        observer.spin(0.5)
    while published is None:
        observer.spin(0.1)
        published = camera.published(0.0)
    return published


def _result(conditions: Conditions, phases: list[Phase]) -> SectionResult:
    values = phases[0].values
    what = f"{values['runtime']} {values['precision']}, threads: {values['threads']}, {values['input size']}"
    stages: list[dict[str, Cell]] = [
        {
            "stage, ms": stage,
            **{f"{kind}, {phase.name}": phase.stage(stage, kind) for phase in phases for kind in ("median", "p99")},
        }
        for stage in STAGES
    ]
    idle_memory = _idle_memory_mib(values["runtime"])
    figures = [_figures(phase, phases[0], idle_memory) for phase in phases]
    rows: list[dict[str, Cell]] = [
        {"figure": name, **{phase.name: column[name] for phase, column in zip(phases, figures, strict=True)}}
        for name in figures[0]
    ]
    chart = Bars(
        f"Node at {conditions.rate:g} Hz",
        "latency by stage, ms (medians)",
        [phase.name for phase in phases],
        {stage: [phase.stage(stage, "median") for phase in phases] for stage in STAGES if stage != "total"},
    )
    title = f"Node over DDS, {conditions.rate:g} Hz"
    note = f"{conditions.seconds:g} s each; stages are of the last 100 images processed."
    return SectionResult([Table(f"{title}: {what}", stages, note), Table(f"{title}: figures", rows)], [chart])


def _figures(phase: Phase, alone: Phase, idle_memory: float) -> dict[str, Cell]:
    if not phase.ages_ms:
        raise UserError(f"benchmark: no output of the node {phase.name}")
    age, age_alone = spread(np.array(phase.ages_ms)), spread(np.array(alone.ages_ms))
    inference, total = phase.stage("inference", "median"), phase.stage("total", "median")
    return {
        "images published": phase.published,
        "delivered to the node, share": phase.received / phase.published,
        "processed, share": phase.processed / phase.published,
        "whole frame / inference, medians": total / inference,
        "whole frame, p99 / median": phase.stage("total", "p99") / total,
        "age of output at the listener, ms, median": age.median,
        "age of output at the listener, ms, p99": age.p99,
        "age p99 / inference median": age.p99 / inference,
        "age median / alone": age.median / age_alone.median,
        "processor, cores": phase.processor_share,
        "resident memory at start, MiB": phase.memory_mib[0],
        "resident memory at end, MiB": phase.memory_mib[1],
        "above an idle process with the same imports, MiB": phase.memory_mib[1] - idle_memory,
    }


def _idle_memory_mib(runtime: str) -> float:
    code = _IDLE.format(module=runtime, namespace=_NAMESPACE)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UserError(f"benchmark: an idle rclpy process failed: {done.stderr.strip().splitlines()[-1:]}")
    return float(done.stdout.split()[-1]) / 2**20


def _resident_mib(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 2**20


@contextlib.contextmanager
def _busy_process() -> Iterator[None]:
    """Another program that takes all it can get of one core."""
    process = multiprocessing.get_context("spawn").Process(target=_be_busy, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _be_busy() -> None:
    while True:
        pass
