"""Start the perception node, and RViz on request: `ros2 launch mp_perception perception.launch.py --show-args`.

Every parameter of the node is an argument; an empty one does not override the parameter file.  For several cameras
see cameras.launch.py.
"""

from __future__ import annotations

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from mp_perception.errors import UserError
from mp_perception.files import share_folder
from mp_perception.ros.large_images import large_image_environment
from mp_perception.ros.launch_arguments import check_arguments
from mp_perception.ros.parameters import PARAMETERS, constraint_text, value_of_argument

#: Arguments that are passed on to rviz.launch.py under the same name.
RVIZ_ARGUMENTS = ("image", "namespace", "use_sim_time", "fixed_frame")


def generate_launch_description() -> LaunchDescription:
    """Arguments, settings for large images, the node, RViz."""
    arguments = declare_arguments()
    check = OpaqueFunction(function=check_arguments, args=[__file__, [argument.name for argument in arguments]])
    rviz = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(share_folder() / "launch" / "rviz.launch.py")),
        launch_arguments=[(name, LaunchConfiguration(name)) for name in RVIZ_ARGUMENTS],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    return LaunchDescription(
        [check, *arguments, *large_image_settings(), OpaqueFunction(function=perception_node), rviz]
    )


def declare_arguments() -> list[DeclareLaunchArgument]:
    """Every argument with its meaning and choices."""
    parameter_file = str(share_folder() / "config" / "perception.yaml")
    return [
        _argument("image", "image", "topic of the camera images; compressed ones come on <image>/compressed"),
        _argument("camera_info", "camera_info", "topic of the camera info"),
        _argument("namespace", "", "namespace of the node and its topics"),
        _argument("name", "perception", "name of the node"),
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
        _switch("rviz", "show image, overlay, depth, markers, tracks and point cloud in RViz"),
        _argument("fixed_frame", "camera", "fixed frame in RViz: frame_id of the images, or a frame that tf connects"),
        *_parameter_arguments(),
    ]


def large_image_settings() -> list[SetEnvironmentVariable]:
    """The Fast DDS profile for large images, unless the user has settings or a middleware of their own."""
    return [SetEnvironmentVariable(name, value) for name, value in large_image_environment().items()]


def perception_node(context: LaunchContext) -> list[Node]:
    """The perception node with the current values of the arguments."""
    values = {name: LaunchConfiguration(name).perform(context) for name in context.launch_configurations}
    if not Path(values["params_file"]).is_file():  # launch_ros would ignore it
        raise UserError(f"params_file: {values['params_file']}: no such file")
    given = {name: value_of_argument(name, values[name]) for name in sorted(PARAMETERS) if values[name]}
    given["use_sim_time"] = values["use_sim_time"] == "true"
    if values["rviz"] == "true":
        given["publish_point_cloud"] = True
    node = Node(
        package="mp_perception",
        executable="perception_node",
        name=values["name"],
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


def _parameter_arguments() -> list[DeclareLaunchArgument]:
    arguments = []
    for row in PARAMETERS.values():
        choices = ("true", "false") if isinstance(row.default, bool) else row.metadata["range"].choices
        allowed = "" if choices else f"{constraint_text(row)}; "
        description = f"{row.metadata['description']} ({allowed}empty: as in params_file)"
        arguments.append(_argument(row.name, "", description, ("", *choices) if choices else ()))
    return arguments


def _argument(name: str, default: str, description: str, choices: tuple[str, ...] = ()) -> DeclareLaunchArgument:
    return DeclareLaunchArgument(
        name, default_value=default, description=description, choices=list(choices) if choices else None
    )


def _switch(name: str, description: str) -> DeclareLaunchArgument:
    return _argument(name, "false", description, ("true", "false"))
