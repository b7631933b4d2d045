"""With respawn:=true a node that is killed, for example because memory ran out, is restarted."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from reliability.small_network import write_small_network

LAUNCH_FILE = Path(__file__).resolve().parents[2] / "launch" / "perception.launch.py"


@pytest.mark.dds
@pytest.mark.timeout(200)
def test_a_killed_node_is_restarted(
    launch_command: list[str], dds_environment: dict[str, str], tmp_path: Path, start_process: Any
) -> None:
    weights = write_small_network(tmp_path)
    log = tmp_path / "launch.txt"
    command = [*launch_command, "respawn:=true", "clean_shared_memory:=true", f"weights:={weights}"]
    with log.open("wb") as output:
        process = start_process(
            command, env={**dds_environment, "PYTHONUNBUFFERED": "1"}, stdout=output, stderr=subprocess.STDOUT
        )

    def wait_for_starts(number: int) -> str:
        deadline = time.monotonic() + 80
        while (text := log.read_text(errors="replace")).count("active: looking at") < number:
            assert time.monotonic() < deadline, text
            assert process.poll() is None, text
            time.sleep(0.2)
        return text

    (started,) = re.findall(r"process started with pid \[(\d+)\]", wait_for_starts(1))
    os.kill(int(started), signal.SIGKILL)
    wait_for_starts(2)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
