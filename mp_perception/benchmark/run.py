"""Sections by name, their order, and a whole run of them."""

from __future__ import annotations

import importlib
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import psutil

from mp_perception.benchmark.charts import SectionResult
from mp_perception.benchmark.conditions import Conditions
from mp_perception.machine import available_cores, library_versions, processor_name

_ROOM = "mp_perception.benchmark.sections"
#: Section -> (module, function); imported when asked for, so that the node's needs ROS and the others do not.
SECTIONS: Mapping[str, tuple[str, str]] = {
    "runtimes": (f"{_ROOM}.runtimes", "compare_runtimes"),
    "sharing": (f"{_ROOM}.sharing", "compare_sharing"),
    "networks": (f"{_ROOM}.networks", "compare_networks"),
    "peers": (f"{_ROOM}.peers", "compare_peers"),
    "growth": (f"{_ROOM}.growth", "measure_growth"),
    "training": (f"{_ROOM}.training", "compare_loading"),
    "node": (f"{_ROOM}.node", "measure_node"),
}
_FORMAT_VERSION = 1
_LIBRARIES = ("numpy", "torch", "torchvision", "onnxruntime", "openvino", "ultralytics")


def run_sections(
    names: Sequence[str], conditions: Conditions, report: Callable[[str, SectionResult], None]
) -> dict[str, SectionResult]:
    """Run sections one after the other.  report: called with the name and the result of each as soon as it is there."""
    results = {}
    for name in names:
        module, function = SECTIONS[name]
        results[name] = getattr(importlib.import_module(module), function)(conditions)
        report(name, results[name])
    return results


def machine() -> dict[str, Any]:
    """Where and with what the figures were taken, and how busy the machine is with other things."""
    return {
        "processor": processor_name(),
        "cores": available_cores(),
        "memory, GiB": round(psutil.virtual_memory().total / 2**30, 1),
        "load, 1 min": round(os.getloadavg()[0], 2),
        "system": platform.system(),
        "python": platform.python_version(),
        "libraries": library_versions(_LIBRARIES),
    }


def to_json(results: Mapping[str, SectionResult], conditions: Conditions, before: Mapping[str, Any]) -> bytes:
    """Everything that was printed, and on what.  before: `machine()` before the run."""
    content = {
        "format_version": _FORMAT_VERSION,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": dict(before),
        "settings": {
            "weights": conditions.checkpoint.name,
            "rounds": conditions.rounds,
            "threads": list(conditions.threads),
            "seconds": conditions.seconds,
            "rate": conditions.rate,
        },
        "sections": {name: [table.to_json() for table in result.tables] for name, result in results.items()},
    }
    return json.dumps(content, indent=1, allow_nan=False).encode()
