"""Runtimes by name.  Their modules are imported when chosen, so that an engine that is not used costs nothing."""

from __future__ import annotations

import importlib
import os

from mp_perception.errors import UserError
from mp_perception.inference.runtimes.base import NetworkSource, Runtime

#: name -> "module:class", best first: "auto" takes the first.
RUNTIMES = {"torch": "mp_perception.inference.runtimes.torch_runtime:TorchRuntime"}

#: Precisions a runtime may offer; "auto" lets it choose.
PRECISIONS = ("auto", "fp32", "fp16")


def load_runtime(
    name: str, source: NetworkSource, device: str = "auto", precision: str = "auto", num_threads: int = 0
) -> Runtime:
    """The network of `source` in a runtime ("auto" or one of RUNTIMES).

    num_threads: CPU threads; 0 leaves one core to the rest of the robot.
    Raises UserError for an unknown name or for what the runtime refuses.
    """
    chosen = next(iter(RUNTIMES)) if name == "auto" else name
    if chosen not in RUNTIMES:
        raise UserError(f"unknown runtime '{name}': expected one of auto, {', '.join(RUNTIMES)}")
    if precision not in PRECISIONS:
        raise UserError(f"unknown precision '{precision}': expected one of {', '.join(PRECISIONS)}")
    module, _, class_name = RUNTIMES[chosen].partition(":")
    runtime: type[Runtime] = getattr(importlib.import_module(module), class_name)
    return runtime(source, device, precision, num_threads or max(1, available_cores() - 1))


def available_cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0))
