"""cameras.launch.py, executed by the real launch and launch_ros: two cameras, each with its own arguments."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rclpy.parameter import parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient

from mp_perception.ros.node_probe import NodeProbe
from reliability.small_network import write_small_network

LAUNCH_FILE = Path(__file__).resolve().parents[2] / "launch" / "cameras.launch.py"

CAMERAS = """
- namespace: front
  image: /front/image_raw
  params_file: front.yaml
  weights: {weights}
  classes: [Car]
- namespace: rear
  image: /rear/image_raw
  name: eyes
  weights: {weights}
  max_age: 2
"""
PARAMETERS = "/**:\n  ros__parameters:\n    score_threshold: 0.75\n    max_detections: 7\n"


def test_every_argument_has_a_description(launch_file: ModuleType) -> None:
    arguments = launch_file.generate_launch_description().get_launch_arguments()
    assert {argument.name for argument in arguments} == {"cameras", "use_sim_time"}
    for argument in arguments:
        assert len(argument.description) > 10


@pytest.mark.dds
@pytest.mark.timeout(180)
def test_no_argument_of_a_camera_reaches_the_next(start_launch: Any, tmp_path: Path) -> None:
    (tmp_path / "cameras.yaml").write_text(CAMERAS.format(weights=write_small_network(tmp_path)))
    (tmp_path / "front.yaml").write_text(PARAMETERS)
    cameras = start_launch(f"cameras:={tmp_path / 'cameras.yaml'}")
    text = cameras.wait_for_active_nodes(2)
    names = ["score_threshold", "max_detections", "max_age", "classes"]
    assert parameters("/front/perception", names) == [0.75, 7, 0.5, ["Car"]]
    assert parameters("/rear/eyes", names) == [-1.0, 100, 2.0, [""]]
    for camera in ("front", "rear"):
        assert f"active: looking at /{camera}/image_raw" in text
    os.killpg(cameras.process.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
    assert cameras.process.wait(20) == 0


def parameters(node: str, names: list[str]) -> list[Any]:
    """Parameters of a running node."""
    with NodeProbe() as probe:
        client = AsyncParameterClient(probe.node, node)
        probe.wait_until(client.services_are_ready, "no parameter services", 30)
        future = client.get_parameters(names)
        probe.wait_until(future.done, "no answer", 30)
        return [parameter_value_to_python(value) for value in future.result().values]
