"""Depth as colours, with a metric scale: near is red, far is blue, beyond the range is light grey, unknown is black."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

_FONT = cv2.FONT_HERSHEY_SIMPLEX
#: Round distances that a scale bar may show, metres.
_TICKS = (1, 2, 5, 10, 20, 40, 80, 160)
_BEYOND = 215


def color_depth(
    depth: NDArray[np.float32], min_depth: float = 1.0, max_depth: float = 80.0, scale_bar: bool = True
) -> NDArray[np.uint8]:
    """RGB picture (H, W, 3) uint8 of depth (H, W), metres, NaN where unknown, +Inf beyond the range.

    The scale is logarithmic from min_depth to max_depth (metres, 0 < min_depth < max_depth); depths outside get the
    colour of the nearer end.  scale_bar: draw the scale with its metres into the top-right corner.
    """
    colors = _colors(depth, min_depth, max_depth)
    if scale_bar:
        _draw_scale_bar(colors, min_depth, max_depth)
    return colors


def _colors(depth: NDArray[np.float32], min_depth: float, max_depth: float) -> NDArray[np.uint8]:
    known = np.isfinite(depth) & (depth > 0)
    clipped = np.clip(np.where(known, depth, max_depth), min_depth, max_depth).astype(np.float32)
    nearness = 255 * (1 - cv2.log(clipped / min_depth) / math.log(max_depth / min_depth))
    colors = cv2.applyColorMap(nearness.round().astype(np.uint8).reshape(depth.shape), cv2.COLORMAP_TURBO)
    colors = cv2.cvtColor(colors, cv2.COLOR_BGR2RGB)
    colors[~known] = 0
    colors[np.isposinf(depth)] = _BEYOND
    return np.asarray(colors, dtype=np.uint8)


def _draw_scale_bar(image: NDArray[np.uint8], min_depth: float, max_depth: float) -> None:
    """Draw into the image; pictures that are too small are not changed.  The end of the bar is the colour of +Inf."""
    height, width = image.shape[:2]
    bar_width, bar_height = width // 4, max(height // 40, 6)
    text_scale = max(height / 900, 0.35)
    left, top = width - bar_width - width // 40, bar_height
    if bar_width < 100 or height < 60:
        return
    scale_width = bar_width - 2 * bar_height
    beyond = np.full(2 * bar_height, np.inf, dtype=np.float32)
    row = np.concatenate([np.geomspace(min_depth, max_depth, scale_width, dtype=np.float32), beyond])[None]
    panel_bottom = top + bar_height + round(30 * text_scale) + 6
    cv2.rectangle(image, (left - 22, top - 5), (left + bar_width + 22, panel_bottom), (24, 24, 24), -1)
    image[top : top + bar_height, left : left + bar_width] = _colors(row, min_depth, max_depth)
    for tick in _TICKS:
        if not min_depth <= tick <= max_depth:
            continue
        x = left + round(scale_width * math.log(tick / min_depth) / math.log(max_depth / min_depth))
        text = f"{tick} m" if tick == _TICKS[-2] or tick * 2 > max_depth else str(tick)
        (text_width, text_height), _ = cv2.getTextSize(text, _FONT, text_scale, 1)
        baseline = top + bar_height + text_height + 6
        cv2.line(image, (x, top + bar_height), (x, top + bar_height + 3), (230, 230, 230), 1)
        cv2.putText(image, text, (x - text_width // 2, baseline), _FONT, text_scale, (230, 230, 230), 1, cv2.LINE_AA)
