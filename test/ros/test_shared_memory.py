"""Files as Fast DDS leaves them, in a folder of the test's own, and a process that has one of them open."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mp_perception.ros.shared_memory import ports_of_the_dead_avoided, remove_segments_of_the_dead

_HOLDER = """
import mmap, sys
with open(sys.argv[1], "r+b") as file:
    memory = mmap.mmap(file.fileno(), 0)
print("open", flush=True)
sys.stdin.read()
"""


@contextmanager
def opened(path: Path) -> Iterator[None]:
    """Another process has a file in its memory."""
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
    """A living owner's lock; flock belongs to the open file, so one of this process serves as well."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def looks_taken(folder: Path, name: str) -> bool:
    """What Fast DDS asks about a port before it takes it."""
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


def test_only_segments_of_the_dead_are_removed(tmp_path: Path) -> None:
    make(tmp_path, "fastdds_0123456789abcdef")
    make(tmp_path, "fastdds_00112233445566aa")
    make(tmp_path, "fastdds_port7411")
    make(tmp_path, "fastdds_ffffffffffffffff", with_lock=False)
    make(tmp_path, "somebody_elses")
    with locked(tmp_path / "fastdds_00112233445566aa_el"):
        assert remove_segments_of_the_dead(tmp_path) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "fastdds_00112233445566aa",
        "fastdds_00112233445566aa_el",
        "fastdds_ffffffffffffffff",
        "fastdds_port7411",
        "fastdds_port7411_el",
        "somebody_elses",
        "somebody_elses_el",
    ]


def test_what_belongs_to_another_user_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(1, "Operation not permitted", str(self))

    make(tmp_path, "fastdds_0123456789abcdef")
    monkeypatch.setattr(Path, "unlink", refuse)
    assert remove_segments_of_the_dead(tmp_path) == 0


def test_a_port_of_the_dead_that_is_open_elsewhere_looks_taken(tmp_path: Path) -> None:
    port = make(tmp_path, "fastdds_port7415")
    with opened(port):
        assert not looks_taken(tmp_path, "fastdds_port7415")
        with ports_of_the_dead_avoided(tmp_path) as avoided:
            assert avoided == ["fastdds_port7415"]
            assert looks_taken(tmp_path, "fastdds_port7415")
        assert not looks_taken(tmp_path, "fastdds_port7415")
        assert port.exists()


def test_a_port_that_was_removed_under_its_sender_looks_taken(tmp_path: Path) -> None:
    port = make(tmp_path, "fastdds_port7415", with_lock=False)
    with opened(port):
        port.unlink()
        with ports_of_the_dead_avoided(tmp_path) as avoided:
            assert avoided == ["fastdds_port7415"]
            assert looks_taken(tmp_path, "fastdds_port7415")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_open", [True, False])
def test_ports_of_the_living_and_ports_that_nobody_has_open_are_left_alone(tmp_path: Path, is_open: bool) -> None:
    port = make(tmp_path, "fastdds_port7415")
    if is_open:
        with opened(port), locked(tmp_path / "fastdds_port7415_el"), ports_of_the_dead_avoided(tmp_path) as avoided:
            assert avoided == []
    else:
        with ports_of_the_dead_avoided(tmp_path) as avoided:
            assert avoided == []
            assert not looks_taken(tmp_path, "fastdds_port7415")


def test_no_such_folder_is_nothing_to_do(tmp_path: Path) -> None:
    assert remove_segments_of_the_dead(tmp_path / "absent") == 0
    with ports_of_the_dead_avoided(tmp_path / "absent") as avoided:
        assert avoided == []
