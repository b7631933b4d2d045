"""Cleaning up after killed processes that used Fast DDS's shared memory, before a new process joins.

Fast DDS (3.2, src/cpp/rtps/transport/shared_mem) passes messages in segments, fastdds_<16 hexadecimal digits>, and
announces them in ports, fastdds_port<number>, one per receiver.  Both are files in /dev/shm.  Beside each lies
<name>_el, which its owner keeps locked (flock) while it runs.

- A segment (70 MB with our profile) remains if its owner is killed before other processes discover it.
- A receiver that is killed between two messages appears alive to the senders on its port.  The next process takes the
  same number and creates a new file of the same name; a sender that has the old file open keeps sending there, and the
  new process receives nothing from it (docs/reliability.md).
"""

from __future__ import annotations

import fcntl
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_FOLDER = Path("/dev/shm")
_LOCK = "_el"
#: Bytes in /dev/shm without which importing rclpy ends the process, doubled.
_NEEDED = 16384


def exit_if_full(folder: Path = _FOLDER) -> None:
    """End the process with one line and exit code 2 if nothing fits into /dev/shm.

    rclpy loads lttng-ust, which maps files there: with less than 8 kB free, importing it ends the process by SIGBUS.
    """
    if not folder.is_dir():
        return
    state = os.statvfs(folder)
    free = state.f_bavail * state.f_frsize
    if free < _NEEDED:
        advice = "`fastdds shm clean` removes what killed processes have left"
        print(f"error: cannot start: {folder}: expected {_NEEDED} bytes free, found {free}; {advice}", file=sys.stderr)
        raise SystemExit(2)


@contextmanager
def clean_shared_memory() -> Iterator[None]:
    """Remove stale segments, and avoid stale ports for participants that are created within the block."""
    remove_stale_segments(_FOLDER)
    with avoid_stale_ports(_FOLDER):
        yield


def remove_stale_segments(folder: Path) -> int:
    """Remove this user's segments whose owner has ended, as `fastdds shm clean` does; returns their number.

    A process that has such a segment open keeps it.
    """
    removed = 0
    for lock in folder.glob(f"fastdds_{'[0-9a-f]' * 16}{_LOCK}"):
        with _lock(lock) as is_free, suppress(OSError):
            if is_free and lock.stat().st_uid == os.getuid():
                lock.with_name(lock.name.removesuffix(_LOCK)).unlink(missing_ok=True)
                lock.unlink(missing_ok=True)
                removed += 1
    return removed


@contextmanager
def avoid_stale_ports(folder: Path) -> Iterator[list[str]]:
    """Lock, within the block, the ports that other processes have open although their receiver has ended.

    A participant that is created within the block takes other numbers; Fast DDS prints an error for each locked port.
    Yields the names of the ports.
    """
    with ExitStack() as stack:
        avoided = []
        for name in sorted(_open_ports(folder)):
            path = folder / (name + _LOCK)
            existed = path.exists()
            if stack.enter_context(_lock(path)):
                avoided.append(name)
                if not existed:
                    stack.callback(path.unlink, missing_ok=True)
        yield avoided


def _open_ports(folder: Path) -> set[str]:
    """Names of the ports that processes of this user have mapped, including ports whose file was removed."""
    pattern = re.compile(rf"{re.escape(str(folder))}/(fastdds_port\d+)(?: \(deleted\))?$", re.MULTILINE)
    found: set[str] = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with suppress(OSError):  # the process has ended, or belongs to another user
            found.update(pattern.findall(maps.read_text()))
    return found


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Hold a lock file, created if missing, within the block; yields False if another process holds it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError:  # the file belongs to another user, or the folder does not exist
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)
