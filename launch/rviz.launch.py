"""RViz with image, overlay, coloured depth, markers and points of one perception node."""

from __future__ import annotations

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from mp_perception.files import share_folder


def generate_launch_description() -> LaunchDescription:
    """Arguments and RViz."""
    return LaunchDescription(
        [
            DeclareLaunchArgument("image", default_value="image", description="topic of the camera images"),
            DeclareLaunchArgument("namespace", default_value="", description="namespace of the perception node"),
            DeclareLaunchArgument(
                "use_sim_time", default_value="false", choices=["true", "false"], description="take time from /clock"
            ),
            DeclareLaunchArgument(
                "fixed_frame", default_value="camera", description="frame_id of the images, or a frame that tf connects"
            ),
            Node(
                package="rviz2",
                executable="rviz2",
                namespace=LaunchConfiguration("namespace"),
                arguments=[
                    "--display-config",
                    str(share_folder() / "config" / "rviz" / "perception.rviz"),
                    "--fixed-frame",
                    LaunchConfiguration("fixed_frame"),
                ],
                parameters=[{"use_sim_time": LaunchConfiguration("use_sim_time")}],
                remappings=[("image", LaunchConfiguration("image"))],
                output="screen",
            ),
        ]
    )
