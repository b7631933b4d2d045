"""A runtime of another package (docs/extending.md) that fails as runtimes do: sometimes, and at last on every image."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mp_perception.inference.runtimes.base import RuntimeOutputs
from mp_perception.inference.runtimes.onnxruntime_runtime import OnnxRuntime

#: Calls, from a loaded network's first on, that fail; two in a row, so one less than the node gives up at.
_FAILURES = {10: MemoryError("cannot allocate a tensor"), 11: RuntimeError("the device is lost"), 20: MemoryError()}
#: From this call on every one fails, until the network is loaded again.
_LAST_GOOD = 50


class FailingRuntime(OnnxRuntime):
    """ONNX Runtime, but for its failures."""

    name = "failing"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._calls = 0

    def run(self, images: NDArray[np.uint8]) -> RuntimeOutputs:
        """As Runtime.run, or a failure."""
        self._calls += 1
        if self._calls > _LAST_GOOD:
            raise RuntimeError("the device is lost for good")
        if failure := _FAILURES.get(self._calls):
            raise failure
        return super().run(images)


def install(folder: Path) -> Mapping[str, str]:
    """Make the name "failing" known to processes that get these variables, as installing a package would."""
    record = folder / "failing_runtime-1.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: failing_runtime\nVersion: 1\n")
    entry = f"[mp_perception.runtimes]\nfailing = {__name__}:{FailingRuntime.__name__}\n"
    (record / "entry_points.txt").write_text(entry)
    checkout = Path(__file__).resolve().parents[2]
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(checkout)])}
