"""Sparse depth maps filled by colourisation (Levin et al. 2004), as in NYU Depth's toolbox.

Every unknown pixel gets the weighted mean of its eight neighbours' depth.  A neighbour's weight falls with its
difference in grey value g:

    w = exp(-(g - g')^2 / s),   s = max(0.6 v, m / ln 100, 2e-6)

v is the variance of the grey values (0..1) in the 3x3 window and m the minimum squared difference to a neighbour, whose
weight is therefore at least 0.01.  Known pixels do not change: they are constants in the equations of the unknown ones.

The linear system has up to 465,000 unknowns for a KITTI image.  It is built by array operations and solved
directly: pixels are numbered by nested dissection (halves of the image first, the line between them last), which keeps
the factors small; the factors are in single precision, and the solution is refined in double precision.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import splu

from mp_perception.arrays import DepthMap, Floats
from mp_perception.data.depth_png import read_depth_png, write_depth_png
from mp_perception.data.image_files import read_image
from mp_perception.errors import UserError

#: The refinement ends when its maximum change of a depth is below this, metres: a quarter of a depth map's unit.
TOLERANCE = 1 / 1024
_MAX_REFINEMENTS = 10
#: Parts of the image at most this long and wide are not divided further.
_SMALLEST_PART = 3
_NEIGHBOURS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]


def complete_depth_file(image: Path, depth: Path, target: Path) -> None:
    """Read an image and its sparse depth map, and write the filled map (16-bit PNG, metres x 256).

    Raises UserError naming the file that is missing, wrong, or has no known depth.
    """
    grey = cv2.cvtColor(read_image(image), cv2.COLOR_RGB2GRAY)
    sparse = read_depth_png(depth)
    if sparse.shape != grey.shape:
        expected = f"{grey.shape[1]}x{grey.shape[0]}"
        raise UserError(f"{depth}: expected {expected} pixels as {image}, found {sparse.shape[1]}x{sparse.shape[0]}")
    if not np.isfinite(sparse).any():
        raise UserError(f"{depth}: expected some known depth, found none")
    write_depth_png(target, complete_depth(np.asarray(grey, dtype=np.uint8), sparse))


def complete_depth(grey: NDArray[np.uint8], depth: DepthMap) -> DepthMap:
    """A depth map without unknown pixels.

    grey: (H, W).  depth: (H, W) metres, NaN where unknown, at least one pixel known.  Known pixels do not change; the
    others are between the minimum and the maximum known depth, to within TOLERANCE of the exact solution.
    Raises ValueError if shapes differ or no pixel is known.
    """
    known = np.isfinite(depth)
    if grey.shape != depth.shape or not known.any():
        raise ValueError(f"expected a map {grey.shape} with known pixels, found {depth.shape} with {known.sum()}")
    if known.all():
        return depth.copy()
    pixels = _dissection_order(*depth.shape)
    pixels = pixels[~known.ravel()[pixels]]
    filled = depth.copy()
    solution = _solve(*_equations(neighbour_weights(grey), depth, pixels))
    filled.ravel()[pixels] = np.clip(solution, depth[known].min(), depth[known].max())
    return filled


def neighbour_weights(grey: NDArray[np.uint8]) -> Floats:
    """Weights (8, H, W) of each pixel's neighbours, not normalised, in row order of the window; 0 outside the image."""
    values = grey / 255.0
    height, width = values.shape

    def window_sum(array: Floats) -> Floats:
        return np.asarray(cv2.boxFilter(array, cv2.CV_64F, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT))

    count = window_sum(np.ones_like(values))
    variance = window_sum(values**2) / count - (window_sum(values) / count) ** 2
    padded = np.pad(values, 1, constant_values=np.inf)
    differences = np.stack(
        [(padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] - values) ** 2 for dy, dx in _NEIGHBOURS]
    )
    scale = np.maximum(np.maximum(0.6 * variance, differences.min(axis=0) / np.log(100)), 2e-6)
    return np.asarray(np.exp(-differences / scale))


def _equations(weights: Floats, depth: DepthMap, pixels: NDArray[np.int64]) -> tuple[csr_matrix, Floats]:
    """Matrix (n, n) and right side (n,) of the unknown pixels: sum of w * own depth = sum of w * neighbour's depth."""
    height, width = depth.shape
    # A border of known zeros, whose weights are zero too, makes tests at the image's edge unnecessary.
    numbers = np.full((height + 2, width + 2), -1, dtype=np.int32)
    padded_depth = np.zeros((height + 2, width + 2))
    padded_depth[1:-1, 1:-1] = np.nan_to_num(depth)
    padded_width = width + 2
    places = (pixels // width + 1) * padded_width + pixels % width + 1
    numbers.ravel()[places] = np.arange(len(pixels), dtype=np.int32)
    steps = np.array([0, *(dy * padded_width + dx for dy, dx in _NEIGHBOURS)])
    around = places[:, None] + steps
    columns = numbers.ravel()[around]
    values = np.empty(around.shape)
    values[:, 1:] = -weights.reshape(8, -1)[:, pixels].T
    values[:, 0] = -values[:, 1:].sum(axis=1)
    right_side = -np.einsum("nk,nk->n", values[:, 1:], padded_depth.ravel()[around[:, 1:]])
    unknown = columns >= 0
    starts = np.concatenate([[0], np.cumsum(unknown.sum(axis=1))]).astype(np.int32)
    matrix = csr_matrix((values[unknown], columns[unknown], starts), shape=(len(pixels), len(pixels)))
    return matrix, right_side


def _solve(matrix: csr_matrix, right_side: Floats) -> Floats:
    # Single precision does not always converge; double precision then does in one step.
    for precision in (np.float32, np.float64):
        # Read as columns, the rows are the transposed matrix, which has the same pattern.
        factors = splu(
            matrix.astype(precision).T,
            permc_spec="NATURAL",
            diag_pivot_thresh=0,
            relax=1,
            panel_size=1,
            options={"SymmetricMode": True, "Equil": False},
        )
        solution = np.zeros_like(right_side)
        change, refinements = np.inf, 0
        while change > TOLERANCE and refinements < _MAX_REFINEMENTS and np.isfinite(solution).all():
            residual = (right_side - matrix @ solution).astype(precision)
            correction = factors.solve(residual, "T")
            solution += correction
            change, refinements = float(np.abs(correction).max()), refinements + 1
        if change <= TOLERANCE:
            break
    return solution


@lru_cache(maxsize=8)
def _dissection_order(height: int, width: int) -> NDArray[np.int64]:
    """All pixels (H * W,), ordered so that lines that separate parts of the image come after the parts."""
    grid = np.arange(height * width, dtype=np.int64).reshape(height, width)
    last_first: list[NDArray[np.int64]] = []
    parts: list[NDArray[np.int64]] = [grid]
    while parts:
        part = parts.pop()
        rows, columns = part.shape
        if max(rows, columns) <= _SMALLEST_PART:
            last_first.append(part.ravel())
            continue
        if rows > columns:
            middle = rows // 2
            line, halves = part[middle], (part[:middle], part[middle + 1 :])
        else:
            middle = columns // 2
            line, halves = part[:, middle], (part[:, :middle], part[:, middle + 1 :])
        last_first.append(line)
        parts += [half for half in halves if half.size]
    return np.concatenate(last_first[::-1])
