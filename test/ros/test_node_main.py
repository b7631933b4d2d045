"""How a node ends: by a signal, and if the middleware does not return."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

START = [sys.executable, "-m", "mp_perception.ros.perception_node", "--ros-args"]

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


@pytest.mark.dds
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-p", "score_treshold:=0.5"], "unknown parameter 'score_treshold': did you mean 'score_threshold'?"),
        (["-p", "colour:=red"], "unknown parameter 'colour': expected one of autostart, backbone"),
        (
            ["-r", "image:=/front/image", "-p", "qos_overrides./image.subscription.reliability:=reliable"],
            "did you mean 'qos_overrides./front/image.subscription.reliability'?",
        ),
        (["--params-file", "/no/such.yaml"], "/no/such.yaml"),
    ],
)
def test_parameters_that_do_not_exist_end_the_start_with_one_line(arguments: list[str], words: str) -> None:
    done = subprocess.run([*START, *arguments], capture_output=True, text=True, timeout=60, check=False)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2
    assert len(errors) == 1
    assert words in errors[0]


def test_a_misspelt_parameter_in_a_yaml_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("/**:\n  ros__parameters:\n    max_aeg: 1.0\n")
    done = subprocess.run([*START, "--params-file", path], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (2, "error: unknown parameter 'max_aeg': did you mean 'max_age'?\n")


_RUN = """
import resource, sys, threading
limit = sys.argv.pop(1)
if limit == "threads":
    def refuse(thread):
        raise RuntimeError("can't start new thread")
    threading.Thread.start = refuse
if limit == "files":
    import mp_perception.ros.node_main  # all files that this program itself needs
    resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))
from mp_perception.ros.node_main import run_main, start_errors

def run(arguments, stop):
    with start_errors():
        import rclpy
        rclpy.create_node("limited")
    print("runs")

sys.exit(run_main(run))
"""


def run_limited(limit: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if name not in ("HOME", "ROS_LOG_DIR", "ROS_HOME")}
    command = [sys.executable, "-c", _RUN, limit]
    return subprocess.run(command, env=variables | environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.dds
@pytest.mark.parametrize("environment", [{}, {"HOME": ""}])
def test_a_node_runs_without_a_home(environment: dict[str, str]) -> None:
    done = run_limited("none", **environment)
    assert (done.returncode, done.stdout) == (0, "runs\n")
    assert done.stderr == "the folder of log files (ROS_LOG_DIR, HOME): cannot be written: log files are off\n"


@pytest.mark.dds
@pytest.mark.parametrize(
    ("limit", "words"), [("threads", "expected room for 16 threads (ulimit -u, pids.max"), ("files", "cannot start: ")]
)
def test_exhausted_limits_end_the_start_with_one_line(limit: str, words: str, tmp_path: Path) -> None:
    done = run_limited(limit, HOME=str(tmp_path))
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2
    assert len(errors) == 1
    assert words in errors[0]
    assert "Traceback" not in done.stderr
