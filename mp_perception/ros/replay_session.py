"""A bag played through the node, as on a robot: replay, node and recorder are processes of their own and talk DDS."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from mp_perception.errors import UserError
from mp_perception.progress import track
from mp_perception.ros import qos
from mp_perception.ros.diagnostics import FRAME_COUNTS
from mp_perception.ros.large_images import large_image_environment

#: Topics of the node that a session records; all of its outputs but the point cloud, which is off by default.
RECORDED_TOPICS = (
    "/detections",
    "/depth/image",
    "/depth/camera_info",
    "/depth/image_colored",
    "/overlay",
    "/label_info",
    "/markers",
    "/diagnostics",
)
#: A ResNet-50 on a slow disk may take this long to be ready, seconds.
_START_LIMIT = 120.0
#: The last frames are through the node after this, seconds.
_END_LIMIT = 10.0
_DIAGNOSTICS_PERIOD = 0.5
#: The perception node's, as its diagnostics bear it.
_NODE_NAME = "perception"


@dataclass(frozen=True)
class ReplaySession:
    """What to play and where to.

    bag: a rosbag2 with images.  image_topic, camera_info_topic: its topics for the node.
    recording: folder of the new bag with the node's outputs.  log_folder: where the processes' logs go.
    parameters: of the node, by name.
    """

    bag: Path
    image_topic: str
    camera_info_topic: str
    recording: Path
    log_folder: Path
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class SessionResult:
    """What the processes said.

    replay: the replay node's summary.  diagnostics: the node's last values by name, every image accounted for.
    """

    replay: Mapping[str, Any]
    diagnostics: Mapping[str, str]


def run_replay_session(session: ReplaySession, duration: float) -> SessionResult:
    """Play the bag once at its recorded times through the node and record the outputs.

    duration: of the bag, seconds, for the progress bar.
    Raises UserError if a process fails or is not ready in time; no process is left behind in any case.
    """
    session.log_folder.mkdir(parents=True, exist_ok=True)
    summary = session.log_folder / "replay_summary.json"
    with contextlib.ExitStack() as stack:
        os.environ.update(session_environment())
        watcher = stack.enter_context(_watch_node())
        recorder = stack.enter_context(
            node_process(
                session.log_folder,
                "record_node",
                [str(session.recording), "--topics", *RECORDED_TOPICS],
                simulated=True,
            )
        )
        node = stack.enter_context(
            node_process(session.log_folder, "perception_node", [], simulated=True, arguments=_node_arguments(session))
        )
        watcher.wait_until_ready(session, {"record_node": recorder, "perception_node": node})
        replay = stack.enter_context(
            node_process(
                session.log_folder,
                "replay_node",
                [str(session.bag), "--summary", str(summary), "--wait-for-subscribers", session.image_topic],
            )
        )
        for _ in track(_seconds_until_end(replay, watcher), "replay", round(duration)):
            pass
        if replay.returncode != 0:
            raise UserError(f"replay_node failed: {last_line(session.log_folder, 'replay_node')}")
        diagnostics = watcher.wait_until_all_frames_are_accounted_for()
        for name, process in (("perception_node", node), ("record_node", recorder)):
            end_process(process, name, session.log_folder)
    return SessionResult(json.loads(summary.read_text()), diagnostics)


def session_environment() -> dict[str, str]:
    """Variables for processes that exchange images on this machine; a user's own settings stay."""
    discovery = "ROS_AUTOMATIC_DISCOVERY_RANGE"
    return {discovery: os.environ.get(discovery, "LOCALHOST"), **large_image_environment()}


def _node_arguments(session: ReplaySession) -> list[str]:
    remappings = {"image": session.image_topic, "camera_info": session.camera_info_topic}
    parameters = {"diagnostics_period": str(_DIAGNOSTICS_PERIOD), **session.parameters}
    arguments = [part for name, topic in remappings.items() for part in ("-r", f"{name}:={topic}")]
    return arguments + [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]


@contextlib.contextmanager
def node_process(
    log_folder: Path | None,
    executable: str,
    command: list[str],
    simulated: bool = False,
    arguments: Sequence[str] = (),
    patience: float = 5.0,
) -> Iterator[subprocess.Popen[bytes]]:
    """One of our executables with its output in a log; ended when the block ends, by force if need be.

    log_folder: None leaves the output to the terminal.  patience: seconds from SIGINT to force.
    """
    ros_arguments = ["--ros-args", "-p", f"use_sim_time:={str(simulated).lower()}", *arguments]
    with contextlib.ExitStack() as stack:
        log = None if log_folder is None else stack.enter_context((log_folder / f"{executable}.log").open("wb"))
        process = subprocess.Popen(
            [sys.executable, "-m", f"mp_perception.ros.{executable}", *command, *ros_arguments],
            stdout=log,
            stderr=None if log is None else subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(timeout=patience)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def end_process(process: subprocess.Popen[bytes], name: str, log_folder: Path, patience: float = _END_LIMIT) -> None:
    """End a process by SIGINT.  Raises UserError if it fails, or takes longer than `patience` seconds."""
    process.send_signal(signal.SIGINT)
    try:
        code = process.wait(timeout=patience)
    except subprocess.TimeoutExpired:
        raise UserError(f"{name} has not ended {patience:g} s after SIGINT: {last_line(log_folder, name)}") from None
    if code != 0:
        raise UserError(f"{name} ended with code {code}: {last_line(log_folder, name)}")


class _Watcher:
    """Looks at the graph and at the node's diagnostics from outside."""

    def __init__(self, node: Node, executor: SingleThreadedExecutor) -> None:
        self._node = node
        self._executor = executor
        self._level = DiagnosticStatus.OK
        self._message = ""
        self._values: dict[str, str] = {}
        self._count = 0
        node.create_subscription(DiagnosticArray, "/diagnostics", self._take, qos.OUTPUT)

    def spin(self, seconds: float) -> None:
        """Take messages for so long."""
        deadline = time.monotonic() + seconds
        while (remaining := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=remaining)

    def wait_until_ready(self, session: ReplaySession, processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
        """Until the node waits for images and the recorder for everything the node publishes."""
        wanted = [session.image_topic, *RECORDED_TOPICS]
        deadline = time.monotonic() + _START_LIMIT
        while True:
            self.spin(0.2)
            # The diagnostics are ours too, so there the recorder is the second subscriber.
            lacking = [topic for topic in wanted if self._node.count_subscribers(topic) < 1 + (topic == "/diagnostics")]
            for name, process in processes.items():
                if process.poll() is not None:
                    raise UserError(f"{name} ended early: {last_line(session.log_folder, name)}")
            if self._level == DiagnosticStatus.ERROR:
                raise UserError(f"perception_node: {self._message}")
            if not lacking:
                return
            if time.monotonic() > deadline:
                raise UserError(f"not ready after {_START_LIMIT:g} s: nobody subscribed to {', '.join(lacking)}")

    def wait_until_all_frames_are_accounted_for(self) -> dict[str, str]:
        """The node's values once every received image has ended in some way.  Raises UserError if that never comes."""
        seen = self._count
        deadline = time.monotonic() + _END_LIMIT
        while time.monotonic() < deadline:
            self.spin(0.1)
            counts = {name: int(self._values.get(f"images {name}", 0)) for name in FRAME_COUNTS}
            ended = sum(number for name, number in counts.items() if name != "received")
            if self._count > seen + 1 and counts["received"] == ended:
                return dict(self._values)
        raise UserError(f"perception_node: images are missing after {_END_LIMIT:g} s: {self._values}")

    def _take(self, message: DiagnosticArray) -> None:
        # Other nodes of the robot speak on this topic, too.
        for status in message.status:
            if status.name == _NODE_NAME:
                self._level, self._message = status.level, status.message
                self._values = {value.key: value.value for value in status.values}
                self._count += 1


@contextlib.contextmanager
def _watch_node() -> Iterator[_Watcher]:
    """A watcher in a ROS context of its own."""
    context = Context()
    rclpy.init(context=context, args=[])
    node = Node("replay_session", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        yield _Watcher(node, executor)
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown(context=context)


def _seconds_until_end(process: subprocess.Popen[bytes], watcher: _Watcher) -> Iterator[int]:
    seconds = 0
    while process.poll() is None:
        watcher.spin(1.0)
        seconds += 1
        yield seconds


def last_line(log_folder: Path, executable: str) -> str:
    """The last thing that an executable said, and where the rest is."""
    log = log_folder / f"{executable}.log"
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return f"{lines[-1].strip() if lines else 'no output'} (all of it: {log})"
