"""perception.launch.py, executed by the real launch and launch_ros."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mp_perception.errors import UserError
from mp_perception.ros.large_images import FAST_DDS_VARIABLES
from mp_perception.ros.parameters import PARAMETERS

LAUNCH_FILE = Path(__file__).resolve().parents[2] / "launch" / "perception.launch.py"
ARGUMENTS = PARAMETERS.keys() | {
    "image", "camera_info", "namespace", "name", "params_file", "use_sim_time", "respawn", "clean_shared_memory",
    "log_level", "rviz", "fixed_frame",
}  # fmt: skip

#: Publishes images until a detection comes; prints its frame and the metres of its objects.  Only rclpy and messages.
CAMERA = """
import sys, time
import rclpy
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

rclpy.init()
node = rclpy.create_node("camera")
received = []
node.create_subscription(Detection2DArray, "/street/detections", received.append, 5)
publisher = node.create_publisher(Image, "/street/camera/image_raw", 5)
image = Image(height=375, width=1242, encoding="mono8", step=1242, data=bytes(375 * 1242))
image.header.frame_id = "camera_left"
deadline = time.monotonic() + 60
while not received and time.monotonic() < deadline:
    image.header.stamp = node.get_clock().now().to_msg()
    publisher.publish(image)
    rclpy.spin_once(node, timeout_sec=0.1)
print(received[0].header.frame_id if received else "nothing received")
"""


def test_every_argument_has_a_description(launch_file: ModuleType) -> None:
    arguments = launch_file.generate_launch_description().get_launch_arguments()
    assert {argument.name for argument in arguments} == ARGUMENTS
    for argument in arguments:
        assert len(argument.description) > 10
    backbone = next(argument for argument in arguments if argument.name == "backbone")
    assert {"mobilenet_v2", "resnet50"} < set(backbone.choices)


@pytest.mark.parametrize("given", [True, False])
def test_the_profile_for_large_images_does_not_replace_the_users_own(
    launch: ModuleType, launch_file: ModuleType, monkeypatch: pytest.MonkeyPatch, given: bool
) -> None:
    for name in (*FAST_DDS_VARIABLES, "RMW_IMPLEMENTATION"):
        monkeypatch.delenv(name, raising=False)
    if given:
        monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", "mine.xml")
    context = launch.LaunchContext()
    for setting in launch_file.large_image_settings():
        setting.execute(context)
    path = context.environment["FASTDDS_DEFAULT_PROFILES_FILE"]
    assert path == "mine.xml" if given else Path(path).is_file()


def nodes(launch_file: ModuleType, **given: str) -> list[Any]:
    """The nodes that the launch file starts with these arguments."""
    from launch import LaunchContext

    context = LaunchContext()
    context.launch_configurations.update(given)
    for argument in launch_file.declare_arguments():
        argument.execute(context)
    return list(launch_file.perception_node(context))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"params_file": "/no/such.yaml"}, "params_file: /no/such.yaml: no such file"),
        ({"score_threshold": "high"}, "score_threshold: expected double, -1 or 0 to 1, found 'high'"),
    ],
)
def test_wrong_values_are_refused_with_one_line(launch_file: ModuleType, given: dict[str, str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        nodes(launch_file, **given)


@pytest.mark.parametrize("given", [True, False])
def test_shared_memory_is_cleaned_only_on_request(launch: ModuleType, launch_file: ModuleType, given: bool) -> None:
    (node,) = nodes(launch_file, clean_shared_memory=str(given).lower())
    words = [part.text for substitutions in node.cmd for part in substitutions if hasattr(part, "text")]
    assert ("--clean-shared-memory" in words) == given


def test_a_wrong_choice_is_refused(launch: ModuleType, launch_file: ModuleType) -> None:
    description = launch_file.generate_launch_description()
    argument = next(a for a in description.get_launch_arguments() if a.name == "backbone")
    context = launch.LaunchContext()
    context.launch_configurations["backbone"] = "vgg"
    with pytest.raises(RuntimeError, match="vgg"):
        argument.execute(context)


@pytest.mark.dds
@pytest.mark.timeout(120)
@pytest.mark.parametrize("backbone", ["mobilenet_v2", "resnet50"])
def test_launched_node_takes_its_arguments(start_launch: Any, backbone: str, dds_environment: dict[str, str]) -> None:
    street = start_launch(
        f"backbone:={backbone}", "namespace:=street", "image:=camera/image_raw", "device:=cpu", "log_level:=info"
    )
    text = street.wait_for_active_nodes(1)
    assert "active: looking at /street/camera/image_raw" in text
    assert f"backbone {backbone}" in text
    assert "device cpu" in text
    camera = subprocess.run(
        [sys.executable, "-c", CAMERA], env=dds_environment, capture_output=True, text=True, timeout=90, check=True
    )
    assert camera.stdout.strip() == "camera_left"
    os.killpg(street.process.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
    street.process.wait(20)
    assert "process has finished cleanly" in street.text(), street.text()
