"""A prediction as files: overlay, depth map, JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.data.depth_png import write_depth_png
from mp_perception.files import write_atomically
from mp_perception.prediction import Detections, Prediction
from mp_perception.visualization.overlay import draw_overlay


def write_prediction(stem: Path, source: str, image: NDArray[np.uint8], prediction: Prediction) -> None:
    """Write <stem>_overlay.png, <stem>_depth.png (16 bit, metres x 256, input resolution) and <stem>.json.

    source: name of the image in the JSON.  image: RGB uint8 (H, W, 3).  Each file is complete or absent; the JSON is
    written last.  Raises UserError if the folder cannot be written.
    """
    write_png(stem.with_name(stem.name + "_overlay.png"), draw_overlay(image, prediction))
    write_depth_png(stem.with_name(stem.name + "_depth.png"), prediction.depth)
    text = json.dumps(prediction_to_dictionary(prediction, source), indent=1, allow_nan=False)
    write_atomically(stem.with_name(stem.name + ".json"), text.encode())


def write_png(path: Path, image: NDArray[np.uint8]) -> None:
    """Write an RGB image (H, W, 3) as PNG."""
    good, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert good
    write_atomically(path, data.tobytes())


def prediction_to_dictionary(prediction: Prediction, source: str) -> dict[str, Any]:
    """The JSON of `mp_perception predict`: pixels of the image, metres, null where unknown."""
    height, width = prediction.image_size
    return {
        "image": source,
        "width": width,
        "height": height,
        "detections": [_detection(prediction.detections, i) for i in range(len(prediction.detections))],
        "timings_ms": {stage: round(milliseconds, 3) for stage, milliseconds in prediction.timings.items()},
    }


def _detection(detections: Detections, index: int) -> dict[str, Any]:
    position = [_number(value) for value in detections.position[index]]
    return {
        "class": detections.name(index),
        "score": round(float(detections.scores[index]), 4),
        "box": [round(float(edge), 2) for edge in detections.boxes[index]],
        "depth": _number(detections.depth[index]),
        "depth_std": _number(detections.depth_std[index]),
        "position": None if None in position else position,
    }


def _number(value: float) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None
