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
from mp_perception.tracking.tracks import Tracks


def write_prediction(
    stem: Path, source: str, overlay: NDArray[np.uint8], prediction: Prediction, tracks: Tracks | None = None
) -> None:
    """Write <stem>_overlay.png, <stem>_depth.png (16 bit, metres x 256, input resolution) and <stem>.json.

    The JSON is in pixels of the image, metres and seconds, null where unknown.
    source: name of the image in it.  overlay: RGB uint8 (H, W, 3).  tracks: after an image of a video.
    Each file is complete or absent; the JSON is written last.  Raises UserError if the folder cannot be written.
    """
    write_png(stem.with_name(stem.name + "_overlay.png"), overlay)
    write_depth_png(stem.with_name(stem.name + "_depth.png"), prediction.depth)
    height, width = prediction.image_size
    content: dict[str, Any] = {
        "image": source,
        "width": width,
        "height": height,
        "detections": [_detection(prediction.detections, i) for i in range(len(prediction.detections))],
        "timings_ms": {stage: round(milliseconds, 3) for stage, milliseconds in prediction.timings.items()},
    }
    if tracks is not None:
        content["tracks"] = [_track(tracks, i) for i in range(len(tracks))]
    text = json.dumps(content, indent=1, allow_nan=False)
    write_atomically(stem.with_name(stem.name + ".json"), text.encode())


def write_png(path: Path, image: NDArray[np.uint8]) -> None:
    """Write an RGB image (H, W, 3) as PNG."""
    good, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert good
    write_atomically(path, data.tobytes())


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


def _track(tracks: Tracks, index: int) -> dict[str, Any]:
    """Metres and seconds, null where unknown; positions and velocities relative to the camera."""
    position, velocity = ([_number(value) for value in row[index]] for row in (tracks.positions, tracks.velocities))
    return {
        "id": int(tracks.ids[index]),
        "class": tracks.name(index),
        "score": round(float(tracks.scores[index]), 4),
        "seen": bool(tracks.seen[index]),
        "box": [round(float(edge), 2) for edge in tracks.boxes[index]],
        "position": None if None in position else position,
        "velocity": None if None in velocity else velocity,
        "distance": _number(tracks.distances[index]),
        "distance_std": _number(tracks.distance_stds[index]),
        "closing_speed": _number(tracks.closing_speeds[index]),
        "time_to_contact": _number(tracks.times_to_contact[index]),
        "time_to_contact_std": _number(tracks.time_to_contact_stds[index]),
    }


def _number(value: float) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None
