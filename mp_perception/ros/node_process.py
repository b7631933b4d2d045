"""Our nodes as child processes that exchange images on this machine, each with a log file."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from mp_perception.errors import UserError
from mp_perception.ros.large_images import large_image_environment

#: Time that a process has to end after SIGINT, seconds.  A recorder may have a full queue to write.
_END_LIMIT = 60.0
#: The same after a failure of another process.
_ABORT_LIMIT = 5.0
#: Runs a program that gets SIGTERM if this process is killed.
_WITH_PARENT = ("setpriv", "--pdeathsig", "TERM") if shutil.which("setpriv") else ()


class NodeProcess:
    """An executable of this package as a process; leaving the context ends it, by SIGKILL if necessary.

    Args:
        executable: "perception_node", "replay_node" or "record_node", or another module of `package` with a main.
        log_folder: existing folder for its output, <executable>.log.
        arguments: of the executable.
        remappings, parameters: ROS arguments by name.
        parameter_file: YAML file of parameters; `parameters` override it.
        package: of the executable.
    """

    def __init__(
        self,
        executable: str,
        log_folder: Path,
        arguments: Sequence[str] = (),
        *,
        remappings: Mapping[str, str] | None = None,
        parameters: Mapping[str, object] | None = None,
        parameter_file: Path | None = None,
        package: str = "mp_perception.ros",
    ) -> None:
        self.executable = executable
        self.log = log_folder / f"{executable}.log"
        ros_arguments = [part for name, topic in (remappings or {}).items() for part in ("-r", f"{name}:={topic}")]
        if parameter_file is not None:
            ros_arguments += ["--params-file", str(parameter_file)]
        ros_arguments += [part for name, value in (parameters or {}).items() for part in ("-p", f"{name}:={value}")]
        command = [sys.executable, "-m", f"{package}.{executable}", *arguments, "--ros-args", *ros_arguments]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*_WITH_PARENT, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(_ABORT_LIMIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def check_running(self) -> None:
        """Raises UserError if the process has ended."""
        if self.process.poll() is not None:
            raise UserError(f"{self.executable} ended early: {self.last_line()}")

    def end(self) -> None:
        """End the process by SIGINT.  Raises UserError as `wait`."""
        self.process.send_signal(signal.SIGINT)
        self.wait()

    def wait(self, limit: float = _END_LIMIT) -> None:
        """Wait for the end of the process.  Raises UserError if it fails or takes longer than `limit` seconds."""
        try:
            code = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise UserError(f"{self.executable} still runs after {limit:g} s: {self.last_line()}") from None
        if code != 0:
            raise UserError(f"{self.executable} ended with code {code}: {self.last_line()}")

    def text(self) -> str:
        """The content of the log."""
        return self.log.read_text(errors="replace")

    def last_line(self) -> str:
        """The last line of the log, and where the log is."""
        lines = [line for line in self.text().splitlines() if line.strip()]
        return f"{lines[-1].strip() if lines else 'no output'} (log: {self.log})"


def session_environment() -> dict[str, str]:
    """Variables for processes that exchange images on this machine; the user's own settings take precedence."""
    discovery = "ROS_AUTOMATIC_DISCOVERY_RANGE"
    return {discovery: os.environ.get(discovery, "LOCALHOST"), **large_image_environment()}
