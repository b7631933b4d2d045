"""Fixtures for launch files, which the real launch and launch_ros execute; without them the tests are skipped.

A test module names its file as LAUNCH_FILE.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

#: Runs a launch file with arguments name:=value, as `ros2 launch` does.
LAUNCHER = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

arguments = [tuple(argument.split(":=", 1)) for argument in sys.argv[2:]]
service = LaunchService(argv=sys.argv[2:])
source = PythonLaunchDescriptionSource(sys.argv[1])
service.include_launch_description(
    LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments)])
)
sys.exit(service.run())
"""


@pytest.fixture(scope="session")
def launch() -> ModuleType:
    """The package launch; skips the test without a ROS installation."""
    # Our folder launch/ can be imported by that name too, hence launch_ros first.
    reason = "launch and launch_ros come with a ROS installation, not from PyPI"
    pytest.importorskip("launch_ros", reason=reason, exc_type=ImportError)
    return importlib.import_module("launch")


@pytest.fixture(scope="module")
def launch_file(launch: ModuleType, request: pytest.FixtureRequest) -> ModuleType:
    """The test module's launch file, loaded as launch does."""
    utilities = importlib.import_module("launch.launch_description_sources.python_launch_file_utilities")
    module: ModuleType = utilities.load_python_launch_file_as_module(str(request.module.LAUNCH_FILE))
    return module


@pytest.fixture
def launch_command(launch: ModuleType, request: pytest.FixtureRequest) -> list[str]:
    """A command that runs the test module's launch file; arguments follow as name:=value.

    Skips where launch_ros would not find this package's executables.
    """
    from ament_index_python.packages import PackageNotFoundError, get_package_prefix

    try:
        get_package_prefix("mp_perception")
    except (PackageNotFoundError, LookupError):
        pytest.skip("mp_perception is not in an ament prefix: build it with colcon and source the workspace")
    return [sys.executable, "-c", LAUNCHER, str(request.module.LAUNCH_FILE)]


class Launched:
    """A launch file that runs, with its output in a file."""

    def __init__(self, process: subprocess.Popen[Any], log: Path) -> None:
        self.process = process
        self._log = log

    def text(self) -> str:
        """The output so far."""
        return self._log.read_text(errors="replace")

    def wait_for_active_nodes(self, number: int) -> str:
        """Until so many nodes have become active since the start; the output."""
        deadline = time.monotonic() + 120
        while (text := self.text()).count("active: looking at") < number:
            assert time.monotonic() < deadline, text
            assert self.process.poll() is None, text
            time.sleep(0.2)
        return text


@pytest.fixture
def start_launch(
    launch_command: list[str], dds_environment: dict[str, str], start_process: Any, tmp_path: Path
) -> Callable[..., Launched]:
    """Starts the test module's launch file with arguments."""

    def start(*arguments: str) -> Launched:
        environment = {**dds_environment, "PYTHONUNBUFFERED": "1"}
        del environment["FASTDDS_DEFAULT_PROFILES_FILE"]  # the launch file sets it
        log = tmp_path / "launch.txt"
        with log.open("wb") as output:
            command = [*launch_command, *arguments]
            process = start_process(command, env=environment, cwd=tmp_path, stdout=output, stderr=subprocess.STDOUT)
        return Launched(process, log)

    return start
