"""Whether depth lies on the colour image, and belongs to its moment: borders of depth against edges of colour.

At the border of a nearer surface the colour image mostly has an edge as well (Levinson and Thrun 2013 calibrate lidars
so).  The mean strength of colour's edges under the borders of depth, above that elsewhere in the image, is the score of
a displacement: largest where the two fit, and zero where they have nothing to do with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.adaptation.frame_evidence import FrameEvidence
from mp_perception.arrays import AnyFloats, Floats, Mask

#: Searched displacements: scales, and shifts to both sides and up and down, in image widths.
_SCALES = np.linspace(0.84, 1.16, 9)
_RIGHT, _DOWN = np.linspace(-0.05, 0.05, 9), np.linspace(-0.0375, 0.0375, 7)
_STEPS = np.array([0.04, 0.0125, 0.0125])
#: What a shift to the right may be: of all depths alike, or parallax.
_SHIFTS = ("right", "parallax")
#: Standard deviation of the blur of colour's edges for the search, in image widths: as wide as half a step.
_SEARCH_BLUR = 0.006
#: So many edges are enough for the search.
_SEARCH_EDGES = 3_000
#: From so many of the best points of the grid the search continues, in so many halved steps.
_STARTS, _HALVINGS = 3, 4
#: Depth of up to so many frames before and after is tried.
_MAX_LAG = 10
#: Groups of consecutive frames: their differences measure the uncertainty.
_GROUPS = 16
#: Standard errors from which a difference is taken for real.
_SIGNIFICANT = 3.0


@dataclass(frozen=True)
class Displacement:
    """Where depth has to be moved to: its scale about the image's centre, then shifts in image widths.

    parallax: a shift to the right at 1 m, as of a depth camera to the right of the colour camera; at z metres, 1 / z.

    Examples:
        >>> Displacement(scale=1.1, right=0.01).apply(np.array([[420.0, 240.0]]), np.array([2.0]), (480, 640)).tolist()
        [[436.4, 240.0]]
    """

    scale: float = 1.0
    down: float = 0.0
    right: float = 0.0
    parallax: float = 0.0

    def apply(self, points: AnyFloats, depth: AnyFloats, size: tuple[int, int]) -> AnyFloats:
        """Points (N, 2) at depth (N,), metres, of an image of (height, width), moved."""
        centre = np.array([size[1] / 2, size[0] / 2])
        moved = centre + self.scale * (points - centre)
        moved += np.column_stack([self.right + self.parallax / depth, np.full(len(depth), self.down)]) * size[1]
        return np.asarray(moved)


@dataclass(frozen=True)
class Fit:
    """The result of a search.

    best: the displacement, or the lag in frames, with the largest score.  distance: how far it moves the borders of
    depth, root of the mean square in image widths; 0 for a lag.
    score: of the best.  given: of depth as it is.
    significant: whether the best is better than depth as it is, for frames that the search did not see.
    confirmed: whether depth as it is fits better than chance.
    """

    best: Displacement
    lag: int
    distance: float
    score: float
    given: float
    significant: bool
    confirmed: bool


class EdgeScores:
    """Scores of the depth edges of frames of one size.

    frames: in order, with at least one edge.
    """

    def __init__(self, frames: Sequence[FrameEvidence]) -> None:
        self._indices = np.array([frame.index for frame in frames])
        self._gradients = np.stack([frame.gradients for frame in frames])
        self._blurred = np.stack([_blurred(frame.gradients) for frame in frames])
        self._means = self._gradients.mean(axis=(2, 3))
        self._frame = np.concatenate([np.full(len(frame.edges), number) for number, frame in enumerate(frames)])
        edges = np.concatenate([frame.edges for frame in frames])
        self._points, self._depth = edges[:, :2].astype(np.float64), edges[:, 2].astype(np.float64)
        self._direction = edges[:, 3].astype(np.intp)
        # Left and right borders, all that a lidar's lines show, fit nearly as well higher or lower.
        self._down = _DOWN if frames[0].dense else np.zeros(1)
        self._groups = np.arange(len(frames)) * _GROUPS // len(frames)

    @property
    def count(self) -> int:
        """Number of edges."""
        return len(self._points)

    def fit_displacement(self, lag: int = 0) -> Fit:
        """The displacement that fits best, of depth that is late by `lag` frames."""
        parts = [self._groups % 2 == part for part in (0, 1)]
        found = [self._search(lag, part) for part in parts]
        best = max(found, key=lambda displacement: self._score(displacement, lag))
        # Each half is judged by what was found in the other: a maximum of noise does not repeat itself.
        unmoved = self._group_scores(Displacement(), lag)
        gains = [(self._group_scores(other, lag) - unmoved)[part::2] for part, other in enumerate(reversed(found))]
        size = (self._gradients.shape[2], self._gradients.shape[3])
        moved = (best.apply(self._points, self._depth, size) - self._points) / size[1]
        return Fit(
            best=best,
            lag=lag,
            distance=float(np.sqrt(np.mean(np.sum(moved**2, axis=1)))),
            score=self._score(best, lag),
            given=self._score(Displacement(), lag),
            significant=_is_significant(np.concatenate(gains)),
            confirmed=_is_significant(unmoved),
        )

    def fit_lag(self) -> Fit:
        """The number of frames by which depth is late."""
        lags = [0, *(sign * lag for lag in range(1, _MAX_LAG + 1) for sign in (1, -1))]
        by_group = np.array([self._group_scores(Displacement(), lag) for lag in lags])
        # A maximum of noise is not found in both halves of the frames.
        best, other = (lags[int(np.argmax(np.nanmean(by_group[:, part::2], axis=1)))] for part in (0, 1))
        gain = by_group[lags.index(best)] - by_group[0]
        return Fit(
            best=Displacement(),
            lag=best,
            distance=0.0,
            score=self._score(Displacement(), best),
            given=self._score(Displacement(), 0),
            significant=best == other != 0 and _is_significant(gain),
            confirmed=_is_significant(by_group[0]),
        )

    def _search(self, lag: int, used: Mask) -> Displacement:
        """The displacement of the largest score over the frames `used`: on a grid, then around its best point."""
        edges = np.flatnonzero(used[self._frame])
        few = edges[:: max(1, len(edges) // _SEARCH_EDGES)]
        return max(
            (self._search_shift(shift, lag, few) for shift in _SHIFTS),
            key=lambda displacement: self._sum(displacement, lag, few, self._gradients),
        )

    def _search_shift(self, shift: str, lag: int, edges: NDArray[np.intp]) -> Displacement:
        """The largest score, with one of the shifts."""
        size = 1.0 if shift == "right" else float(np.median(self._depth[edges]))

        def score(values: Floats, gradients: NDArray[np.uint8]) -> float:
            return self._sum(_displacement(values, shift, size), lag, edges, gradients)

        grid = np.array(list(product(_SCALES, self._down, _RIGHT)))
        steps = _STEPS * [1, len(self._down) > 1, 1]
        coarse = [score(values, self._blurred) for values in grid]
        found = []
        for start in np.argsort(coarse, kind="stable")[: -_STARTS - 1 : -1]:
            best = grid[start]
            for halving in range(1, _HALVINGS + 1):
                around = best + steps / 2**halving * np.array(list(product((-1, 0, 1), repeat=3)))
                gradients = self._blurred if halving == 1 else self._gradients
                best = max(around, key=lambda values: score(values, gradients))
            found.append(best)
        return _displacement(max(found, key=lambda values: score(values, self._gradients)), shift, size)

    def _sum(
        self, displacement: Displacement, lag: int, edges: NDArray[np.intp], gradients: NDArray[np.uint8]
    ) -> float:
        """The score times the number of edges: edges outside the image lie on nothing."""
        return float(self._values(displacement, lag, edges, gradients)[0].sum())

    def _score(self, displacement: Displacement, lag: int) -> float:
        """Mean over all edges, of a colour image's strongest edges 1."""
        values, _ = self._values(displacement, lag, np.arange(self.count), self._gradients)
        return float(values.mean()) / 255 if len(values) else 0.0

    def _group_scores(self, displacement: Displacement, lag: int) -> Floats:
        """The score of each group of frames, NaN without edges."""
        values, frame = self._values(displacement, lag, np.arange(self.count), self._gradients)
        groups = self._groups[frame]
        counts = np.bincount(groups, minlength=_GROUPS)
        sums = np.bincount(groups, values, minlength=_GROUPS)
        means = np.divide(sums, counts, out=np.full(_GROUPS, np.nan), where=counts > 0)
        return np.asarray(means / 255)

    def _values(
        self,
        displacement: Displacement,
        lag: int,
        edges: NDArray[np.intp],
        gradients: NDArray[np.uint8],
    ) -> tuple[Floats, NDArray[np.intp]]:
        """Strength of colour's edges above the mean, and the frame, of those of the edges that lie in an image."""
        frame = self._frame[edges]
        other = frame - lag
        exists = (other >= 0) & (other < len(self._indices))
        other = np.clip(other, 0, len(self._indices) - 1)
        # Frames of different runs of a sample are not neighbours.
        exists &= self._indices[other] == self._indices[frame] - lag
        rows, columns = gradients.shape[2:]
        moved = displacement.apply(self._points[edges], self._depth[edges], (rows, columns))
        # An edge lies between two cells; the gradient is that of the cells' centres.
        column, row = np.floor(moved).astype(np.intp).T
        inside = exists & (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        direction, other = self._direction[edges][inside], other[inside]
        strength = gradients[other, direction, row[inside], column[inside]].astype(np.float64)
        return strength - self._means[other, direction], frame[inside]


def _displacement(values: Floats, shift: str, size: float) -> Displacement:
    """Of scale, down and shift in image widths at the depth `size`."""
    scale, down, by = values.tolist()
    return Displacement(scale, down, **{shift: by * size})


def _blurred(gradients: NDArray[np.uint8]) -> NDArray[np.uint8]:
    sigma = _SEARCH_BLUR * gradients.shape[2]
    return np.stack([cv2.GaussianBlur(gradient, (0, 0), sigma) for gradient in gradients]).astype(np.uint8)


def _is_significant(differences: Floats) -> bool:
    """Whether the mean of groups' differences is above zero by several standard errors."""
    known = differences[~np.isnan(differences)]
    if len(known) < 3:
        return False
    error = known.std(ddof=1) / np.sqrt(len(known))
    return bool(known.mean() > _SIGNIFICANT * error)
