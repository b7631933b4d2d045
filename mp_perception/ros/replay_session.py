"""A bag played through the perception node and its outputs recorded, by three processes that communicate over DDS."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from mp_perception.errors import UserError
from mp_perception.inference.default_weights import is_shipped_name
from mp_perception.inference.predictor import Predictor
from mp_perception.progress import track
from mp_perception.ros.diagnostics import FRAME_COUNTS
from mp_perception.ros.node_probe import NodeProbe
from mp_perception.ros.node_process import NodeProcess, session_environment

#: Loading a ResNet-50 from a slow disk may take this long, seconds.
_START_LIMIT = 120.0
#: The node has processed its last image after this time, seconds.
_END_LIMIT = 10.0
_DIAGNOSTICS_PERIOD = 0.5


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


def network_parameters(backbone: str | None, weights: Path | None) -> tuple[dict[str, str], float]:
    """The node's parameters for a network, and the network's own score threshold; arguments as Predictor.load.

    Raises UserError if the network cannot be loaded: better here than in the node's log.
    """
    predictor = Predictor.load(backbone, weights)
    predictor.close()
    parameters = {"backbone": backbone or predictor.description.backbone}
    if weights is not None:
        parameters["weights"] = str(weights if is_shipped_name(weights) else weights.resolve())
    return parameters, float(predictor.description.score_threshold)


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
    recorded = [str(session.recording), "--topics", *session.recorded]
    with ExitStack() as stack:
        probe = stack.enter_context(NodeProbe())
        recorder = stack.enter_context(NodeProcess("record_node", session.log_folder, recorded))
        node = stack.enter_context(_perception_process(session))
        _wait_until_ready(session, probe, [node, recorder])
        replay = stack.enter_context(_replay_process(session))
        for _ in track(_seconds_until_end(replay, probe, [node, recorder]), "replay", round(duration)):
            pass
        replay.wait()
        _wait_until_all_images_are_accounted_for(probe)
        node.end()
        recorder.end()
    return probe.values


def _perception_process(session: ReplaySession) -> NodeProcess:
    compressed = session.parameters.get("image_transport") == "compressed"
    remappings = {"image/compressed" if compressed else "image": session.image_topic}
    if session.camera_info_topic is not None:
        remappings["camera_info"] = session.camera_info_topic
    return NodeProcess(
        "perception_node",
        session.log_folder,
        remappings=remappings,
        parameters={"use_sim_time": "true", "diagnostics_period": _DIAGNOSTICS_PERIOD, **session.parameters},
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


def _wait_until_ready(session: ReplaySession, probe: NodeProbe, processes: Sequence[NodeProcess]) -> None:
    """Until the node has subscribed to images, and the recorder to the node's outputs."""
    outputs = [topic for topic in session.recorded if topic not in session.played]

    def ready() -> bool:
        for process in processes:
            process.check_running()
        if probe.error:
            raise UserError(f"perception_node: {probe.error}")
        return all(probe.num_subscribers(topic) > 0 for topic in [session.image_topic, *outputs])

    probe.wait_until(ready, "perception_node and record_node: not ready", _START_LIMIT)


def _seconds_until_end(replay: NodeProcess, probe: NodeProbe, others: Sequence[NodeProcess]) -> Iterator[int]:
    seconds = 0
    while replay.process.poll() is None:
        probe.spin(1.0)
        for process in others:
            process.check_running()
        seconds += 1
        yield seconds


def _wait_until_all_images_are_accounted_for(probe: NodeProbe) -> None:
    def accounted_for(values: Mapping[str, str]) -> bool:
        counts = {name: int(values.get(f"images {name}", 0)) for name in FRAME_COUNTS}
        return counts["received"] == sum(counts.values()) - counts["received"]

    probe.diagnostics()  # may have been sent before the last image
    probe.diagnostics(accounted_for, _END_LIMIT)
