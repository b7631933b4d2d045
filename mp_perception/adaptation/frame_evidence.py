"""What the checks of a recording look at in each frame: edges of depth and colour, and a few numbers.

Everything is small: a recording of any length is sampled, and only this evidence of its frames stays in memory.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import DepthMap, RgbImage
from mp_perception.data.frame_sets import DroppedFrameError, FrameSet
from mp_perception.geometry import CameraIntrinsics

#: Cells across an image: depth edges are found on a grid of so many columns, half as many if depth is sparse.
_COLUMNS = 320
#: A dense depth map fills at least this fraction of the cells; a lidar's fills fewer.
DENSE_FRACTION = 0.5
#: The surface beyond a depth edge is farther by this factor.
_EDGE_RATIO = 1.1
#: Its inverse depth falls at the border by more than so many times the fall from cell to cell before it.
_STEP_PER_SLOPE = 2.0
#: Cells between the two surfaces of an edge, at most: a depth camera measures nothing in the shadow of an object.
_EDGE_GAP = 4
#: Brightness that counts as too dark and as too bright, of 255.
_DARK, _BRIGHT = 5, 250
_THUMBNAIL = (64, 48)
#: Frames in a row of which a long recording's sample consists, and how many frames it has at most.
_RUN_LENGTH, _MAX_FRAMES = 20, 160


@dataclass(frozen=True)
class FrameEvidence:
    """One frame with depth.

    index: in its FrameSet.  size: (height, width), pixels.  camera: None if unknown.
    gradients: (2, rows, columns) uint8, strength of the colour image's edges in each cell relative to its
    surroundings, 255 the strongest: of edges between a cell and the ones above and below, left and right.
    edges: (N, 4): x, y in cells, the nearer surface's depth in metres, and which of the gradients belongs to it (0, 1).
    thumbnail: (48, 64) float32, grey.  depth_code: equal for equal depth maps.
    known, dark, bright: fractions of pixels with depth, and too dark or bright to show anything.
    depth_range: 1 %, 50 % and 99 % of the depths, metres.  at_maximum: fraction of the depths that are the largest one.
    dense: whether depth is more than a lidar's lines.
    """

    index: int
    size: tuple[int, int]
    camera: CameraIntrinsics | None
    gradients: NDArray[np.uint8]
    edges: NDArray[np.float32]
    thumbnail: NDArray[np.float32]
    depth_code: int
    known: float
    dark: float
    bright: float
    depth_range: tuple[float, float, float]
    at_maximum: float
    dense: bool

    @property
    def cell(self) -> float:
        """Pixels along the side of a cell."""
        return self.size[1] / self.gradients.shape[2]


def sample_indices(count: int) -> list[int]:
    """The frames of a recording to look at: all of them, or runs of consecutive ones, evenly spread."""
    if count <= _MAX_FRAMES:
        return list(range(count))
    starts = np.linspace(0, count - _RUN_LENGTH, _MAX_FRAMES // _RUN_LENGTH).astype(int)
    return sorted({int(start) + offset for start in starts for offset in range(_RUN_LENGTH)})


def read_evidence(frames: FrameSet, problems: list[str]) -> Iterator[FrameEvidence]:
    """The evidence of a sample of the frames; those without depth or with an unusable image are left out.

    problems: what is wrong with frames is added to it.
    """
    for index in sample_indices(len(frames)):
        try:
            sample = frames[index]
        except DroppedFrameError as error:
            problems.append(str(error))
            continue
        problems += [f"{what}: {example}" for what, example in frames.problems]
        if sample.depth is not None and np.isfinite(sample.depth).any():
            yield _evidence(index, sample.image, sample.depth, sample.intrinsics)


def depth_edges(depth: DepthMap, sparse: bool) -> NDArray[np.float32]:
    """Borders (N, 4) of nearer surfaces in a depth map, NaN where unknown: x, y, depth, direction as FrameEvidence has.

    sparse: scan lines of a lidar: only left and right borders count, and one beyond which nothing was measured, such as
    the sky, is a border as well.
    """
    found = []
    for direction, forward in ((1, True), (1, False), (0, True), (0, False)):
        if sparse and direction == 0:
            continue
        turned = depth if direction == 1 else depth.T
        turned = turned if forward else turned[:, ::-1]
        beyond = np.full_like(turned, np.nan)
        beyond[:, :-1] = turned[:, 1:]
        for _ in range(_EDGE_GAP - 1):
            beyond[:, :-1] = np.where(np.isnan(beyond), np.roll(beyond, -1, axis=1), beyond)[:, :-1]
        is_edge = beyond > turned * _EDGE_RATIO
        if not sparse:
            # Inverse depth is linear on a plane: far ground, seen at a flat angle, has steep slopes and no border.
            inverse = 1 / turned
            slope = np.abs(np.diff(inverse, axis=1, prepend=np.float32(np.nan)))
            is_edge &= ~(inverse - 1 / beyond < _STEP_PER_SLOPE * slope)
        else:
            is_edge |= np.isnan(beyond) & ~np.isnan(turned)
            is_edge[:, -_EDGE_GAP:] = False
        rows, columns = np.nonzero(is_edge)
        along = (columns + 1.0) if forward else (turned.shape[1] - columns - 1.0)
        across = rows + 0.5
        x, y = (along, across) if direction == 1 else (across, along)
        found.append(np.column_stack([x, y, turned[rows, columns], np.full(len(rows), direction)]))
    return np.asarray(np.concatenate(found), dtype=np.float32)


def image_gradients(image: RgbImage, columns: int) -> NDArray[np.uint8]:
    """FrameEvidence.gradients of an image (H, W, 3)."""
    height, width = image.shape[:2]
    size = (columns, max(1, round(height * columns / width)))
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1)
    down, right = (np.abs(cv2.Sobel(smooth, cv2.CV_32F, *order)) for order in ((0, 1), (1, 0)))
    # Relative to the surroundings: texture is no border, and a weak border in the shade is one.
    surroundings = cv2.blur(down + right, (31, 31)) + 4
    gradients = np.stack([down / (down + surroundings), right / (right + surroundings)])
    return np.asarray(np.rint(gradients * 255), dtype=np.uint8)


def _evidence(index: int, image: RgbImage, depth: DepthMap, camera: CameraIntrinsics | None) -> FrameEvidence:
    depths = depth[np.isfinite(depth)]
    low, middle, high = (float(value) for value in np.percentile(depths, (1, 50, 99)))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    cells = _nearest_in_cells(depth, min(_COLUMNS, depth.shape[1]))
    dense = bool(np.mean(~np.isnan(cells)) >= DENSE_FRACTION)
    if not dense:
        cells = _nearest_in_cells(depth, min(_COLUMNS // 2, depth.shape[1]))
    return FrameEvidence(
        index=index,
        size=(depth.shape[0], depth.shape[1]),
        camera=camera,
        gradients=image_gradients(image, cells.shape[1]),
        edges=depth_edges(cells, sparse=not dense),
        thumbnail=cv2.resize(grey, _THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32),
        depth_code=zlib.crc32(depth.tobytes()),
        known=len(depths) / depth.size,
        dark=float(np.mean(grey <= _DARK)),
        bright=float(np.mean(grey >= _BRIGHT)),
        depth_range=(low, middle, high),
        at_maximum=float(np.mean(depths == depths.max())),
        dense=dense,
    )


def _nearest_in_cells(depth: DepthMap, columns: int) -> DepthMap:
    """The smallest depth in each of (rows, columns) equal cells, NaN where all of a cell is unknown."""
    height, width = depth.shape
    rows = max(1, round(height * columns / width))
    row, column = np.nonzero(np.isfinite(depth))
    cells = np.full(rows * columns, np.inf, dtype=np.float32)
    np.minimum.at(cells, row * rows // height * columns + column * columns // width, depth[row, column])
    cells[np.isinf(cells)] = np.nan
    return cells.reshape(rows, columns)
