"""Noise that repeats without a seam: what surfaces, clouds and leaves take their irregularity from."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

#: Side of a tile, in cells.
TILE = 512


@lru_cache(maxsize=8)
def noise_tile(exponent: int) -> NDArray[np.float32]:
    """A (TILE, TILE) tile of noise, uniformly distributed in 0..1, that continues over its edges.

    exponent: 0 is independent from cell to cell, 1 and 2 are ever softer (amplitude falls with frequency ** exponent).
    The tile is the same in every process.
    """
    generator = np.random.default_rng(7 + exponent)
    spectrum = np.fft.rfft2(generator.standard_normal((TILE, TILE)))
    rows = np.fft.fftfreq(TILE)[:, None]
    columns = np.fft.rfftfreq(TILE)[None, :]
    frequency = np.hypot(rows, columns) * TILE
    frequency[0, 0] = 1.0
    # Below four cycles per tile the noise would repeat visibly: such waves are damped.
    values = np.fft.irfft2(spectrum * np.minimum(frequency / 4, 1) / frequency**exponent, s=(TILE, TILE))
    ranks = np.empty(TILE * TILE, dtype=np.float32)
    ranks[np.argsort(values, axis=None, kind="stable")] = np.linspace(0, 1, TILE * TILE, dtype=np.float32)
    return ranks.reshape(TILE, TILE)


def noise(exponent: int, x: Floats, y: Floats) -> NDArray[np.float32]:
    """Noise 0..1 at places x, y (any equal shapes), counted in cells; any place, also negative."""
    tile = noise_tile(exponent)
    row = np.floor(y).astype(np.int32) & (TILE - 1)
    return tile.ravel()[row * TILE + (np.floor(x).astype(np.int32) & (TILE - 1))]


def smooth_noise(exponent: int, x: Floats, y: Floats) -> NDArray[np.float32]:
    """The same noise, interpolated linearly between cells."""
    column, row = np.floor(x), np.floor(y)
    right, down = (x - column).astype(np.float32), (y - row).astype(np.float32)
    above = noise(exponent, column, row) * (1 - right) + noise(exponent, column + 1, row) * right
    below = noise(exponent, column, row + 1) * (1 - right) + noise(exponent, column + 1, row + 1) * right
    result: NDArray[np.float32] = above * (1 - down) + below * down
    return result


def random_of(x: Floats, y: Floats, seed: Floats | float) -> NDArray[np.float32]:
    """A fixed random number 0..1 for every whole-number cell (x, y) and seed, as for the windows of a house."""
    column, row = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    number = np.floor(np.asarray(seed)).astype(np.int64)
    tile = noise_tile(0)
    result: NDArray[np.float32] = tile[
        (row * 57 + number * 131) & (TILE - 1), (column * 91 + number * 17 + 13) & (TILE - 1)
    ]
    return result
