"""Detections drawn into the image: box, class, score and metres."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.classes import class_color
from mp_perception.prediction import Detections, Prediction

_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_overlay(image: NDArray[np.uint8], prediction: Prediction) -> NDArray[np.uint8]:
    """A copy of an RGB image (H, W, 3) with the prediction's detections, near objects on top of far ones."""
    canvas = image.copy()
    draw_detections(canvas, prediction.detections)
    return canvas


def draw_detections(canvas: NDArray[np.uint8], detections: Detections) -> None:
    """Draw into an RGB image (H, W, 3): colour by class, one label per box, inside the image."""
    height = canvas.shape[0]
    thickness = max(1, round(height / 250))
    text_scale = max(0.38, height / 900)
    order = np.argsort(-np.nan_to_num(detections.depth, nan=np.inf))
    for i in order:
        color = class_color(detections.name(i))
        x1, y1, x2, y2 = (round(float(edge)) for edge in detections.boxes[i])
        cv2.rectangle(canvas, (x1, y1), (x2, y2), color, thickness)
        _draw_label(canvas, label_text(detections, i), (x1, y1), color, text_scale)


def label_text(detections: Detections, index: int) -> str:
    """The text at a detection's box: class, score and, if it is known, distance."""
    depth = detections.depth[index]
    metres = f" {depth:.1f} m" if np.isfinite(depth) else ""
    return f"{detections.name(index)} {detections.scores[index]:.2f}{metres}"


def text_color(background: tuple[int, int, int]) -> tuple[int, int, int]:
    """Black or white, which is readable on the background; RGB 0..255."""
    red, green, blue = background
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else (255, 255, 255)


def draw_true_boxes(canvas: NDArray[np.uint8], boxes: Sequence[tuple[float, float, float, float]]) -> None:
    """Draw ground truth, x1 y1 x2 y2 in pixels, into an RGB image (H, W, 3): thin white lines with a black rim."""
    for x1, y1, x2, y2 in ([round(edge) for edge in box] for box in boxes):
        cv2.rectangle(canvas, (x1, y1), (x2, y2), (0, 0, 0), 3)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), (255, 255, 255), 1)


def _draw_label(
    canvas: NDArray[np.uint8], text: str, corner: tuple[int, int], color: tuple[int, int, int], scale: float
) -> None:
    """Text on a filled patch above a box's top-left corner, or inside the box at the image's edge."""
    # OpenCV's font has only ASCII characters, and a lone surrogate crashes it.
    text = text.encode("ascii", "replace").decode()
    (width, height), baseline = cv2.getTextSize(text, _FONT, scale, 1)
    patch_height = height + baseline + 2
    left = min(max(corner[0], 0), max(canvas.shape[1] - width - 4, 0))
    top = corner[1] - patch_height if corner[1] >= patch_height else max(corner[1], 0)
    cv2.rectangle(canvas, (left, top), (left + width + 4, top + patch_height), color, -1)
    cv2.putText(canvas, text, (left + 2, top + height + 2), _FONT, scale, text_color(color), 1, cv2.LINE_AA)
