"""Runs a command of mp_perception and kills it at one of its file changes.

`python -m reliability.interrupted NUMBER DELAY COMMAND...` counts what the command does to files below the current
folder (opening to write, renaming, removing, creating folders) and sends itself SIGKILL before the NUMBER-th of these
changes, or DELAY seconds after that moment.  With NUMBER 0 it runs to its end and prints the number of changes.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink", "sqlite3.connect"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def main() -> None:
    """Run the command, as the console script does."""
    number, delay = int(sys.argv[1]), float(sys.argv[2])
    sys.argv = ["mp_perception", *sys.argv[3:]]
    folder = os.path.realpath(".") + os.sep
    count = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        changes = event in _CHANGES or (event == "open" and bool((arguments[2] or 0) & _WRITING))
        if not changes or not isinstance(arguments[0], str | os.PathLike):
            return
        if os.path.realpath(arguments[0]).startswith(folder):
            count += 1
            if count == number:
                _kill_after(delay)

    sys.addaudithook(watch)
    from mp_perception.commands.main import run

    try:
        run()
    finally:
        print(f"file changes: {count}", flush=True)


def _kill_after(delay: float) -> None:
    if delay == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    threading.Timer(delay, _kill_after, [0]).start()


if __name__ == "__main__":
    main()
