"""What killed processes leave in Fast DDS's shared memory, and how a process that starts keeps clear of it.

Fast DDS (3.2, src/cpp/rtps/transport/shared_mem) hands messages over in segments, fastdds_<16 hexadecimal digits>, and
announces them in ports, fastdds_port<number>, one per receiver.  Both are files in /dev/shm, and beside each lies
<name>_el, which its owner keeps locked (flock) as long as it lives.

- A segment (70 MB with our profile) stays when its owner is killed before others know it.
- A receiver that is killed between two messages looks alive to those who send to its port.  The next process takes the
  same number, and a new file with the same name; who has the old one open goes on to send there, for ever, and the new
  process receives nothing from it.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_FOLDER = Path("/dev/shm")
_LOCK = "_el"


def remove_segments_of_the_dead(folder: Path = _FOLDER) -> int:
    """Remove segments whose owner is dead, as `fastdds shm clean` does; their number.  Who has one open keeps it."""
    removed = 0
    for lock in folder.glob(f"fastdds_{'[0-9a-f]' * 16}{_LOCK}"):
        with _lock(lock) as is_free, suppress(OSError):  # another user's may be looked at and not removed
            if is_free:
                lock.with_name(lock.name.removesuffix(_LOCK)).unlink(missing_ok=True)
                lock.unlink(missing_ok=True)
                removed += 1
    return removed


@contextmanager
def ports_of_the_dead_avoided(folder: Path = _FOLDER) -> Iterator[list[str]]:
    """Ports that other processes have open, and whose receiver is dead, look taken within the block; their names.

    Fast DDS gives a participant that is made there the next free number instead.
    """
    with ExitStack() as stack:
        avoided = []
        for name in sorted(_open_ports(folder)):
            path = folder / (name + _LOCK)
            was_there = path.exists()
            if stack.enter_context(_lock(path)):
                avoided.append(name)
                if not was_there:
                    stack.callback(path.unlink, missing_ok=True)
        yield avoided


def _open_ports(folder: Path) -> set[str]:
    """Names of the ports in the memory of the processes that may be looked at, also of those that were removed."""
    pattern = re.compile(rf"{re.escape(str(folder))}/(fastdds_port\d+)(?: \(deleted\))?$", re.MULTILINE)
    found: set[str] = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with suppress(OSError):  # ended meanwhile, or another user's
            found.update(pattern.findall(maps.read_text()))
    return found


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Holds a lock file, made where it is missing, within the block; False if another process holds it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError:  # another user's, or no such folder
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)
