"""Colourisation against the usual per-pixel loop, and its invariants."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mp_perception.data.depth_completion import complete_depth, complete_depth_file
from mp_perception.data.depth_png import write_depth_png
from mp_perception.errors import UserError


def loop_equations(grey: np.ndarray, depth: np.ndarray) -> tuple[dict[tuple[int, int], float], np.ndarray]:
    """NYU Depth's fill_depth_colorization, pixel by pixel: entries of I - W by (row, column), right side.

    Unlike there, a known pixel's row says that it stays as it is.
    """
    height, width = grey.shape
    values = grey / 255.0
    entries: dict[tuple[int, int], float] = {}
    right_side = np.zeros(height * width)
    for row in range(height):
        for column in range(width):
            pixel = row * width + column
            entries[pixel, pixel] = 1.0
            if np.isfinite(depth[row, column]):
                right_side[pixel] = depth[row, column]
                continue
            window = [
                (r, c)
                for r in range(max(0, row - 1), min(row + 2, height))
                for c in range(max(0, column - 1), min(column + 2, width))
                if (r, c) != (row, column)
            ]
            greys = np.array([values[place] for place in window])
            own = values[row, column]
            variance = np.mean((np.append(greys, own) - np.mean(np.append(greys, own))) ** 2)
            scale = max(variance * 0.6, -np.min((greys - own) ** 2) / np.log(0.01), 0.000002)
            weights = np.exp(-((greys - own) ** 2) / scale)
            for (r, c), weight in zip(window, weights / weights.sum(), strict=True):
                entries[pixel, r * width + c] = -weight
    return entries, right_side


def random_maps(seed: int, height: int, width: int, fraction: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    grey = cv2.GaussianBlur(random.integers(0, 256, (height, width), dtype=np.uint8), (0, 0), random.uniform(0.3, 3))
    depth = random.uniform(2, 80, (height, width)).astype(np.float32)
    depth[random.random((height, width)) > fraction] = np.nan
    depth[random.integers(height), random.integers(width)] = 20
    return grey, depth


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 14), st.integers(2, 17), st.sampled_from([0.0, 0.05, 0.3]))
def test_equals_the_loop(seed: int, height: int, width: int, fraction: float) -> None:
    grey, depth = random_maps(seed, height, width, fraction)
    entries, right_side = loop_equations(grey, depth)
    matrix = np.zeros((grey.size, grey.size))
    for place, value in entries.items():
        matrix[place] = value
    expected = np.linalg.solve(matrix, right_side).reshape(grey.shape)
    found = complete_depth(grey, depth)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    known = np.isfinite(depth)
    np.testing.assert_array_equal(found[known], depth[known])


def test_a_full_image_keeps_known_pixels_and_their_range() -> None:
    grey, depth = random_maps(1, 375, 1242, 0.04)
    depth[:140] = np.nan  # the lidar has no measurements of the sky
    filled = complete_depth(grey, depth)
    known = np.isfinite(depth)
    np.testing.assert_array_equal(filled[known], depth[known])
    assert filled.min() >= depth[known].min()
    assert filled.max() <= depth[known].max()


def test_a_uniform_image_gives_a_linear_slope() -> None:
    # Two known columns in an image of one grey: depth is linear between them.
    depth = np.full((9, 21), np.nan, dtype=np.float32)
    depth[:, 0], depth[:, 20] = 10, 30
    filled = complete_depth(np.full((9, 21), 100, dtype=np.uint8), depth)
    np.testing.assert_allclose(filled, np.broadcast_to(np.linspace(10, 30, 21), (9, 21)), atol=1e-3)


def test_depth_does_not_cross_an_edge_of_the_image() -> None:
    grey = np.full((20, 20), 30, dtype=np.uint8)
    grey[:, 10:] = 220
    depth = np.full((20, 20), np.nan, dtype=np.float32)
    depth[10, 3], depth[10, 16] = 5, 50
    filled = complete_depth(grey, depth)
    assert filled[:, :9].max() < 10
    assert filled[:, 11:].min() > 40


def test_maps_that_cannot_be_filled_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="with 0"):
        complete_depth(np.zeros((2, 3), np.uint8), np.full((2, 3), np.nan, np.float32))
    cv2.imwrite(str(tmp_path / "image.png"), np.zeros((4, 5, 3), np.uint8))
    write_depth_png(tmp_path / "depth.png", np.full((4, 5), np.nan, np.float32))
    with pytest.raises(UserError, match="depth.png: expected some known depth, found none"):
        complete_depth_file(tmp_path / "image.png", tmp_path / "depth.png", tmp_path / "out.png")
    write_depth_png(tmp_path / "depth.png", np.full((4, 6), 3, np.float32))
    with pytest.raises(UserError, match="depth.png: expected 5x4 pixels as .*image.png, found 6x4"):
        complete_depth_file(tmp_path / "image.png", tmp_path / "depth.png", tmp_path / "out.png")
    assert not (tmp_path / "out.png").exists()
