"""The node under load: images of several sizes at several rates, and the resources of its process before and after."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from sensor_msgs.msg import PointCloud2
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from reliability.robot import Robot
from reliability.soak.stage import Stage, check_counts, outputs_go_on, stop_camera, without_zeros

#: Growth that is not a leak: buffers that reach their size, discovery of one more participant.
_MAX_GROWTH = {"MB": 60, "threads": 2, "files": 4, "segments": 0}


@dataclass(frozen=True)
class Load:
    """Cameras that publish at the same time, each to a node of its own.

    rate: of each camera, Hz.  tracking: whether the nodes follow objects and publish all topics with tracks.
    """

    rate: int
    width: int
    height: int
    cameras: int = 1
    tracking: bool = False

    def __str__(self) -> str:
        cameras = f"{self.cameras} cameras" if self.cameras > 1 else "1 camera"
        return f"{cameras}, {self.width}x{self.height}, {self.rate} Hz" + (", tracking" if self.tracking else "")


#: Small images at every rate, and larger ones as far as a Python camera can send them.
LOADS = (
    *(Load(rate, 320, 240) for rate in (1, 10, 30, 60, 120)),
    Load(30, 640, 480),
    Load(30, 1280, 720),
    Load(10, 1920, 1080),
    Load(5, 3840, 2160),
    Load(10, 640, 480, cameras=2),
    Load(10, 640, 480, cameras=4),
    Load(10, 640, 480, tracking=True),
)
_TRACKS = {"tracks": Detection3DArray, "tracks/states": PointCloud2, "tracks/markers": MarkerArray}


def resources_of(process: psutil.Process) -> dict[str, int]:
    """What a process holds: memory without shared memory, threads, files, and segments of Fast DDS that are mapped."""
    memory = process.memory_info()
    segments = set(re.findall(r"/dev/shm/(fastdds_\S+)", Path(f"/proc/{process.pid}/maps").read_text()))
    return {
        "MB": round((memory.rss - memory.shared) / 1e6),
        "threads": process.num_threads(),
        "files": process.num_fds(),
        "segments": len(segments),
    }


def run_load(stage: Stage, load: Load, seconds: float) -> str:
    """What became of the images of so many seconds; raises AssertionError for a lost image and for growth."""
    namespaces = [f"/load{number}" for number in range(load.cameras)]
    pairs = [stage.active_node(namespace, tracking=load.tracking) for namespace in namespaces]
    options = ("--rate", str(load.rate), "--size", str(load.width), str(load.height))
    cameras = [stage.camera(namespace, *options) for namespace in namespaces]
    robots = [robot for _, robot in pairs]
    for robot in robots if load.tracking else ():
        for topic, kind in _TRACKS.items():
            robot.subscribe(kind, topic)
    for robot in robots:
        outputs_go_on(robot, limit=60)
    for robot in robots if load.tracking else ():
        robot.wait(lambda robot=robot: any(tracks.detections for tracks in robot.received["tracks"]), "tracks")
    _receive(robots, min(max(2.0, seconds / 10), 60))  # buffers reach their size
    processes = [psutil.Process(node.process.pid) for node, _ in pairs]
    before = [resources_of(process) for process in processes]
    _receive(robots, seconds)
    after = [resources_of(process) for process in processes]
    sent = [stop_camera(camera) for camera in cameras]
    results = []
    for robot, earlier, later, (number, duration) in zip(robots, before, after, sent, strict=True):
        age = robot.values["age at publishing (s)"]
        counts = check_counts(robot)
        assert counts["errors"] == counts["malformed"] == 0, counts
        for name, limit in _MAX_GROWTH.items():
            assert later[name] - earlier[name] <= limit, (earlier, later)
        results.append(
            f"sent {number} ({number / duration:.1f} Hz): {without_zeros(counts)}; age of the last output {age} s;"
            f" {without_zeros(earlier)} -> {without_zeros(later)}"
        )
    return " / ".join(results)


def _receive(robots: Sequence[Robot], seconds: float) -> None:
    """Receive the outputs of so many seconds, without keeping them."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for robot in robots:
            robot.spin(0.5 / len(robots))
            for messages in robot.received.values():
                messages.clear()
