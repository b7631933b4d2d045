"""mp_perception: objects and their distance from one camera, with one network.

`Predictor` is the way in: `Predictor.load().predict(image)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mp_perception.inference.predictor import PredictionSettings, Predictor

__version__ = "0.1.0"
__all__ = ["PredictionSettings", "Predictor"]


def __getattr__(name: str) -> Any:
    """Import the public names when first used, so that a command that needs none of them starts without OpenCV."""
    if name in __all__:
        from mp_perception.inference import predictor

        return getattr(predictor, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
