"""The processes of one trial of the soak test, and checks that several trials make."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

from vision_msgs.msg import Detection2DArray

from mp_perception.ros.diagnostics import FRAME_COUNTS
from mp_perception.ros.large_images import large_image_environment
from mp_perception.ros.node_process import NodeProcess
from reliability.robot import Robot


class NotPossibleHereError(Exception):
    """What this machine lacks for a trial."""


class Stage:
    """Nodes, cameras and the robot's side of one trial: a context manager that ends them.

    folder: for logs and the files of the trial.  weights: of all nodes.
    """

    def __init__(self, folder: Path, weights: Path) -> None:
        self.folder = folder
        self.weights = weights
        self._num_nodes = 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        os.environ.update(large_image_environment())
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def node(self, namespace: str, environment: Mapping[str, str] | None = None, **parameters: Any) -> NodeProcess:
        """Start a node with parameters."""
        self._num_nodes += 1
        log_folder = self.folder / f"node{self._num_nodes:04d}"
        log_folder.mkdir()
        with patch.dict(os.environ, environment or {}):
            node = NodeProcess(
                "perception_node",
                log_folder,
                # Nodes are killed here: the next one must not take a stale port, and /dev/shm must not fill.
                ["--clean-shared-memory"],
                remappings={"__ns": namespace},
                parameters={"weights": self.weights, "diagnostics_period": 0.5, **parameters},
            )
        return self._stack.enter_context(node)

    def robot(self, namespace: str) -> Robot:
        """The robot's side of a node, which collects its detections."""
        robot = self._stack.enter_context(Robot(namespace))
        robot.subscribe(Detection2DArray, "detections")
        return robot

    def active_node(self, namespace: str, **options: Any) -> tuple[NodeProcess, Robot]:
        """A node that is subscribed to <namespace>/image, and its robot's side; arguments as those of `node`."""
        node, robot = self.node(namespace, **options), self.robot(namespace)
        robot.wait_for_log(node)
        return node, robot

    def camera(self, namespace: str, *options: str) -> subprocess.Popen[bytes]:
        """Start a camera; options as those of reliability.camera."""
        return self.start("reliability.camera", "--topic", f"{namespace}/image", *options)

    def start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a Python module with its output piped."""
        process = self._stack.enter_context(
            subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE)
        )
        self._stack.callback(process.kill)
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
    """Seconds until a new output for which the condition holds; raises UserError after the limit."""
    start = time.monotonic()
    robot.received["detections"].clear()
    robot.wait(lambda: any(condition(message) for message in robot.received["detections"]), "output", limit)
    return time.monotonic() - start


def without_zeros(counts: Mapping[str, int]) -> str:
    """Counts in words, such as "10 received, 9 processed"."""
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number)
