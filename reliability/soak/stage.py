"""The processes of one trial of the soak test, and checks that several trials make."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import rclpy
from vision_msgs.msg import Detection2DArray

from mp_perception.files import share_folder
from mp_perception.ros.diagnostics import FRAME_COUNTS
from reliability.robot import NodeProcess, Robot

#: A busy machine starts a node in this many seconds.
START_LIMIT = 120.0


class NotPossibleHereError(Exception):
    """What this machine lacks for a trial."""


class Stage:
    """Nodes, cameras and the robot's side of one trial: a context manager that ends them.

    folder: for logs and the files of the trial.  weights: of all nodes.
    """

    def __init__(self, folder: Path, weights: Path) -> None:
        self.folder = folder
        self.weights = weights
        os.environ["FASTDDS_DEFAULT_PROFILES_FILE"] = str(share_folder() / "config" / "fastdds_large_images.xml")
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
        time_limit: float = 200,
    ) -> NodeProcess:
        """Start a node.  parameters: such as "max_age:=5.0".  time_limit: seconds after which it is ended."""
        assigned = (f"weights:={weights or self.weights}", "diagnostics_period:=0.5", *parameters)
        arguments = [word for parameter in assigned for word in ("-p", parameter)]
        log = self.folder / f"node{len(self._nodes):04d}.txt"
        # Nodes are killed here: the next one must not take a stale port, and /dev/shm must not fill.
        arguments += ["--", "--clean-shared-memory"]
        node = NodeProcess({**os.environ, **(environment or {})}, log, namespace, *arguments, longest=time_limit)
        self._nodes.append(node)
        return node

    def robot(self, namespace: str) -> Robot:
        """The robot's side of a node, which collects its detections."""
        robot = Robot(self._context, namespace)
        robot.subscribe(Detection2DArray, "detections")
        self._robots.append(robot)
        return robot

    def active_node(self, namespace: str, *parameters: str, **options: Any) -> tuple[NodeProcess, Robot]:
        """A node that is subscribed to <namespace>/image, and its robot's side; arguments as those of `node`."""
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
        process = subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE)
        self._others.append(process)
        return process


def stop_camera(camera: subprocess.Popen[bytes]) -> tuple[int, float]:
    """End a camera; the images that it sent, and in how many seconds."""
    camera.send_signal(signal.SIGTERM)
    output, _ = camera.communicate(timeout=30)
    match = re.fullmatch(r"(\d+) images in (\S+) s\n", output.decode())
    assert match is not None, output
    return int(match[1]), float(match[2])


def frame_counts(values: Mapping[str, str]) -> dict[str, int]:
    """What became of the images, from the diagnostics' values."""
    return {name: int(values.get(f"images {name}", 0)) for name in FRAME_COUNTS}


def unaccounted(values: Mapping[str, str]) -> int:
    """Number of images received of which nothing is known: 0, or 1 during inference."""
    counts = frame_counts(values)
    return 2 * counts["received"] - sum(counts.values()) - int(values["images waiting"])


def check_counts(robot: Robot) -> dict[str, int]:
    """What became of the images, after the last one; does not return before every image is accounted for."""
    robot.spin(1.0)
    return frame_counts(robot.diagnostics(lambda values: unaccounted(values) == 0))


def outputs_go_on(robot: Robot, condition: Callable[[Any], bool] = bool, limit: float = 30) -> float:
    """Seconds until a new output for which the condition holds; raises AssertionError after the limit."""
    start = time.monotonic()
    robot.received["detections"].clear()
    robot.wait(lambda: any(condition(message) for message in robot.received["detections"]), "output", limit)
    return time.monotonic() - start


def without_zeros(counts: Mapping[str, int]) -> str:
    """Counts in words, such as "10 received, 9 processed"."""
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number)
