"""Start the perception node, and RViz on request: `ros2 launch mp_perception perception.launch.py --show-args`.

An empty argument does not override the parameter file.
"""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from mp_perception.files import share_folder
from mp_perception.inference.runtimes.registry import runtime_names
from mp_perception.model.checkpoint_description import backbone_names
from mp_perception.ros.large_images import large_image_environment

#: Arguments that are parameters of the node under the same name; they are passed on unless they are empty.
PARAMETER_ARGUMENTS = ("backbone", "weights", "device", "runtime", "image_transport")
#: Arguments that are passed on to rviz.launch.py under the same name.
RVIZ_ARGUMENTS = ("image", "namespace", "use_sim_time", "fixed_frame")


def generate_launch_description() -> LaunchDescription:
    """Arguments, settings for large images, the node, RViz."""
    rviz = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(share_folder() / "launch" / "rviz.launch.py")),
        launch_arguments=[(name, LaunchConfiguration(name)) for name in RVIZ_ARGUMENTS],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    return LaunchDescription(
        [*declare_arguments(), *large_image_settings(), OpaqueFunction(function=perception_node), rviz]
    )


def declare_arguments() -> list[DeclareLaunchArgument]:
    """Every argument with its meaning and choices."""
    parameter_file = str(share_folder() / "config" / "perception.yaml")
    return [
        _argument("backbone", "", "network; empty: as in params_file", ("", *backbone_names())),
        _argument("weights", "", "weights file; empty: as in params_file, where empty means the backbone's default"),
        _argument("device", "", "auto, cpu, cuda or cuda:N; empty: as in params_file"),
        _argument("runtime", "", "library that runs the network; empty: as in params_file", ("", *runtime_names())),
        _argument("image", "image", "topic of the camera images"),
        _argument("camera_info", "camera_info", "topic of the camera info"),
        _argument(
            "image_transport",
            "",
            "raw, or compressed for <image>/compressed; empty: as in params_file",
            ("", "raw", "compressed"),
        ),
        _argument("namespace", "", "namespace of the node and its topics"),
        _argument("params_file", parameter_file, "parameters of the node (YAML)"),
        _switch("use_sim_time", "take time from /clock"),
        _switch("respawn", "restart the node two seconds after it ends: killed, out of memory, crashed"),
        _switch(
            "clean_shared_memory",
            "at start, remove this user's stale Fast DDS segments and avoid stale ports; useful with respawn",
        ),
        _argument(
            "log_level", "info", "minimum severity of the node's log lines", ("debug", "info", "warn", "error", "fatal")
        ),
        _switch("rviz", "show image, overlay, depth, markers and point cloud in RViz"),
        _argument("fixed_frame", "camera", "fixed frame in RViz: frame_id of the images, or a frame that tf connects"),
    ]


def large_image_settings() -> list[SetEnvironmentVariable]:
    """The Fast DDS profile for large images, unless the user has settings or a middleware of their own."""
    return [SetEnvironmentVariable(name, value) for name, value in large_image_environment().items()]


def perception_node(context: LaunchContext) -> list[Node]:
    """The perception node with the current values of the arguments."""
    values = {name: LaunchConfiguration(name).perform(context) for name in context.launch_configurations}
    given = {name: ParameterValue(values[name], value_type=str) for name in PARAMETER_ARGUMENTS if values[name]}
    given["use_sim_time"] = values["use_sim_time"] == "true"
    if values["rviz"] == "true":
        given["publish_point_cloud"] = True
    node = Node(
        package="mp_perception",
        executable="perception_node",
        namespace=values["namespace"],
        arguments=["--clean-shared-memory"] if values["clean_shared_memory"] == "true" else [],
        parameters=[values["params_file"], given],
        remappings=[
            ("image", values["image"]),
            ("image/compressed", f"{values['image']}/compressed"),
            ("camera_info", values["camera_info"]),
        ],
        ros_arguments=["--log-level", values["log_level"]],
        respawn=values["respawn"] == "true",
        respawn_delay=2.0,
        output="screen",
    )
    return [node]


def _argument(name: str, default: str, description: str, choices: tuple[str, ...] = ()) -> DeclareLaunchArgument:
    return DeclareLaunchArgument(
        name, default_value=default, description=description, choices=list(choices) if choices else None
    )


def _switch(name: str, description: str) -> DeclareLaunchArgument:
    return _argument(name, "false", description, ("true", "false"))
