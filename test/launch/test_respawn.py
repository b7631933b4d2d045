"""With respawn:=true a node that is killed, for example because memory ran out, is restarted."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from reliability.small_network import write_small_network

LAUNCH_FILE = Path(__file__).resolve().parents[2] / "launch" / "perception.launch.py"


@pytest.mark.dds
@pytest.mark.timeout(200)
def test_a_killed_node_is_restarted(start_launch: Any, tmp_path: Path) -> None:
    weights = write_small_network(tmp_path)
    launched = start_launch("respawn:=true", "clean_shared_memory:=true", f"weights:={weights}")
    (started,) = re.findall(r"process started with pid \[(\d+)\]", launched.wait_for_active_nodes(1))
    os.kill(int(started), signal.SIGKILL)
    launched.wait_for_active_nodes(2)
    launched.process.send_signal(signal.SIGINT)
    assert launched.process.wait(20) == 0
