"""Start the perception node, and RViz on request: `ros2 launch mp_perception perception.launch.py --show-args`.

An argument that is left empty does not overrule the parameter file.
"""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from mp_perception.files import share_folder
from mp_perception.inference.runtimes.registry import runtime_names
from mp_perception.model.checkpoint_description import backbone_names
from mp_perception.ros.large_images import large_image_environment

#: Arguments that are parameters of the node under the same name, and are passed on if they are not empty.
PARAMETER_ARGUMENTS = ("backbone", "weights", "device", "runtime", "image_transport")


def generate_launch_description() -> LaunchDescription:
    """Arguments, settings for large images, the node, RViz."""
    return LaunchDescription(
        [*declare_arguments(), *large_image_settings(), OpaqueFunction(function=start_nodes)],
    )


def declare_arguments() -> list[DeclareLaunchArgument]:
    """Every argument with its meaning and choices."""
    parameter_file = str(share_folder() / "config" / "perception.yaml")
    return [
        _argument("backbone", "", "network that looks at the image; empty: as in params_file", backbone_names()),
        _argument("weights", "", "weights file; empty: as in params_file, where empty means the backbone's own"),
        _argument("device", "", "auto, cpu, cuda or cuda:N; empty: as in params_file"),
        _argument("runtime", "", "what executes the network; empty: as in params_file", runtime_names()),
        _argument("image", "image", "topic of the camera images"),
        _argument("camera_info", "camera_info", "topic of the camera info"),
        _argument(
            "image_transport",
            "",
            "raw, or compressed for <image>/compressed; empty: as in params_file",
            ("raw", "compressed"),
        ),
        _argument("namespace", "", "namespace of the node and its topics"),
        _argument("params_file", parameter_file, "parameters of the node (YAML)"),
        DeclareLaunchArgument(
            "use_sim_time", default_value="false", choices=["true", "false"], description="take the time from /clock"
        ),
        DeclareLaunchArgument(
            "respawn",
            default_value="false",
            choices=["true", "false"],
            description="start the node again, after two seconds, when it ends: killed, out of memory, crashed",
        ),
        DeclareLaunchArgument(
            "log_level",
            default_value="info",
            choices=["debug", "info", "warn", "error", "fatal"],
            description="least severity of the node's log lines",
        ),
        DeclareLaunchArgument(
            "rviz",
            default_value="false",
            choices=["true", "false"],
            description="show image, overlay, depth, markers and point cloud in RViz",
        ),
        _argument("fixed_frame", "camera", "frame RViz draws in: the images' frame_id, or one connected to it by tf"),
    ]


def large_image_settings() -> list[SetEnvironmentVariable]:
    """The Fast DDS profile that lets images through, unless the user has settings or a middleware of their own."""
    return [SetEnvironmentVariable(name, value) for name, value in large_image_environment().items()]


def start_nodes(context: LaunchContext) -> list[Node]:
    """The perception node and RViz, with the values the arguments have now."""
    values = {name: LaunchConfiguration(name).perform(context) for name in context.launch_configurations}
    given = {name: ParameterValue(values[name], value_type=str) for name in PARAMETER_ARGUMENTS if values[name]}
    use_sim_time = values["use_sim_time"] == "true"
    if values["rviz"] == "true":
        given["publish_point_cloud"] = True
    topics = [("image", values["image"]), ("camera_info", values["camera_info"])]
    topics.append(("image/compressed", f"{values['image']}/compressed"))
    perception = Node(
        package="mp_perception",
        executable="perception_node",
        namespace=values["namespace"],
        parameters=[values["params_file"], {**given, "use_sim_time": use_sim_time}],
        remappings=topics,
        ros_arguments=["--log-level", values["log_level"]],
        respawn=values["respawn"] == "true",
        respawn_delay=2.0,
        output="screen",
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=values["namespace"],
        arguments=[
            "--display-config",
            str(share_folder() / "config" / "rviz" / "perception.rviz"),
            "--fixed-frame",
            values["fixed_frame"],
        ],
        parameters=[{"use_sim_time": use_sim_time}],
        remappings=topics,
        condition=IfCondition(values["rviz"]),
        output="screen",
    )
    return [perception, rviz]


def _argument(name: str, default: str, description: str, choices: tuple[str, ...] = ()) -> DeclareLaunchArgument:
    """An argument; the default is always among the choices."""
    allowed = list(dict.fromkeys([default, *choices])) if choices else None
    return DeclareLaunchArgument(name, default_value=default, description=description, choices=allowed)
