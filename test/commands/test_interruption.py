"""A command that is interrupted ends its processes, removes its temporary files and prints no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

COMMAND = [sys.executable, "-m", "mp_perception.commands.main", "synthetic", "street", "--frames", "200"]


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left(tmp_path: Path, start_process, sent: signal.Signals) -> None:
    """Two workers render; SIGINT goes to all processes, as from a terminal, SIGTERM to the first one only."""
    command = start_process(
        [*COMMAND, "--workers", "2", "--size", "160x64"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.rglob("*.jpg")) and not list(tmp_path.rglob("image_02/data/*")):
        assert command.poll() is None, command.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    children = psutil.Process(command.pid).children(recursive=True)
    assert len(children) >= 2
    os.killpg(command.pid, sent) if sent == signal.SIGINT else command.send_signal(sent)
    _, errors = command.communicate(timeout=120)
    assert command.returncode == 130
    assert list(tmp_path.iterdir()) == []
    assert "Traceback" not in errors, errors
    psutil.wait_procs(children, timeout=60)
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
