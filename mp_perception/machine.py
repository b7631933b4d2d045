"""Properties of this machine: CPU cores, processor name, versions of libraries."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def available_cores() -> int:
    """Number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))


def spare_cores() -> int:
    """Default number of CPU threads of a network: all cores but one, which is left to other processes."""
    return max(1, available_cores() - 1)


def processor_name() -> str:
    """The processor's model name as the system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine() or "unknown processor"


def library_versions(names: Sequence[str]) -> dict[str, str]:
    """Versions by name of the given libraries, as far as they are installed."""
    versions = {}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
