"""A whole run: its settings and conditions, the tables of its sections, and all of it as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import psutil

from mp_perception.benchmark.networks.model_files import ModelFiles
from mp_perception.benchmark.tables import Table
from mp_perception.machine import available_cores, library_versions, processor_name

_FORMAT_VERSION = 2
_LIBRARIES = ("numpy", "torch", "torchvision", "onnxruntime", "openvino", "ultralytics")


@dataclass(frozen=True)
class Settings:
    """How much is measured.

    rounds: of runtimes and peers.  threads: CPU threads of their competitors, one table for each.
    seconds: of each phase of the node.  rate: of its camera, Hz.  node_precision: its parameter `precision`.
    """

    rounds: int
    threads: Sequence[int]
    seconds: float
    rate: float
    node_precision: str


def measure_section(name: str, models: ModelFiles, settings: Settings) -> Iterator[Table]:
    """The tables of a section ("runtimes", "peers" or "node"), each as soon as it is complete."""
    if name == "runtimes":
        from mp_perception.benchmark.runtimes import compare_runtimes

        for threads in settings.threads:
            yield compare_runtimes(models, settings.rounds, threads)
    elif name == "peers":
        from mp_perception.benchmark.peers import compare_peers

        for threads in settings.threads:
            yield compare_peers(models, settings.rounds, threads)
    else:
        # Only this section needs ROS.
        from mp_perception.benchmark.node.latency import measure_node

        yield measure_node(models.fp32, settings.node_precision, settings.rate, settings.seconds, models.folder)


def describe_machine() -> dict[str, Any]:
    """Hardware, libraries, and the load of the machine at this moment."""
    return {
        "processor": processor_name(),
        "cores": available_cores(),
        "memory, GiB": round(psutil.virtual_memory().total / 2**30, 1),
        "load, 1 min": round(os.getloadavg()[0], 2),
        "system": platform.system(),
        "python": platform.python_version(),
        "libraries": library_versions(_LIBRARIES),
    }


def machine_line(machine: Mapping[str, Any]) -> str:
    """The part of `describe_machine()` that a reader of the tables needs, in one line."""
    libraries = ", ".join(f"{library} {version}" for library, version in machine["libraries"].items())
    return f"{machine['processor']}, {machine['cores']} cores, load {machine['load, 1 min']:g} at start; {libraries}"


def to_json(
    machine: Mapping[str, Any], weights: str, settings: Settings, sections: Mapping[str, Sequence[Table]]
) -> bytes:
    """A JSON document with the conditions of a run and all tables.

    machine: as `describe_machine` gives it before the run.  weights: name of the checkpoint.
    """
    content = {
        "format_version": _FORMAT_VERSION,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "settings": {"weights": weights, **asdict(settings)},
        "sections": {name: [table.to_json() for table in tables] for name, tables in sections.items()},
    }
    return json.dumps(content, indent=1, allow_nan=False).encode()
