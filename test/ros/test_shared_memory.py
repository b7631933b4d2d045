"""Files as Fast DDS leaves them, in a temporary folder, and a process that has one of them open."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mp_perception.ros.shared_memory import avoid_stale_ports, exit_if_full, remove_stale_segments

_HOLDER = """
import mmap, sys
with open(sys.argv[1], "r+b") as file:
    memory = mmap.mmap(file.fileno(), 0)
print("open", flush=True)
sys.stdin.read()
"""


@contextmanager
def opened(path: Path) -> Iterator[None]:
    """Another process has mapped the file."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """The lock of a running owner; flock belongs to the open file, so a lock of this process has the same effect."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def appears_taken(folder: Path, name: str) -> bool:
    """Whether Fast DDS would skip this port."""
    with (folder / f"{name}_el").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def make(folder: Path, name: str, with_lock: bool = True) -> Path:
    path = folder / name
    path.write_bytes(bytes(4096))
    if with_lock:
        (folder / f"{name}_el").touch()
    return path


def test_only_segments_whose_owner_has_ended_are_removed(tmp_path: Path) -> None:
    make(tmp_path, "fastdds_0123456789abcdef")
    make(tmp_path, "fastdds_00112233445566aa")
    make(tmp_path, "fastdds_port7411")
    make(tmp_path, "fastdds_ffffffffffffffff", with_lock=False)
    make(tmp_path, "other_file")
    with locked(tmp_path / "fastdds_00112233445566aa_el"):
        assert remove_stale_segments(tmp_path) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "fastdds_00112233445566aa",
        "fastdds_00112233445566aa_el",
        "fastdds_ffffffffffffffff",
        "fastdds_port7411",
        "fastdds_port7411_el",
        "other_file",
        "other_file_el",
    ]


def test_segments_of_another_user_remain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = make(tmp_path, "fastdds_0123456789abcdef")
    monkeypatch.setattr(os, "getuid", lambda: segment.stat().st_uid + 1)
    assert remove_stale_segments(tmp_path) == 0
    assert segment.exists()


def test_a_stale_port_that_a_sender_has_open_appears_taken(tmp_path: Path) -> None:
    port = make(tmp_path, "fastdds_port7415")
    with opened(port):
        assert not appears_taken(tmp_path, "fastdds_port7415")
        with avoid_stale_ports(tmp_path) as avoided:
            assert avoided == ["fastdds_port7415"]
            assert appears_taken(tmp_path, "fastdds_port7415")
        assert not appears_taken(tmp_path, "fastdds_port7415")
        assert port.exists()


def test_a_removed_port_that_a_sender_has_open_appears_taken(tmp_path: Path) -> None:
    port = make(tmp_path, "fastdds_port7415", with_lock=False)
    with opened(port):
        port.unlink()
        with avoid_stale_ports(tmp_path) as avoided:
            assert avoided == ["fastdds_port7415"]
            assert appears_taken(tmp_path, "fastdds_port7415")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_open", [True, False])
def test_ports_in_use_and_ports_that_no_sender_has_open_are_not_locked(tmp_path: Path, is_open: bool) -> None:
    port = make(tmp_path, "fastdds_port7415")
    if is_open:
        with opened(port), locked(tmp_path / "fastdds_port7415_el"), avoid_stale_ports(tmp_path) as avoided:
            assert avoided == []
    else:
        with avoid_stale_ports(tmp_path) as avoided:
            assert avoided == []
            assert not appears_taken(tmp_path, "fastdds_port7415")


def test_a_missing_folder_is_not_an_error(tmp_path: Path) -> None:
    assert remove_stale_segments(tmp_path / "absent") == 0
    with avoid_stale_ports(tmp_path / "absent") as avoided:
        assert avoided == []


#: Runs a node with a full /dev/shm of its own.
_FULL = """
mount -t tmpfs -o size=64k tmpfs /dev/shm
head -c 65536 /dev/zero > /dev/shm/full
exec "$@"
"""


def test_a_full_shared_memory_ends_a_node_with_one_line() -> None:
    private = ["unshare", "--map-root-user", "--mount", "sh", "-ec", _FULL, "sh"]
    if subprocess.run([*private, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is not permitted here")
    command = [*private, sys.executable, "-m", "mp_perception.ros.perception_node"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: cannot start: /dev/shm: expected 16384 bytes free, found 0; `fastdds shm clean`"
    )
    assert done.stderr.count("\n") == 1


def test_a_machine_without_shared_memory_is_accepted(tmp_path: Path) -> None:
    """Otherwise it raises SystemExit, which would end the test run."""
    assert exit_if_full(tmp_path / "none") is None
    assert exit_if_full(tmp_path) is None
