"""mp_perception: objects and their distance from one camera, with one network.

`Predictor` is the entry point: `Predictor.load().predict(image)`.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mp_perception.inference.prediction_settings import PredictionSettings
    from mp_perception.inference.predictor import Predictor

# Two inference engines send telemetry and write an id to the user's home folder: OpenVINO at import, unless its package
# for that cannot be imported; ONNX Runtime (since 1.29), unless this variable is set before its import.  A node on a
# robot must communicate with its DDS peers only.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.5.0"
__all__ = ["PredictionSettings", "Predictor"]


def __getattr__(name: str) -> Any:
    """Import the public names at first use, so that commands that do not need them start without OpenCV."""
    if name in __all__:
        from mp_perception.inference import predictor

        return getattr(predictor, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
