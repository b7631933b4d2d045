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
    return _processor_property("model name") or platform.processor() or platform.machine() or "unknown processor"


def processor_flags() -> frozenset[str]:
    """Names of the x86 processor's instruction sets as Linux spells them, such as "avx512_vnni"; empty elsewhere."""
    return frozenset(_processor_property("flags").split())


def _processor_property(name: str) -> str:
    """A property of the first processor that Linux reports; empty if it reports none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def library_versions(names: Sequence[str]) -> dict[str, str]:
    """Versions by name of the given libraries, as far as they are installed."""
    versions = {}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
