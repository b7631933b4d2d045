"""Pictures of what the checks of a recording found."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.adaptation.depth_alignment import Displacement
from mp_perception.adaptation.frame_evidence import FrameEvidence
from mp_perception.arrays import RgbImage
from mp_perception.data.frame_sets import FrameSet

#: Colours of depth's borders: as recorded, and where they fit.
_RECORDED, _FITTING = (255, 40, 40), (60, 255, 60)
#: Largest number of thumbnails.
_ROWS, _COLUMNS = 4, 8


def displaced_edges(frames: FrameSet, evidence: Sequence[FrameEvidence], best: Displacement | None) -> RgbImage:
    """The image with most borders of depth: red as recorded, green moved to where they fit."""
    frame = max(evidence, key=lambda frame: len(frame.edges))
    picture = frames.image(frame.index).copy()
    points = frame.edges[:, :2] * frame.cell
    _draw(picture, points, _RECORDED)
    if best is not None:
        _draw(picture, best.apply(points, frame.edges[:, 2], frame.size), _FITTING)
    return picture


def lagging_edges(frames: FrameSet, evidence: Sequence[FrameEvidence], lag: int) -> RgbImage:
    """An image with the borders of its depth in red, and in green those of the depth that fits."""
    by_index = {frame.index: frame for frame in evidence}
    paired = [frame for frame in evidence if frame.index + lag in by_index]
    frame = max(paired, key=lambda frame: len(frame.edges))
    picture = frames.image(frame.index).copy()
    _draw(picture, frame.edges[:, :2] * frame.cell, _RECORDED)
    _draw(picture, by_index[frame.index + lag].edges[:, :2] * frame.cell, _FITTING)
    return picture


def thumbnails(views: Sequence[NDArray[np.float32]]) -> RgbImage:
    """Grey thumbnails side by side, as RGB."""
    columns = min(_COLUMNS, len(views))
    shown = [*views[: _ROWS * columns]]
    shown += [np.zeros_like(views[0])] * (-len(shown) % columns)
    rows = [np.hstack(shown[start : start + columns]) for start in range(0, len(shown), columns)]
    return np.asarray(cv2.cvtColor(np.vstack(rows).astype(np.uint8), cv2.COLOR_GRAY2RGB), dtype=np.uint8)


def _draw(picture: RgbImage, points: NDArray[np.floating], color: tuple[int, int, int]) -> None:
    radius = max(1, round(picture.shape[1] / 640))
    for x, y in np.rint(points).astype(int).tolist():
        cv2.circle(picture, (x, y), radius, color, -1)
