"""The fixture start_process: what a test starts ends with the test, however the test ends."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

pytest_plugins = ["pytester"]

CHECKOUT = Path(__file__).resolve().parent.parent
#: Starts a process in a session of its own, as torchrun does with its workers, and waits.
PARENT = ["sh", "-c", "setsid sleep 600 & echo $!; wait"]


@pytest.mark.parametrize("end", ["pass", "time.sleep(60)"])
def test_processes_and_their_descendants_end_with_the_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    pids = pytester.path / "pids.txt"
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text())
    pytester.makepyfile(f"""
        import subprocess, time
        def test(start_process):
            parent = start_process({PARENT!r}, stdout=subprocess.PIPE, text=True)
            open({str(pids)!r}, "w").write(f"{{parent.pid}} {{parent.stdout.readline()}}")
            {end}
    """)
    result = pytester.runpytest_subprocess("--timeout=5", "-p", "no:cacheprovider")
    assert result.ret == (0 if end == "pass" else 1)
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) == 2
    deadline = time.monotonic() + 20
    while any(psutil.pid_exists(pid) for pid in started):
        assert time.monotonic() < deadline
        time.sleep(0.05)
