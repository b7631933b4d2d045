"""Seamless noise: the irregularity of surfaces, clouds and leaves."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import AnyFloats

#: Side of a tile, in cells.
TILE = 512


@lru_cache(maxsize=8)
def noise_tile(exponent: int) -> NDArray[np.float32]:
    """A (TILE, TILE) tile of noise, uniformly distributed in 0..1, that continues over its edges.

    exponent: 0 is independent from cell to cell; 1 and 2 are smoother (amplitude falls with frequency ** exponent).
    The tile is the same in every process.
    """
    generator = np.random.default_rng(7 + exponent)
    spectrum = np.fft.rfft2(generator.standard_normal((TILE, TILE)))
    frequency = np.hypot(np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None, :]) * TILE
    frequency[0, 0] = 1.0
    # Waves of fewer than four cycles per tile are damped: they would make the repetition visible.
    values = np.fft.irfft2(spectrum * np.minimum(frequency / 4, 1) / frequency**exponent, s=(TILE, TILE))
    ranks = np.empty(TILE * TILE, dtype=np.float32)
    ranks[np.argsort(values, axis=None, kind="stable")] = np.linspace(0, 1, TILE * TILE, dtype=np.float32)
    return ranks.reshape(TILE, TILE)


def noise(exponent: int, x: AnyFloats, y: AnyFloats) -> NDArray[np.float32]:
    """Noise 0..1 at positions x, y (equal shapes), in cells; positions may be negative."""
    tile = noise_tile(exponent)
    row = np.floor(y).astype(np.int32) & (TILE - 1)
    return tile.ravel()[row * TILE + (np.floor(x).astype(np.int32) & (TILE - 1))]


def smooth_noise(exponent: int, x: AnyFloats, y: AnyFloats) -> NDArray[np.float32]:
    """The same noise, interpolated linearly between cells."""
    column, row = np.floor(x), np.floor(y)
    right, down = (x - column).astype(np.float32), (y - row).astype(np.float32)
    above = noise(exponent, column, row) * (1 - right) + noise(exponent, column + 1, row) * right
    below = noise(exponent, column, row + 1) * (1 - right) + noise(exponent, column + 1, row + 1) * right
    result: NDArray[np.float32] = above * (1 - down) + below * down
    return result
