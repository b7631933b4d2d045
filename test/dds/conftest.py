"""Nodes under test as separate processes, which end with the test module.

A module that tests one node has a fixture `node_and_robot`; `node` and `robot` are its parts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from vision_msgs.msg import Detection2DArray

from mp_perception.ros.node_process import NodeProcess
from reliability.robot import Robot

StartNode = Callable[..., tuple[NodeProcess, Robot]]


@pytest.fixture(scope="module")
def start_node(dds_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartNode]:
    """Starts a node in a namespace with its own arguments and parameters; it ends with the module.

    It is active, or with autostart=False waits; its detections are received.
    reliable: topics whose messages must not be lost on a busy machine, as best-effort ones may be.
    """
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", dds_environment["FASTDDS_DEFAULT_PROFILES_FILE"])

        def start(
            namespace: str,
            *arguments: str,
            reliable: Collection[str] = (),
            parameter_file: Path | None = None,
            **parameters: Any,
        ) -> tuple[NodeProcess, Robot]:
            for topic in reliable:
                parameters[f"qos_overrides.{namespace}/{topic}.subscription.reliability"] = "reliable"
            node = NodeProcess(
                "perception_node",
                tmp_path_factory.mktemp("node"),
                arguments,
                remappings={"__ns": namespace},
                parameters=parameters,
                parameter_file=parameter_file,
            )
            stack.enter_context(node)
            robot = stack.enter_context(Robot(namespace))
            robot.subscribe(Detection2DArray, "detections")
            if parameters.get("autostart", True):
                robot.wait_for_log(node, f"active: looking at {namespace}/image")
                robot.wait_for_publisher("detections")
            else:
                robot.wait_for_log(node, "waiting to be configured")
            return node, robot

        yield start


@pytest.fixture
def node(node_and_robot: tuple[NodeProcess, Robot]) -> NodeProcess:
    """The module's node."""
    return node_and_robot[0]


@pytest.fixture
def robot(node_and_robot: tuple[NodeProcess, Robot]) -> Robot:
    """The counterpart of the module's node."""
    return node_and_robot[1]
