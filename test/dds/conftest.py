"""Nodes under test as separate processes, which end with the test module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mp_perception.ros.node_process import NodeProcess
from reliability.robot import Robot

StartNode = Callable[..., tuple[NodeProcess, Robot]]


@pytest.fixture(scope="module")
def start_node(dds_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartNode]:
    """Starts a node in a namespace with its own arguments and parameters; it ends with the module."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", dds_environment["FASTDDS_DEFAULT_PROFILES_FILE"])

        def start(
            namespace: str, *arguments: str, parameter_file: Path | None = None, **parameters: Any
        ) -> tuple[NodeProcess, Robot]:
            node = NodeProcess(
                "perception_node",
                tmp_path_factory.mktemp("node"),
                arguments,
                remappings={"__ns": namespace},
                parameters=parameters,
                parameter_file=parameter_file,
            )
            return stack.enter_context(node), stack.enter_context(Robot(namespace))

        yield start
