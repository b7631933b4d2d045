"""Detections drawn into the image: box, class, score and metres."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.classes import class_color
from mp_perception.prediction import Detections, Prediction
from mp_perception.tracking.tracks import Tracks

_FONT = cv2.FONT_HERSHEY_SIMPLEX
#: A label's rectangle: left, top, right, bottom, pixels.
Patch = tuple[int, int, int, int]


def draw_overlay(image: NDArray[np.uint8], prediction: Prediction) -> NDArray[np.uint8]:
    """A copy of an RGB image (H, W, 3) with the prediction's detections, near objects on top of far ones."""
    canvas = image.copy()
    draw_detections(canvas, prediction.detections)
    return canvas


def draw_detections(canvas: NDArray[np.uint8], detections: Detections) -> None:
    """Draw into an RGB image (H, W, 3): boxes coloured by class, and labels that do not hide each other.

    Where labels have no space beside each other, those of near objects come first; the others show the distance alone,
    or nothing.
    """
    texts = [(label_text(detections, i), _metres(detections.depth[i])) for i in range(len(detections))]
    draw_boxes(canvas, detections, detections.depth, texts, np.ones(len(detections), dtype=bool))


def draw_boxes(
    canvas: NDArray[np.uint8],
    objects: Detections | Tracks,
    distances: NDArray[np.floating],
    texts: Sequence[Sequence[str]],
    seen: NDArray[np.bool_],
) -> None:
    """Draw the boxes of objects, near ones on top, and at each the first of its texts that has space.

    distances: (N,) metres, NaN where unknown.  seen: (N,), the others are drawn with a thin line.
    """
    thickness = max(1, round(canvas.shape[0] / 250))
    nearest_first = np.argsort(np.nan_to_num(distances, nan=np.inf), kind="stable")
    colors = [class_color(objects.name(i)) for i in range(len(objects))]
    for i in nearest_first[::-1]:
        x1, y1, x2, y2 = (round(float(edge)) for edge in objects.boxes[i])
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colors[i], thickness if seen[i] else 1)
    text_scale = max(0.38, canvas.shape[0] / 900)
    taken: list[Patch] = []
    for i in nearest_first:
        for text in texts[i]:
            # OpenCV's font has only ASCII characters, and a lone surrogate crashes it.
            text = text.encode("ascii", "replace").decode()
            (width, height), baseline = cv2.getTextSize(text, _FONT, text_scale, 1)
            size = (width + 4, height + baseline + 2)
            patch = free_patch(objects.boxes[i], size, (canvas.shape[1], canvas.shape[0]), taken) if text else None
            if patch is not None:
                cv2.rectangle(canvas, patch[:2], (patch[2] - 1, patch[3] - 1), colors[i], -1)
                place = (patch[0] + 2, patch[1] + height + 2)
                cv2.putText(canvas, text, place, _FONT, text_scale, text_color(colors[i]), 1, cv2.LINE_AA)
                taken.append(patch)
                break


def free_patch(
    box: NDArray[np.floating], size: tuple[int, int], image_size: tuple[int, int], taken: Sequence[Patch]
) -> Patch | None:
    """A place for a label of size (width, height) at a box, inside the image and on no taken patch; None if none fits.

    Above the box, below it or inside it, at its left or right edge; then one label further up or down.
    """
    width, height = size
    x1, y1, x2, y2 = (round(float(edge)) for edge in box)
    for top in (y1 - height, y2, y1, y2 - height, y1 - 2 * height, y2 + height):
        for left in (x1, x2 - width):
            left = min(max(left, 0), max(image_size[0] - width, 0))
            patch = (left, top, left + width, top + height)
            inside = top >= 0 and patch[3] <= image_size[1]
            if inside and not any(_overlap(patch, other) for other in taken):
                return patch
    return None


def _overlap(first: Patch, second: Patch) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


def label_text(detections: Detections, index: int) -> str:
    """The text at a detection's box: class, score and, if it is known, distance."""
    return f"{detections.name(index)} {detections.scores[index]:.2f} {_metres(detections.depth[index])}".rstrip()


def _metres(depth: float) -> str:
    return f"{depth:.1f} m" if np.isfinite(depth) else ""


def text_color(background: tuple[int, int, int]) -> tuple[int, int, int]:
    """Black or white, which is readable on the background; RGB 0..255."""
    red, green, blue = background
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else (255, 255, 255)


def draw_true_boxes(canvas: NDArray[np.uint8], boxes: Sequence[tuple[float, float, float, float]]) -> None:
    """Draw ground truth, x1 y1 x2 y2 in pixels, into an RGB image (H, W, 3): thin white lines with a black rim."""
    for x1, y1, x2, y2 in ([round(edge) for edge in box] for box in boxes):
        cv2.rectangle(canvas, (x1, y1), (x2, y2), (0, 0, 0), 3)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), (255, 255, 255), 1)
