"""What the robot sees, as a video: the overlay above the coloured depth, at the bag's own times."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.bags.render.frames import RenderedBag, RenderedFrame
from mp_perception.visualization.depth_colors import color_depth
from mp_perception.visualization.overlay import draw_detections, draw_true_boxes
from mp_perception.visualization.video import VideoWriter


def write_video(path: Path, bag: RenderedBag, frames: Iterable[RenderedFrame]) -> None:
    """Write an MP4.  Raises UserError if the file cannot be written."""
    with VideoWriter(path) as video:
        for frame in frames:
            video.write(picture(frame, bag.depth_range), frame.stamp_ns)


def picture(frame: RenderedFrame, depth_range: tuple[float, float]) -> NDArray[np.uint8]:
    """RGB (2 H, W, 3): the image with true boxes and detections, and below it the depth with its scale."""
    return np.concatenate([overlay(frame), colored_depth(frame, depth_range)])


def overlay(frame: RenderedFrame) -> NDArray[np.uint8]:
    """RGB (H, W, 3): the image with the true boxes in white, below the detections."""
    canvas = frame.image.copy()
    draw_true_boxes(canvas, frame.true_boxes)
    if frame.prediction is not None:
        draw_detections(canvas, frame.prediction.detections)
    return canvas


def colored_depth(frame: RenderedFrame, depth_range: tuple[float, float]) -> NDArray[np.uint8]:
    """RGB (H, W, 3); black, and it says so, where nothing was published for the image."""
    if frame.prediction is not None:
        return color_depth(frame.prediction.depth, *depth_range)
    height, width = frame.image.shape[:2]
    canvas = np.zeros((height, width, 3), np.uint8)
    text_scale = max(0.38, height / 450)
    cv2.putText(
        canvas, "no output", (10, height // 2), cv2.FONT_HERSHEY_SIMPLEX, text_scale, (230, 230, 230), 1, cv2.LINE_AA
    )
    return canvas
