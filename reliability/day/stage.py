"""Nodes, cameras and a robot's side for one scenario, and what a node takes of the machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil
import rclpy
from vision_msgs.msg import Detection2DArray

from mp_perception.files import share_folder
from mp_perception.ros.diagnostics import FRAME_COUNTS
from reliability.robot import NodeProcess, Robot

#: A busy machine starts a node in this many seconds.
START_LIMIT = 120.0


class NotPossibleHereError(Exception):
    """What this machine lacks for something to be tried on it."""


@dataclass(frozen=True)
class Resources:
    """What a process holds.  segments: Fast DDS's shared memory that it has mapped."""

    megabytes: float
    threads: int
    files: int
    segments: int

    @classmethod
    def of(cls, process: psutil.Process) -> Resources:
        """Those of a running process."""
        maps = Path(f"/proc/{process.pid}/maps").read_text()
        segments = set(re.findall(r"/dev/shm/(fastdds_\S+)", maps))
        memory = process.memory_info()
        own = memory.rss - memory.shared  # images pass through shared memory and fill it
        return cls(own / 1e6, process.num_threads(), process.num_fds(), len(segments))

    def __str__(self) -> str:
        return f"{self.megabytes:.0f} MB, {self.threads} threads, {self.files} files, {self.segments} segments"


class Stage:
    """One scenario's processes, a context manager that ends them.

    weights: of all nodes.  folder: for logs and whatever the scenario writes.
    """

    def __init__(self, folder: Path, weights: Path) -> None:
        self.folder = folder
        self.weights = weights
        profile = share_folder() / "config" / "fastdds_large_images.xml"
        self.environment = {**os.environ, "FASTDDS_DEFAULT_PROFILES_FILE": str(profile)}
        os.environ["FASTDDS_DEFAULT_PROFILES_FILE"] = str(profile)
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._others: list[subprocess.Popen[bytes]] = []
        self._nodes: list[NodeProcess] = []
        self._robots: list[Robot] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self._others:
            process.kill()
            process.wait()
        for robot in self._robots:
            robot.close()
        for node in self._nodes:
            if node.process.poll() is None:
                node.stop(limit=20)
        rclpy.try_shutdown(context=self._context)

    def node(
        self,
        namespace: str,
        *parameters: str,
        weights: Path | None = None,
        environment: Mapping[str, str] | None = None,
        longest: float = 200,
    ) -> NodeProcess:
        """Start a node.  parameters: such as "max_age:=5.0"."""
        given = (f"weights:={weights or self.weights}", "diagnostics_period:=0.5", *parameters)
        arguments = [word for parameter in given for word in ("-p", parameter)]
        log = self.folder / f"node{len(self._nodes):04d}.txt"
        variables = {**self.environment, **(environment or {})}
        # Nodes are killed here: the next one must not take a stale port, and /dev/shm must not fill.
        arguments += ["--", "--clean-shared-memory"]
        node = NodeProcess(variables, log, namespace, *arguments, longest=longest)
        self._nodes.append(node)
        return node

    def robot(self, namespace: str) -> Robot:
        """The other side of a node, which collects its detections."""
        robot = Robot(self._context, namespace)
        robot.subscribe(Detection2DArray, "detections")
        self._robots.append(robot)
        return robot

    def active_node(self, namespace: str, *parameters: str, **options: Any) -> tuple[NodeProcess, Robot]:
        """A node that looks at <namespace>/image, and its other side."""
        node, robot = self.node(namespace, *parameters, **options), self.robot(namespace)
        robot.wait(lambda: "active: looking at" in node.text(), f"active node ({node.log})", START_LIMIT)
        return node, robot

    def camera(self, namespace: str, *options: str) -> subprocess.Popen[bytes]:
        """Start a camera; options as those of reliability.camera."""
        return self._start("reliability.camera", "--topic", f"{namespace}/image", *options)

    def reader(self, namespace: str) -> subprocess.Popen[bytes]:
        """Start a subscriber of detections and depth images."""
        return self._start("reliability.reader", namespace)

    def _start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", module, *arguments]
        process = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE)
        self._others.append(process)
        return process


def stop_camera(camera: subprocess.Popen[bytes]) -> tuple[int, float]:
    """End a camera; images that it sent, and in how many seconds."""
    camera.send_signal(signal.SIGTERM)
    output, _ = camera.communicate(timeout=30)
    sent, seconds = re.fullmatch(r"(\d+) images in (\S+) s\n", output.decode()).groups()  # type: ignore[union-attr]
    return int(sent), float(seconds)


def frame_counts(values: Mapping[str, str]) -> dict[str, int]:
    """What became of the images, from the diagnostics' values."""
    return {name: int(values.get(f"images {name}", 0)) for name in FRAME_COUNTS}


def unaccounted(values: Mapping[str, str]) -> int:
    """Images received of which nothing is known: 0, or 1 while one is in work."""
    counts = frame_counts(values)
    return 2 * counts["received"] - sum(counts.values()) - int(values["images waiting"])


def check_accounts(robot: Robot) -> dict[str, int]:
    """The counts, once the images have stopped; raises AssertionError if one is missing."""
    robot.spin(1.0)
    values = robot.diagnostics(lambda values: unaccounted(values) == 0)
    return frame_counts(values)


def outputs_go_on(robot: Robot, condition: Callable[[Any], bool] = bool, limit: float = 30) -> float:
    """Seconds until an output that was not there before fits."""
    start = time.monotonic()
    robot.received["detections"].clear()
    robot.wait(lambda: any(condition(message) for message in robot.received["detections"]), "output", limit)
    return time.monotonic() - start


def in_words(counts: Mapping[str, int]) -> str:
    """Counts that are not zero."""
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number)
