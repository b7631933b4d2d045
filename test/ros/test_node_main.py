"""How a node ends: by a signal, and if the middleware does not return."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import pytest

_STUCK_NODE = """
import ctypes, sys
from rclpy.node import Node
from mp_perception.ros.node_main import run_main, spin_until_signal

def stuck(limit):
    print("stuck", flush=True)
    ctypes.PyDLL(None).sleep(60)  # PyDLL keeps Python's lock, as a call into rclpy does

def run(arguments, stop):
    node = Node("patient")
    print("runs", flush=True)
    spin_until_signal(node, stop, stuck)

sys.exit(run_main(run))
"""


@pytest.mark.slow
@pytest.mark.dds
def test_a_node_that_is_stuck_below_python_ends_with_a_traceback(start_process: Any) -> None:
    node = start_process([sys.executable, "-c", _STUCK_NODE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert node.stdout.readline() == "runs\n"
    node.send_signal(signal.SIGTERM)
    assert node.stdout.readline() == "stuck\n"
    _, errors = node.communicate(timeout=30)
    assert node.returncode == 1
    assert "in stuck" in errors
