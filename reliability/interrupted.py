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


class _Interruption:
    def __init__(self, number: int, delay: float) -> None:
        self.count = 0
        self._number = number
        self._delay = delay
        self._folder = os.path.realpath(".") + os.sep

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        changes = event in _CHANGES or (event == "open" and bool((arguments[2] or 0) & _WRITING))
        if not changes or not isinstance(arguments[0], str | os.PathLike):
            return
        if not os.path.realpath(arguments[0]).startswith(self._folder):
            return
        self.count += 1
        if self.count == self._number:
            if self._delay == 0:
                _kill()
            threading.Timer(self._delay, _kill).start()


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Run the command, as the console script does."""
    interruption = _Interruption(int(sys.argv[1]), float(sys.argv[2]))
    sys.argv = ["mp_perception", *sys.argv[3:]]
    sys.addaudithook(interruption)
    from mp_perception.commands.main import run

    try:
        run()
    finally:
        print(f"file changes: {interruption.count}", flush=True)


if __name__ == "__main__":
    main()
