"""The end of a node whose middleware does not come back."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

_STUCK_NODE = """
import ctypes
from rclpy.node import Node
from mp_perception.ros.running import run_node

def stuck(node, limit):
    print("stuck", flush=True)
    ctypes.PyDLL(None).sleep(60)  # PyDLL keeps Python's lock, as a call into rclpy does

class Patient(Node):
    def __init__(self):
        super().__init__("patient")
        print("runs", flush=True)

run_node(Patient, stuck)
"""


@pytest.mark.slow
@pytest.mark.dds
def test_a_node_that_is_stuck_below_python_ends_and_says_where() -> None:
    node = subprocess.Popen(
        [sys.executable, "-c", _STUCK_NODE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert node.stdout is not None
        assert node.stdout.readline() == "runs\n"
        node.send_signal(signal.SIGTERM)
        assert node.stdout.readline() == "stuck\n"
        start = time.monotonic()
        _, errors = node.communicate(timeout=30)
        assert node.returncode == 1
        assert 3 < time.monotonic() - start < 15
        assert "in stuck" in errors
    finally:
        node.kill()
