"""A node that the kernel kills (out of memory) comes again where perception.launch.py is asked for it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from reliability.small_network import write_small_network

LAUNCH_FILE = Path(__file__).resolve().parents[2] / "launch" / "perception.launch.py"


@pytest.mark.dds
@pytest.mark.timeout(200)
def test_a_killed_node_comes_again(launch_command: list[str], dds_environment: dict[str, str], tmp_path: Path) -> None:
    write_small_network(tmp_path)
    log = tmp_path / "launch.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*launch_command, "respawn:=true", f"weights:={tmp_path / 'small.onnx'}"],
            env={**dds_environment, "PYTHONUNBUFFERED": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait_for_starts(number: int) -> str:
        deadline = time.monotonic() + 80
        while (text := log.read_text(errors="replace")).count("active: looking at") < number:
            assert time.monotonic() < deadline, text
            assert process.poll() is None, text
            time.sleep(0.2)
        return text

    try:
        (started,) = re.findall(r"process started with pid \[(\d+)\]", wait_for_starts(1))
        os.kill(int(started), signal.SIGKILL)
        wait_for_starts(2)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
