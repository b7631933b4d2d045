"""Our executables as child processes: how their failures are reported, and the user's settings for DDS."""

from __future__ import annotations

from pathlib import Path

import pytest

from mp_perception.errors import UserError
from mp_perception.ros.large_images import FAST_DDS_VARIABLES
from mp_perception.ros.node_process import NodeProcess, session_environment


def test_a_process_that_fails_is_named_with_its_last_line(tmp_path: Path) -> None:
    with NodeProcess("replay_node", tmp_path, ["/nowhere"]) as node:
        with pytest.raises(UserError, match=r"^replay_node ended with code 2: error: /nowhere: no such bag \(log: "):
            node.wait()
        with pytest.raises(UserError, match="^replay_node ended early: error: /nowhere: no such bag"):
            node.check_running()


@pytest.mark.dds
def test_no_process_outlives_its_context(tmp_path: Path) -> None:
    with NodeProcess("record_node", tmp_path, [str(tmp_path / "bag"), "--topics", "/x"]) as node:
        node.check_running()
        with pytest.raises(UserError, match=r"^record_node still runs after 0.1 s: "):
            node.wait(0.1)
    assert node.process.poll() is not None


@pytest.mark.parametrize(
    ("variable", "value", "set_by_us"),
    [
        ("ROS_DOMAIN_ID", "5", True),
        ("FASTDDS_DEFAULT_PROFILES_FILE", "mine.xml", False),
        ("FASTRTPS_DEFAULT_PROFILES_FILE", "mine.xml", False),
        ("FASTDDS_BUILTIN_TRANSPORTS", "LARGE_DATA", False),
        ("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp", False),
        ("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp", True),
    ],
)
def test_the_users_own_settings_take_precedence(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, set_by_us: bool
) -> None:
    for name in (*FAST_DDS_VARIABLES, "RMW_IMPLEMENTATION", "ROS_AUTOMATIC_DISCOVERY_RANGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, value)
    ours = session_environment()
    assert ours.pop("ROS_AUTOMATIC_DISCOVERY_RANGE") == "LOCALHOST"
    assert [Path(path).is_file() for path in ours.values()] == [True] * set_by_us
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    assert session_environment()["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"
