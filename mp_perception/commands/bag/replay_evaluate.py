"""`mp_perception bag replay-evaluate`: replay a bag through the real node over DDS, record it, and score the recording.

It needs ROS's libraries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mp_perception.commands import options

if TYPE_CHECKING:
    from mp_perception.bags.contents import BagContents
    from mp_perception.bags.reading import BagReader

#: Topics of the node that `bag evaluate --recorded` reads.
_OUTPUTS = ("/detections", "/depth/image", "/label_info")


def replay_evaluate(
    bag: Annotated[Path, typer.Argument(help="Folder of a rosbag2 with ground truth, or its .mcap or .db3 file.")],
    weights: options.Weights = "mobilenet_v2",
    rate: Annotated[float, typer.Option(min=0.001, max=100, help="2 plays twice as fast, 0.5 half as fast.")] = 1.0,
    report: Annotated[Path, typer.Option(help="HTML file with figures, plots and pictures.")] = Path("evaluation.html"),
    json: options.JsonFile = None,
    keep: Annotated[
        Path | None, typer.Option(metavar="BAG", help="Keep the recording as this new bag; by default it is removed.")
    ] = None,
    score_threshold: options.ScoreThreshold = None,
    tracking: options.Tracking = False,
    device: options.Device = "auto",
) -> None:
    """Play a bag through the node, record its outputs beside the ground truth, and score the recording.

    The node, the replay and the recorder are separate processes that communicate over DDS. As on a robot, the node
    drops images if it is too slow; they are counted, and a lower --rate gives it more time.

    Example: mp_perception bag replay-evaluate street --weights mobilenet_v2 --report live.html
    """
    import tempfile

    from mp_perception.bags.opening import open_bags, open_contents
    from mp_perception.bags.topic_choice import ChosenTopics
    from mp_perception.evaluation.pipeline import EvaluationRequest, run_evaluation
    from mp_perception.evaluation.result_files import ResultPaths
    from mp_perception.files import check_new_folder
    from mp_perception.progress import console, warn
    from mp_perception.ros.replay_session import network_parameters

    paths = ResultPaths(json=json, report=report, command=options.command_line())
    paths.check()
    if keep is not None:
        check_new_folder(keep)
    parameters, own_threshold = network_parameters(*options.split_weights(weights))
    parameters["device"] = device
    with tempfile.TemporaryDirectory(prefix="mp_perception_replay_") as workspace:
        contents = open_contents(bag, ChosenTopics(), bag.resolve().name, Path(workspace))
        for note in contents.notes:
            warn(f"{bag}: {note}")
        recording = keep or Path(workspace) / "recording" / contents.name
        diagnostics = _record(contents, recording, parameters, rate)
        threshold = own_threshold if score_threshold is None else score_threshold
        with open_bags([recording], ChosenTopics(), score_recorded=True) as data_set:
            run_evaluation(data_set, EvaluationRequest(None, score_threshold=threshold, tracking=tracking), paths)
    console.print(_summary(diagnostics), style="dim")


def _record(contents: BagContents, recording: Path, parameters: dict[str, str], rate: float) -> dict[str, str]:
    """Replay what an evaluation reads of the bag, and record it with the node's outputs; the node's diagnostics."""
    import shutil
    import tempfile

    from mp_perception.bags.reading import BagReader
    from mp_perception.bags.topic_choice import evaluation_topics
    from mp_perception.errors import UserError
    from mp_perception.files import share_folder
    from mp_perception.ros.replay_session import ReplaySession, run_replay_session

    recording.parent.mkdir(parents=True, exist_ok=True)
    with BagReader(contents.path) as reader:
        played = evaluation_topics(reader, contents.topics)
        if taken := sorted({*played} & {*_OUTPUTS}):
            raise UserError(f"{contents.source}: ground truth on {taken[0]}, where the node publishes its outputs")
        logs = Path(tempfile.mkdtemp(prefix="mp_perception_logs_"))
        compressed = reader.topics[contents.topics.image].type.endswith("CompressedImage")
        session = ReplaySession(
            bag=contents.path,
            image_topic=contents.topics.image,
            camera_info_topic=contents.topics.camera_info,
            recording=recording,
            recorded=[*_OUTPUTS, *played],
            log_folder=logs,
            parameters={**parameters, "image_transport": "compressed" if compressed else "raw"},
            parameter_file=share_folder() / "config" / "replay_evaluation.yaml",
            played=played,
            rate=rate,
        )
        diagnostics = run_replay_session(session, (reader.end_ns - reader.start_ns) / 1e9 / rate)
        warn_of_losses(reader, recording, played)
    shutil.rmtree(logs, ignore_errors=True)  # after a failure they remain, because the error names them
    return diagnostics


def warn_of_losses(reader: BagReader, recording: Path, played: Sequence[str]) -> None:
    """Frames whose messages did not reach the recorder are not scored, or not in full."""
    from mp_perception.bags.reading import BagReader
    from mp_perception.progress import warn

    with BagReader(recording) as recorded:
        for topic in played:
            sent = reader.topics[topic].count
            received = recorded.topics[topic].count if topic in recorded.topics else 0
            if received < sent:
                warn(f"{topic}: {sent - received} of {sent} messages did not reach the recorder; try a lower --rate")


def _summary(diagnostics: Mapping[str, str]) -> str:
    """How many images became what, by the node's diagnostics, and its network."""
    from mp_perception.ros.diagnostics import FRAME_COUNTS

    counts = ", ".join(f"{diagnostics[f'images {name}']} {name}" for name in FRAME_COUNTS)
    network = " ".join(diagnostics[name] for name in ("weights", "runtime", "precision", "device"))
    return f"perception_node: {counts}; {network}"
