"""The node under load: images of several sizes at several rates, and the resources of its process before and after."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from reliability.robot import Robot
from reliability.soak.stage import Stage, check_counts, outputs_go_on, stop_camera, without_zeros

#: Growth that is not a leak: buffers that reach their size, discovery of one more participant.
_MEGABYTES, _FILES, _THREADS = 60, 4, 2
#: Seconds in which buffers reach their size.
_MAX_WARM_UP = 60.0


@dataclass(frozen=True)
class Load:
    """Cameras that publish at the same time, each to a node of its own.  rate: of each camera, Hz."""

    rate: int
    width: int
    height: int
    cameras: int = 1

    def __str__(self) -> str:
        cameras = f"{self.cameras} cameras" if self.cameras > 1 else "1 camera"
        return f"{cameras}, {self.width}x{self.height}, {self.rate} Hz"


#: Small images at every rate, and larger ones as far as a Python camera can send them.
LOADS = (
    *(Load(rate, 320, 240) for rate in (1, 10, 30, 60, 120)),
    Load(30, 640, 480),
    Load(30, 1280, 720),
    Load(10, 1920, 1080),
    Load(5, 3840, 2160),
    Load(10, 640, 480, cameras=2),
    Load(10, 640, 480, cameras=4),
)


@dataclass(frozen=True)
class Resources:
    """What a process holds.  megabytes: without shared memory.  segments: Fast DDS's shared memory that is mapped."""

    megabytes: float
    threads: int
    files: int
    segments: int

    @classmethod
    def of(cls, process: psutil.Process) -> Resources:
        """The resources of a running process."""
        memory = process.memory_info()
        segments = set(re.findall(r"/dev/shm/(fastdds_\S+)", Path(f"/proc/{process.pid}/maps").read_text()))
        return cls((memory.rss - memory.shared) / 1e6, process.num_threads(), process.num_fds(), len(segments))

    def __str__(self) -> str:
        return f"{self.megabytes:.0f} MB, {self.threads} threads, {self.files} files, {self.segments} segments"


def run_load(stage: Stage, load: Load, seconds: float) -> str:
    """What became of the images of so many seconds; raises AssertionError for a lost image and for growth."""
    namespaces = [f"/load{number}" for number in range(load.cameras)]
    pairs = [stage.active_node(namespace) for namespace in namespaces]
    options = ("--rate", str(load.rate), "--size", str(load.width), str(load.height))
    cameras = [stage.camera(namespace, *options) for namespace in namespaces]
    for _, robot in pairs:
        outputs_go_on(robot, limit=60)
    for _, robot in pairs:
        robot.spin(min(max(2.0, seconds / 10), _MAX_WARM_UP) / load.cameras)
    processes = [psutil.Process(node.process.pid) for node, _ in pairs]
    before = [Resources.of(process) for process in processes]
    ages = _ages(pairs[0][1], seconds)
    after = [Resources.of(process) for process in processes]
    sent = [stop_camera(camera) for camera in cameras]
    results = []
    for (_, robot), earlier, later, (number, duration) in zip(pairs, before, after, sent, strict=True):
        counts = check_counts(robot)
        assert counts["errors"] == counts["malformed"] == 0, counts
        assert later.megabytes - earlier.megabytes < _MEGABYTES, (earlier, later)
        assert later.files - earlier.files <= _FILES, (earlier, later)
        assert later.threads - earlier.threads <= _THREADS, (earlier, later)
        assert later.segments <= earlier.segments, (earlier, later)
        results.append(f"sent {number} ({number / duration:.1f} Hz): {without_zeros(counts)}; {earlier} -> {later}")
    return f"age of the outputs {ages}; " + " / ".join(results)


def _ages(robot: Robot, seconds: float) -> str:
    """Median and maximum age of the outputs of so many seconds, as the node itself measures it."""
    ages = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        robot.spin(min(2.0, seconds))
        robot.received["detections"].clear()
        age = robot.diagnostics()["age at publishing (s)"]
        if age != "unknown":
            ages.append(float(age))
    ages.sort()
    return f"{ages[len(ages) // 2]:.3f} s (median; maximum {ages[-1]:.3f} s)" if ages else "unknown"
