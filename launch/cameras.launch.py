"""Start a perception node for each camera: `ros2 launch mp_perception cameras.launch.py cameras:=cameras.yaml`.

The file is a list of arguments of perception.launch.py; docs/on_a_robot.md has an example.  No argument leaks from one
camera to the next: each has a scope of its own, and a value for every argument.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.utilities import perform_substitutions

from mp_perception.files import share_folder
from mp_perception.ros.launch_arguments import check_arguments, read_cameras


def generate_launch_description() -> LaunchDescription:
    """Arguments, and a group for each camera."""
    arguments = [
        DeclareLaunchArgument(
            "cameras", description="YAML file: list with the arguments of perception.launch.py for each camera"
        ),
        DeclareLaunchArgument(
            "use_sim_time", default_value="false", choices=["true", "false"], description="take time from /clock"
        ),
    ]
    check = OpaqueFunction(function=check_arguments, args=[__file__, [argument.name for argument in arguments]])
    return LaunchDescription([check, *arguments, OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list[GroupAction]:
    """A group with perception.launch.py for each camera."""
    source = PythonLaunchDescriptionSource(str(share_folder() / "launch" / "perception.launch.py"))
    declared = source.get_launch_description(context).get_launch_arguments()
    defaults = {argument.name: perform_substitutions(context, argument.default_value) for argument in declared}
    defaults["use_sim_time"] = context.launch_configurations["use_sim_time"]
    cameras = read_cameras(Path(context.launch_configurations["cameras"]), list(defaults))
    return [_group(source, defaults | arguments) for arguments in cameras]


def _group(source: Any, arguments: dict[str, str]) -> GroupAction:
    return GroupAction([IncludeLaunchDescription(source, launch_arguments=list(arguments.items()))], scoped=True)
