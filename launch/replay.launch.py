"""Play a bag through the perception node, score what it publishes and, on request, show it in RViz.

`ros2 launch mp_perception replay.launch.py bag:=street` ends with the bag; --show-args lists the arguments.  The
evaluation is `mp_perception bag replay-evaluate`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from launch import Action, LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.event_handlers import OnProcessExit, OnProcessIO
from launch.events.process import ProcessExited, ProcessIO
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from mp_perception.bags.contents import read_contents
from mp_perception.bags.reading import BagReader
from mp_perception.bags.topic_choice import ChosenTopics, input_topics
from mp_perception.errors import UserError
from mp_perception.files import share_folder
from mp_perception.model.checkpoint_description import backbone_names
from mp_perception.ros.launch_arguments import check_arguments
from mp_perception.ros.node_process import session_environment

#: Arguments that are options of `bag replay-evaluate` under the same name; they are passed on unless they are empty.
EVALUATION_ARGUMENTS = ("rate", "report", "json", "keep", "score_threshold", "device")
#: Arguments that are passed on to perception.launch.py under the same name.
PERCEPTION_ARGUMENTS = ("backbone", "weights", "device", "tracking", "odom_frame", "rviz", "fixed_frame")
#: Seconds from SIGINT to SIGTERM: the evaluation ends the processes that it has started.
_END_SECONDS = "30"


def generate_launch_description() -> LaunchDescription:
    """Arguments, and the processes that they ask for."""
    arguments = declare_arguments()
    check = OpaqueFunction(function=check_arguments, args=[__file__, [argument.name for argument in arguments]])
    return LaunchDescription([check, *arguments, OpaqueFunction(function=start)])


def declare_arguments() -> list[DeclareLaunchArgument]:
    """Every argument with its meaning and choices."""
    return [
        DeclareLaunchArgument("bag", description="folder of a rosbag2, or its .mcap or .db3 file"),
        _argument("rate", "1.0", "2.0 plays twice as fast, 0.5 half as fast"),
        _argument("loop", "false", "start again at the end; needs evaluate:=false", ("true", "false")),
        _argument("evaluate", "true", "score the node against the bag's ground truth", ("true", "false")),
        _argument("report", "evaluation.html", "HTML file for the evaluation"),
        _argument("json", "", "JSON file for all figures; empty: none"),
        _argument("keep", "", "new bag for the recording that is scored; empty: it is removed"),
        _argument("score_threshold", "", "minimum score of a detection in the evaluation; empty: the checkpoint's"),
        _argument("backbone", "", "network; empty: mobilenet_v2", ("", *backbone_names())),
        _argument("weights", "", "weights file, or name of weights that ship; empty: the backbone's"),
        _argument("device", "auto", "auto, cpu, cuda or cuda:N"),
        _argument("tracking", "false", "follow objects; needs evaluate:=false", ("true", "false")),
        _argument("odom_frame", "", "frame of the bag's transforms that tracks are formed in; empty: the camera's"),
        _argument(
            "rviz", "false", "show image, overlay, depth, markers, tracks and point cloud in RViz", ("true", "false")
        ),
        _argument("fixed_frame", "camera_color_left", "fixed frame in RViz: frame_id of the images"),
    ]


def start(context: LaunchContext) -> list[Action]:
    """The evaluation, or the node and the replay; all ends when one process ends."""
    values = {name: LaunchConfiguration(name).perform(context) for name in context.launch_configurations}
    actions: list[Action] = [RegisterEventHandler(OnProcessExit(on_exit=_end))]
    if values["evaluate"] == "false":
        return [*actions, *replay(values)]
    if values["loop"] == "true":
        raise UserError("loop:=true: expected evaluate:=false, because an evaluation ends with the bag")
    if values["tracking"] == "true":
        raise UserError("tracking:=true: expected evaluate:=false, because the evaluation scores single frames")
    return [*actions, *evaluation(values)]


def evaluation(values: dict[str, str]) -> list[Action]:
    """`bag replay-evaluate`, and RViz with the same settings for DDS."""
    command = [sys.executable, "-m", "mp_perception.commands.main", "bag", "replay-evaluate", values["bag"]]
    if network := values["weights"] or values["backbone"]:
        command += ["--weights", network]
    for name in EVALUATION_ARGUMENTS:
        if values[name]:
            command += [f"--{name.replace('_', '-')}", values[name]]
    actions: list[Action] = [SetEnvironmentVariable(name, value) for name, value in session_environment().items()]
    if values["rviz"] == "true":
        arguments = {"image": _inputs(values).image, "use_sim_time": "true", "fixed_frame": values["fixed_frame"]}
        actions.append(_include("rviz.launch.py", arguments))
    return [*actions, ExecuteProcess(cmd=command, output="screen", sigterm_timeout=_END_SECONDS)]


def replay(values: dict[str, str]) -> list[Action]:
    """perception.launch.py on the bag's topics, and replay_node, which waits for it."""
    inputs = _inputs(values)
    arguments = {
        **{name: values[name] for name in PERCEPTION_ARGUMENTS},
        "image": inputs.image.removesuffix("/compressed") if inputs.compressed else inputs.image,
        "image_transport": "compressed" if inputs.compressed else "raw",
        "use_sim_time": "true",
    }
    if inputs.camera_info is not None:
        arguments["camera_info"] = inputs.camera_info
    player = Node(
        package="mp_perception",
        executable="replay_node",
        arguments=[
            *(values["bag"], "--rate", values["rate"], *(["--loop"] if values["loop"] == "true" else [])),
            *("--topics", *inputs.played, "--wait-for-subscribers", inputs.image, "--wait-timeout", "120"),
        ],
        output="screen",
    )
    start_failure = OnProcessIO(on_stdout=_end_after_start_failure, on_stderr=_end_after_start_failure)
    return [RegisterEventHandler(start_failure), _include("perception.launch.py", arguments), player]


class Inputs(NamedTuple):
    """Topics of a bag for the node.  compressed: the images are CompressedImage.  played: all topics to play.

    Not a dataclass, because launch cannot load a file with dataclasses.
    """

    image: str
    compressed: bool
    camera_info: str | None
    played: list[str]


def _inputs(values: dict[str, str]) -> Inputs:
    path = Path(values["bag"])
    with BagReader(path) as reader:
        topics = read_contents(reader, ChosenTopics(), path.name).topics
        compressed = reader.topics[topics.image].type.endswith("CompressedImage")
        return Inputs(topics.image, compressed, topics.camera_info, input_topics(reader, topics))


def _include(name: str, arguments: dict[str, str]) -> IncludeLaunchDescription:
    source = PythonLaunchDescriptionSource(str(share_folder() / "launch" / name))
    return IncludeLaunchDescription(source, launch_arguments=list(arguments.items()))


def _end_after_start_failure(event: ProcessIO) -> None:
    """Without this the replay would wait: a node that cannot be configured keeps running, so that it can be changed."""
    text = event.text.decode(errors="replace")
    for failure in ("cannot configure: ", "cannot activate: "):
        if failure in text and event.process_name.startswith("perception_node"):
            reason = text[text.index(failure) :].splitlines()[0]
            raise UserError(f"perception_node: {reason}")  # launch prints it, ends all processes and exits with 1


def _end(event: ProcessExited, context: LaunchContext) -> list[Action]:
    """End everything; raises UserError after a failure, so that launch exits with 1."""
    if context.is_shutdown:
        return []
    if event.returncode != 0:
        raise UserError(f"{event.process_name} ended with code {event.returncode}")
    return [Shutdown(reason=f"{event.process_name} has ended")]


def _argument(name: str, default: str, description: str, choices: tuple[str, ...] = ()) -> DeclareLaunchArgument:
    return DeclareLaunchArgument(
        name, default_value=default, description=description, choices=list(choices) if choices else None
    )
