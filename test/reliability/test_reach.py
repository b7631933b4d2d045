"""What the node may write and whom it may talk to (docs/reliability.md), seen from the kernel by strace."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reliability.small_network import write_small_network

pytestmark = [pytest.mark.dds, pytest.mark.slow, pytest.mark.timeout(280)]

CALLS = (
    "openat,open,creat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,truncate,connect,execve,sendto,sendmsg"
)


@pytest.fixture(scope="module")
def calls(dds_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """The successful system calls of a node from its start to its end, and the folder it was given for its logs."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    folder = tmp_path_factory.mktemp("reach")
    write_small_network(folder)
    trace, output, logs = folder / "trace.txt", folder / "output.txt", folder / "logs"
    node = ["-m", "mp_perception.ros.perception_node", "--ros-args", "-p", "weights:=small.onnx"]
    environment = {**dds_environment, "ROS_LOG_DIR": str(logs), "PYTHONDONTWRITEBYTECODE": "1"}
    with output.open("wb") as log:
        process = subprocess.Popen(
            ["strace", "-f", "-qq", "-s", "200", "-e", f"trace={CALLS}", "-o", str(trace), sys.executable, *node],
            cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 200
        while "active: looking at" not in output.read_text():
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.5)
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    lines = [line for line in trace.read_text().splitlines() if " = -1 " not in line and "resumed>" not in line]
    assert len(lines) > 100
    return lines, logs


def test_nothing_is_written_but_logs_and_shared_memory(calls: tuple[list[str], Path]) -> None:
    lines, logs = calls
    changing = [
        line for line in lines if re.search(r"O_WRONLY|O_RDWR|O_CREAT|rename|unlink|mkdir|truncate|creat\(", line)
    ]
    named = [(line, re.search(r'"([^"]+)"', line)) for line in changing]
    allowed = re.compile(rf"({re.escape(str(logs))}|/dev/shm/|/dev/null$|/dev/tty$|/proc/self/)")
    assert any(str(logs) in line for line in changing)
    assert [line for line, path in named if path is None or not allowed.match(path[1])] == []


def test_nobody_is_talked_to_but_other_dds_nodes(calls: tuple[list[str], Path], ros_domain_id: int) -> None:
    lines, _ = calls
    addresses = [
        (line, int(match[1]), match[2])
        for line in lines
        if (match := re.search(r'sin_port=htons\((\d+)\), sin_addr=inet_addr\("([\d.]+)"\)', line))
    ]
    assert any(address == "239.255.0.1" for _, _, address in addresses)  # where DDS nodes find each other
    ports = range(7400 + 250 * ros_domain_id, 7400 + 250 * ros_domain_id + 250)
    strange = [line for line, port, _ in addresses if port not in ports and "SOCK_DGRAM" not in line]
    assert strange == []
    assert [line for line in lines if "AF_INET6" in line or ("connect(" in line and "AF_UNIX" not in line)] == []


def test_openvino_has_nobody_to_report_to() -> None:
    code = "import mp_perception, openvino.tools.ovc.telemetry_utils as used; print(used.tm.__name__)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert result.stdout.strip() == "openvino.tools.ovc.telemetry_stub", result.stderr


def test_no_other_program_is_run(calls: tuple[list[str], Path]) -> None:
    programs = [line for line in calls[0] if "execve(" in line]
    assert len(programs) == 1, programs
