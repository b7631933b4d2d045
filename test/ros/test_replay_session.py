"""The processes of a replay session seen from outside: what they say, how they end, what a user's settings do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from mp_perception.errors import UserError
from mp_perception.ros.large_images import FAST_DDS_VARIABLES
from mp_perception.ros.replay_session import _watch_node, end_process, session_environment


def status(name: str, value: str) -> DiagnosticStatus:
    return DiagnosticStatus(level=DiagnosticStatus.ERROR, name=name, values=[KeyValue(key="state", value=value)])


def test_only_the_nodes_own_diagnostics_count() -> None:
    with _watch_node() as watcher:
        watcher._take(DiagnosticArray())
        watcher._take(DiagnosticArray(status=[status("battery", "empty")]))
        assert (watcher._values, watcher._level, watcher._count) == ({}, DiagnosticStatus.OK, 0)
        watcher._take(DiagnosticArray(status=[status("battery", "empty"), status("perception", "active")]))
        assert (watcher._values, watcher._level, watcher._count) == ({"state": "active"}, DiagnosticStatus.ERROR, 1)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("time.sleep(100)", None),
        (
            "signal.signal(signal.SIGINT, lambda *_: sys.exit(3)); ready(); time.sleep(100)",
            "node ended with code 3: bye",
        ),
        (
            "signal.signal(signal.SIGINT, signal.SIG_IGN); ready(); time.sleep(100)",
            "node has not ended 0.5 s after SIGINT: bye",
        ),
    ],
)
def test_a_process_that_does_not_end_well_is_named(tmp_path: Path, program: str, message: str | None) -> None:
    (tmp_path / "node.log").write_text("bye\n")
    start = "import signal, sys, time\ndef ready(): print('ready', flush=True)\n"
    ends_well = "signal.signal(signal.SIGINT, lambda *_: sys.exit(0)); ready(); " if message is None else ""
    process = subprocess.Popen([sys.executable, "-c", start + ends_well + program], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        if message is None:
            end_process(process, "node", tmp_path, patience=20)
        else:
            patience = 0.5 if "not ended" in message else 20
            with pytest.raises(UserError, match=f"^{message}"):
                end_process(process, "node", tmp_path, patience)
    finally:
        process.kill()
        process.communicate()


def test_a_users_own_settings_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*FAST_DDS_VARIABLES, "RMW_IMPLEMENTATION", "ROS_AUTOMATIC_DISCOVERY_RANGE"):
        monkeypatch.delenv(name, raising=False)
    ours = session_environment()
    assert Path(ours.pop("FASTDDS_DEFAULT_PROFILES_FILE")).is_file()
    assert ours == {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")
    assert session_environment() == {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}
