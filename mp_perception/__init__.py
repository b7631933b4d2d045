"""mp_perception: objects and their distance from one camera, with one network.

`Predictor` is the way in: `Predictor.load().predict(image)`.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mp_perception.inference.predictor import PredictionSettings, Predictor

# Two engines report to their makers over the network and leave an id in the user's folder: OpenVINO whenever it is
# imported, unless its package for that cannot be; ONNX Runtime (from 1.29 on), unless this variable is set before it is
# imported.  A robot's node speaks to nobody but its DDS peers.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
__all__ = ["PredictionSettings", "Predictor"]


def __getattr__(name: str) -> Any:
    """Import the public names when first used, so that a command that needs none of them starts without OpenCV."""
    if name in __all__:
        from mp_perception.inference import predictor

        return getattr(predictor, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
