"""A bag with truth replayed through the node and scored: three processes of their own that talk DDS."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from mp_perception.errors import UserError
from mp_perception.files import share_folder
from mp_perception.ros.replay_session import last_line, node_process, session_environment

#: A ResNet-50 on a slow disk may take this long to be ready, seconds.
_START_LIMIT = 120
_POLL_SECONDS = 0.2
#: How perception_node's log lines begin when it cannot start; it stays alive then, for somebody to put it right.
_START_FAILURES = ("cannot configure: ", "cannot activate: ")
#: A report takes some seconds, more on a busy machine.
_REPORT_SECONDS = 60.0


@dataclass(frozen=True)
class EvaluationSession:
    """What to play and where to.

    bag: a whole rosbag2.  image_topic, camera_info_topic: its topics for the node.  compressed: whether the images are
    CompressedImage.  topics: those that are played.  rate: 2 is twice as fast.
    node_parameters, evaluation_parameters: by name.
    """

    bag: Path
    image_topic: str
    camera_info_topic: str | None
    compressed: bool
    topics: tuple[str, ...]
    rate: float
    node_parameters: Mapping[str, str]
    evaluation_parameters: Mapping[str, str]


def run_evaluation_session(session: EvaluationSession) -> None:
    """Play the bag once; evaluation_node prints and writes the results.

    Raises UserError if a process fails; its log is kept then.  No process is left behind in any case.
    """
    os.environ.update(session_environment())
    signal.signal(signal.SIGTERM, _end)
    logs = Path(tempfile.mkdtemp(prefix="mp_perception_replay_"))
    with contextlib.ExitStack() as stack:
        evaluation = stack.enter_context(
            node_process(
                None,
                "evaluation_node",
                [],
                arguments=_assignments({"bag": str(session.bag.absolute()), **session.evaluation_parameters}),
                patience=_REPORT_SECONDS,
            )
        )
        node = stack.enter_context(
            node_process(logs, "perception_node", [], simulated=True, arguments=_node_arguments(session))
        )
        # Both wait for the other's topics before they look at the images: when both do, everything is connected.
        replay = stack.enter_context(
            node_process(
                logs,
                "replay_node",
                [
                    *(str(session.bag), "--rate", str(session.rate), "--topics", *session.topics),
                    *("--wait-for-subscribers", f"{session.image_topic}:2", "--wait-timeout", str(_START_LIMIT)),
                ],
            )
        )
        _wait_for_end(evaluation, {"perception_node": node, "replay_node": replay}, logs)
    shutil.rmtree(logs, ignore_errors=True)


def start_failure(log: str) -> str | None:
    """Why perception_node could not start, as its log says it, or None."""
    for line in log.splitlines():
        for begin in _START_FAILURES:
            if begin in line:
                return f"perception_node: {line[line.index(begin) :].strip()}"
    return None


def _end(signal_number: int, frame: FrameType | None) -> None:
    """SIGTERM unwinds as Ctrl-C does, so that no process is left behind."""
    raise KeyboardInterrupt


def _wait_for_end(
    evaluation: subprocess.Popen[bytes], others: Mapping[str, subprocess.Popen[bytes]], logs: Path
) -> None:
    while evaluation.poll() is None:
        if failure := start_failure((logs / "perception_node.log").read_text(errors="replace")):
            raise UserError(failure)
        for name, process in others.items():
            if process.poll() not in (None, 0) or (name == "perception_node" and process.returncode == 0):
                said = last_line(logs, name)
                if name == "replay_node":
                    said += f"; perception_node: {last_line(logs, 'perception_node')}"
                raise UserError(f"{name} ended early: {said}")
        time.sleep(_POLL_SECONDS)
    if evaluation.returncode != 0:
        raise UserError(f"evaluation_node ended with code {evaluation.returncode}; logs of the others: {logs}")


def _node_arguments(session: EvaluationSession) -> list[str]:
    remappings = {"image/compressed" if session.compressed else "image": session.image_topic}
    if session.camera_info_topic is not None:
        remappings["camera_info"] = session.camera_info_topic
    arguments = [part for name, topic in remappings.items() for part in ("-r", f"{name}:={topic}")]
    arguments += ["--params-file", str(share_folder() / "config" / "replay_evaluation.yaml")]
    transport = {"image_transport": "compressed" if session.compressed else "raw"}
    return arguments + _assignments({**transport, **session.node_parameters})


def _assignments(parameters: Mapping[str, str]) -> list[str]:
    return [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]
