"""A /dev/shm without room, in a mount namespace of its own: `python -m reliability.day.full_shared_memory WEIGHTS`.

Needs the right to mount (root, or user namespaces); the machine's own /dev/shm is not touched.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from reliability.day.stage import NotPossibleHereError, Stage, check_accounts, in_words, outputs_go_on, stop_camera

_UNSHARE = ["unshare", "--mount", "--map-root-user"]


def _may_mount() -> bool:
    """Whether this process can make such a namespace."""
    command = [*_UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/dev/shm"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def full_shared_memory(weights: Path, megabytes: int) -> str:
    """What a node, a camera and a robot's side do with a /dev/shm of so many megabytes.

    Raises NotPossibleHereError without the right to mount.
    """
    if not _may_mount():
        raise NotPossibleHereError("no right to mount here")
    mount = f"mount -t tmpfs -o size={megabytes}m tmpfs /dev/shm"
    inner = f"{mount} && exec {sys.executable} -m reliability.day.full_shared_memory {weights.resolve()}"
    result = subprocess.run([*_UNSHARE, "sh", "-c", inner], capture_output=True, text=True, timeout=400, check=False)
    assert result.returncode == 0, (result.stdout + result.stderr)[-2000:]
    return result.stdout.strip().splitlines()[-1]


def main() -> None:
    """Inside the namespace."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Stage(Path(folder), Path(sys.argv[1])) as stage,
    ):
        node, robot = stage.active_node("/full")
        camera = stage.camera("/full", "--size", "320", "240", "--rate", "5")
        wait = outputs_go_on(robot, limit=60)
        stop_camera(camera)
        counts = in_words(check_accounts(robot))
        text = re.sub(r"\x1b\[[0-9;]*m", "", node.text())
        lines = [line for line in text.splitlines() if "SHM" in line]
        complaint = lines[0].partition("Error] ")[2][:60] if lines else "nothing about it"
        print(f"outputs after {wait:.1f} s, over UDP; {counts}; the node's log: {complaint}")


if __name__ == "__main__":
    main()
