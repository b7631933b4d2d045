"""A bag played through the perception node and its outputs recorded, by three processes that communicate over DDS."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from mp_perception.errors import UserError
from mp_perception.inference.predictor import Predictor
from mp_perception.progress import track
from mp_perception.ros import qos
from mp_perception.ros.diagnostics import FRAME_COUNTS
from mp_perception.ros.node_process import NodeProcess, session_environment

#: Loading a ResNet-50 from a slow disk may take this long, seconds.
_START_LIMIT = 120.0
#: The node has processed its last image after this time, seconds.
_END_LIMIT = 10.0
_DIAGNOSTICS_PERIOD = 0.5
#: The perception node's name in its diagnostics.
_NODE_NAME = "perception"


@dataclass(frozen=True)
class ReplaySession:
    """What to play and what to record.

    bag: a rosbag2 with images.  image_topic, camera_info_topic: its topics for the node.
    recording: path of the new bag.  recorded: topics for it, of the node and among those played.
    log_folder: folder for the logs of the processes.
    parameters: of the node, by name; they override parameter_file.
    played: topics to play; empty for all.  rate: 2 is twice as fast.
    """

    bag: Path
    image_topic: str
    camera_info_topic: str | None
    recording: Path
    recorded: Sequence[str]
    log_folder: Path
    parameters: Mapping[str, str]
    parameter_file: Path | None = None
    played: Sequence[str] = ()
    rate: float = 1.0


def run_replay_session(session: ReplaySession, duration: float) -> dict[str, str]:
    """Play the bag once.  No process outlives the call.

    Args:
        session: what to play and what to record.
        duration: of the replay, seconds, for the progress bar.

    Returns:
        The last diagnostics of the node by name; every image is accounted for.

    Raises:
        UserError: a process failed, or was not ready in time.
    """
    os.environ.update(session_environment())
    session.log_folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_sigterm_like_sigint())
        watch = stack.enter_context(_watch_node())
        recorder = stack.enter_context(
            NodeProcess(
                "record_node",
                session.log_folder,
                [str(session.recording), "--topics", *session.recorded],
            )
        )
        node = stack.enter_context(_perception_process(session))
        watch.wait_until_ready(session, node, recorder)
        replay = stack.enter_context(_replay_process(session))
        for _ in track(_seconds_until_end(replay, watch, node, recorder), "replay", round(duration)):
            pass
        replay.wait()
        diagnostics = watch.wait_until_all_images_are_accounted_for()
        node.end()
        recorder.end()
    return diagnostics


def network_parameters(backbone: str | None, weights: Path | None) -> tuple[dict[str, str], float]:
    """The node's parameters for a network, and the network's own score threshold; arguments as Predictor.load.

    Raises UserError if the network cannot be loaded: better here than in the node's log.
    """
    predictor = Predictor.load(backbone, weights)
    predictor.close()
    parameters = {"backbone": predictor.description.backbone}
    if weights is not None:
        parameters["weights"] = str(weights.resolve())
    return parameters, float(predictor.description.score_threshold)


def _perception_process(session: ReplaySession) -> NodeProcess:
    compressed = session.parameters.get("image_transport") == "compressed"
    remappings = {"image/compressed" if compressed else "image": session.image_topic}
    if session.camera_info_topic is not None:
        remappings["camera_info"] = session.camera_info_topic
    parameters = {"use_sim_time": "true", "diagnostics_period": _DIAGNOSTICS_PERIOD, **session.parameters}
    return NodeProcess(
        "perception_node",
        session.log_folder,
        remappings=remappings,
        parameters=parameters,
        parameter_file=session.parameter_file,
    )


def _replay_process(session: ReplaySession) -> NodeProcess:
    """The replay, which starts when the node and the recorder have subscribed to what they need."""
    subscribers = Counter(topic for topic in session.recorded if topic in session.played)
    subscribers.update(topic for topic in (session.image_topic, session.camera_info_topic) if topic is not None)
    arguments = [str(session.bag), "--rate", str(session.rate)]
    if session.played:
        arguments += ["--topics", *session.played]
    arguments += ["--wait-for-subscribers", *(f"{topic}:{count}" for topic, count in subscribers.items())]
    return NodeProcess("replay_node", session.log_folder, arguments)


def _seconds_until_end(
    replay: NodeProcess, watch: _NodeWatch, node: NodeProcess, recorder: NodeProcess
) -> Iterator[int]:
    seconds = 0
    while replay.process.poll() is None:
        watch.spin(1.0)
        node.check_running()
        recorder.check_running()
        seconds += 1
        yield seconds


class _NodeWatch:
    """The perception node seen from another node: its subscriptions and its diagnostics."""

    def __init__(self, node: Node, executor: SingleThreadedExecutor) -> None:
        self._node = node
        self._executor = executor
        self._level = DiagnosticStatus.OK
        self._message = ""
        self._values: dict[str, str] = {}
        self._num_received = 0
        node.create_subscription(DiagnosticArray, "/diagnostics", self._take, qos.OUTPUT)

    def spin(self, seconds: float) -> None:
        """Take messages for so many seconds."""
        deadline = time.monotonic() + seconds
        while (remaining := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=remaining)

    def wait_until_ready(self, session: ReplaySession, node: NodeProcess, recorder: NodeProcess) -> None:
        """Until the node has subscribed to images, and the recorder to the node's outputs."""
        deadline = time.monotonic() + _START_LIMIT
        # What the replay will publish cannot be recorded yet.
        outputs = [topic for topic in session.recorded if topic not in session.played]
        while True:
            self.spin(0.2)
            missing = [
                topic
                for topic in [session.image_topic, *outputs]
                # This node subscribes to the diagnostics as well.
                if self._node.count_subscribers(topic) < 1 + (topic == "/diagnostics")
            ]
            node.check_running()
            recorder.check_running()
            if self._level == DiagnosticStatus.ERROR:
                raise UserError(f"perception_node: {self._message}")
            if not missing:
                return
            if time.monotonic() > deadline:
                raise UserError(f"not ready after {_START_LIMIT:g} s: no subscription to {', '.join(missing)}")

    def wait_until_all_images_are_accounted_for(self) -> dict[str, str]:
        """The node's diagnostics once no image waits.  Raises UserError if that takes too long."""
        first = self._num_received
        deadline = time.monotonic() + _END_LIMIT
        while time.monotonic() < deadline:
            self.spin(0.1)
            counts = {name: int(self._values.get(f"images {name}", 0)) for name in FRAME_COUNTS}
            ended = sum(counts.values()) - counts["received"]
            # The first message to arrive may have been sent before the last image.
            if self._num_received > first + 1 and counts["received"] == ended:
                return dict(self._values)
        raise UserError(f"perception_node: images are missing after {_END_LIMIT:g} s: {self._values}")

    def _take(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == _NODE_NAME:
                self._level, self._message = status.level, status.message
                self._values = {value.key: value.value for value in status.values}
                self._num_received += 1


@contextlib.contextmanager
def _watch_node() -> Iterator[_NodeWatch]:
    """A watch in its own ROS context."""
    context = Context()
    rclpy.init(context=context, args=[])
    node = Node("replay_session", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        yield _NodeWatch(node, executor)
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown(context=context)


@contextlib.contextmanager
def _sigterm_like_sigint() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt within the block, so that the child processes are ended."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
