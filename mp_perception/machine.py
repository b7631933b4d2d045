"""What this machine is and has installed: cores, processor, versions of libraries."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def available_cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0))


def spare_cores() -> int:
    """CPU threads for a network where nobody names a number: all cores but one, which is left to the rest."""
    return max(1, available_cores() - 1)


def processor_name() -> str:
    """The processor's model as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine() or "unknown processor"


def library_versions(names: Sequence[str]) -> dict[str, str]:
    """Versions by name of those libraries that are installed as packages."""
    versions = {}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
