"""Play a bag through the perception node, score what it publishes and, on request, show it.

`ros2 launch mp_perception replay.launch.py bag:=street` ends by itself with the bag; --show-args lists the rest.
"""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import Action, LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
)
from launch.event_handlers import OnProcessExit, OnProcessIO
from launch.events.process import ProcessExited, ProcessIO
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from mp_perception.bags.contents import BagContents, read_contents
from mp_perception.bags.live_pairing import needed_topics
from mp_perception.bags.reading import BagReader
from mp_perception.bags.topic_choice import ChosenTopics
from mp_perception.bags.transforms import TRANSFORMS_TYPE
from mp_perception.errors import UserError
from mp_perception.files import share_folder
from mp_perception.inference.predictor import Predictor
from mp_perception.model.checkpoint_description import backbone_names
from mp_perception.ros.evaluation_session import start_failure
from mp_perception.ros.evaluation_topics import READY

#: Arguments that are passed on to perception.launch.py under the same name.
PERCEPTION_ARGUMENTS = ("backbone", "weights", "device", "log_level", "rviz", "fixed_frame")
#: Seconds that `ros2 bag play` waits: it does not wait for subscribers.
_SETTLING, _LOADING = 2, 15
#: Seconds from SIGINT to force, in which the report is written.
_REPORT_SECONDS = "60"


def generate_launch_description() -> LaunchDescription:
    """Arguments, and what they lead to."""
    return LaunchDescription([*declare_arguments(), OpaqueFunction(function=start)])


def declare_arguments() -> list[DeclareLaunchArgument]:
    """Every argument with its meaning and choices."""

    def yes_or_no(name: str, default: str, description: str) -> DeclareLaunchArgument:
        return DeclareLaunchArgument(name, default_value=default, choices=["true", "false"], description=description)

    return [
        DeclareLaunchArgument("bag", description="folder of a rosbag2, or its .mcap or .db3 file"),
        DeclareLaunchArgument("rate", default_value="1.0", description="2.0 plays twice as fast, 0.5 half as fast"),
        yes_or_no("loop", "false", "begin again at the end; Ctrl-C ends it and writes the report"),
        yes_or_no("evaluate", "true", "score the node against the bag's ground truth"),
        DeclareLaunchArgument("report", default_value="evaluation.html", description="HTML file for the evaluation"),
        DeclareLaunchArgument("json", default_value="", description="file for all figures; empty: none"),
        DeclareLaunchArgument(
            "score_threshold",
            default_value="",
            description="least score of a detection that finds an object; empty: the checkpoint's",
        ),
        DeclareLaunchArgument(
            "backbone",
            default_value="",
            choices=["", *backbone_names()],
            description="network that looks at the image; empty: mobilenet_v2",
        ),
        DeclareLaunchArgument("weights", default_value="", description="weights file; empty: the backbone's own"),
        DeclareLaunchArgument("device", default_value="", description="auto, cpu, cuda or cuda:N; empty: auto"),
        DeclareLaunchArgument(
            "log_level",
            default_value="info",
            choices=["debug", "info", "warn", "error", "fatal"],
            description="least severity of the perception node's log lines",
        ),
        yes_or_no("rviz", "false", "show image, overlay, depth, markers and point cloud in RViz"),
        DeclareLaunchArgument(
            "fixed_frame", default_value="camera_color_left", description="frame RViz draws in: the images' frame_id"
        ),
    ]


def start(context: LaunchContext) -> list[Action]:
    """Node and evaluation now, the bag when they are ready."""
    values = {name: LaunchConfiguration(name).perform(context) for name in context.launch_configurations}
    path = Path(values["bag"]).absolute()
    with BagReader(path) as reader:
        contents = read_contents(reader, ChosenTopics(), path.name)
        compressed = reader.topics[contents.topics.image].type.endswith("CompressedImage")
    evaluate = values["evaluate"] == "true"
    player = bag_player(contents, values, evaluate)
    actions: list[Action] = [
        RegisterEventHandler(
            OnProcessExit(on_exit=lambda event, context: _after_exit(event, context, player, evaluate))
        ),
        RegisterEventHandler(OnProcessIO(on_stdout=_end_if_it_cannot_start, on_stderr=_end_if_it_cannot_start)),
        perception(contents, values, compressed, evaluate),
    ]
    if not evaluate:
        return [*actions, player]
    evaluation = evaluation_node(path, values)
    started: list[bool] = []

    def start_player(event: ProcessIO) -> list[Action]:
        if started or READY.encode() not in event.text:
            return []
        started.append(True)
        return [player]

    ready = OnProcessIO(target_action=evaluation, on_stdout=start_player, on_stderr=start_player)
    return [*actions, RegisterEventHandler(ready), evaluation]


def perception(
    contents: BagContents, values: dict[str, str], compressed: bool, evaluate: bool
) -> IncludeLaunchDescription:
    """perception.launch.py on the bag's topics."""
    topics = contents.topics
    parameters = "replay_evaluation.yaml" if evaluate else "perception.yaml"
    arguments = {
        **{name: values[name] for name in PERCEPTION_ARGUMENTS},
        "image": topics.image.removesuffix("/compressed") if compressed else topics.image,
        "image_transport": "compressed" if compressed else "raw",
        "params_file": str(share_folder() / "config" / parameters),
        "use_sim_time": "true",
    }
    if topics.camera_info is not None:
        arguments["camera_info"] = topics.camera_info
    source = PythonLaunchDescriptionSource(str(share_folder() / "launch" / "perception.launch.py"))
    return IncludeLaunchDescription(source, launch_arguments=list(arguments.items()))


def evaluation_node(bag: Path, values: dict[str, str]) -> Node:
    """The node that scores; it ends with the bag."""
    texts = {name: str(Path(values[name]).absolute()) for name in ("report", "json") if values[name]}
    return Node(
        package="mp_perception",
        executable="evaluation_node",
        parameters=[
            {
                **{name: ParameterValue(text, value_type=str) for name, text in {"bag": str(bag), **texts}.items()},
                "score_threshold": least_score(values),
            }
        ],
        sigterm_timeout=_REPORT_SECONDS,
        output="screen",
    )


def least_score(values: dict[str, str]) -> float:
    """The score threshold that is given, else the checkpoint's; the node itself publishes what is below it as well."""
    if values["score_threshold"]:
        return float(values["score_threshold"])
    predictor = Predictor.load(values["backbone"] or None, values["weights"] or None)
    try:
        return float(predictor.description.score_threshold)
    finally:
        predictor.close()


def bag_player(contents: BagContents, values: dict[str, str], evaluate: bool) -> Action:
    """`ros2 bag play` where it is installed, else the package's replay_node."""
    # The transforms are for RViz; the evaluation reads them from the bag.
    topics = sorted({*needed_topics(contents), *_transforms_topics(contents)})
    loop = ["--loop"] if values["loop"] == "true" else []
    if has_ros2_bag():
        delay = str(_SETTLING if evaluate else _LOADING)
        command = ["ros2", "bag", "play", str(contents.path), "--clock", "100", "--rate", values["rate"]]
        return ExecuteProcess(cmd=[*command, "--delay", delay, *loop, "--topics", *topics], output="screen")
    waited = f"{contents.topics.image}:{2 if evaluate else 1}"
    return Node(
        package="mp_perception",
        executable="replay_node",
        arguments=[
            *(str(contents.path), "--rate", values["rate"], *loop, "--topics", *topics),
            *("--wait-for-subscribers", waited, "--wait-timeout", "120"),
        ],
        output="screen",
    )


def has_ros2_bag() -> bool:
    """Whether `ros2 bag play` is installed."""
    try:
        get_package_prefix("ros2bag")
    except PackageNotFoundError:
        return False
    return True


def _transforms_topics(contents: BagContents) -> list[str]:
    with BagReader(contents.path) as reader:
        return [name for name, topic in reader.topics.items() if topic.type == TRANSFORMS_TYPE]


def _end_if_it_cannot_start(event: ProcessIO) -> None:
    """The perception node waits for somebody to put it right; here nobody would."""
    failure = start_failure(event.text.decode(errors="replace"))
    if failure is not None and event.process_name.startswith("perception_node"):
        raise UserError(failure)  # launch says it, ends everything and exits with 1


def _after_exit(event: ProcessExited, context: LaunchContext, player: Action, evaluate: bool) -> list[Action]:
    """The end of the bag ends the evaluation, and that everything; so does whatever ends before.

    Raises UserError for what has failed, unless everything is ending anyway: launch exits with 1 then.
    """
    if context.is_shutdown:
        return []
    if event.returncode != 0:
        raise UserError(f"{event.process_name} ended with code {event.returncode}")
    if event.action is player and evaluate:
        return []
    return [Shutdown(reason=f"{event.process_name} has ended")]
