"""Nodes under test as separate processes (reliability/robot.py), which end with the test module."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import rclpy

from reliability.robot import NodeProcess, Robot


@pytest.fixture(scope="session")
def ros_context(dds_environment: dict[str, str]) -> Iterator[rclpy.Context]:
    """ROS in the process of the tests, with the settings of the processes that they start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", dds_environment["FASTDDS_DEFAULT_PROFILES_FILE"])
        context = rclpy.Context()
        rclpy.init(context=context)
        yield context
        rclpy.try_shutdown(context=context)


StartNode = Callable[..., tuple[NodeProcess, Robot]]


@pytest.fixture(scope="module")
def start_node(
    ros_context: rclpy.Context, dds_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartNode]:
    """Starts a node in a namespace with its own arguments; it ends with the module."""
    started: list[tuple[NodeProcess, Robot]] = []

    def start(namespace: str, *arguments: str) -> tuple[NodeProcess, Robot]:
        log = tmp_path_factory.mktemp("node") / "log.txt"
        pair = NodeProcess(dds_environment, log, namespace, *arguments), Robot(ros_context, namespace)
        started.append(pair)
        return pair

    yield start
    for process, robot in started:
        robot.close()
        if process.process.poll() is None:
            process.stop()
