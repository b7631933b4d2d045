"""Depth at the image's resolution: interpolation between known depths, the sky and unknown depth."""

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mp_perception.prediction import resize_depth


def test_known_depth_is_interpolated_with_aligned_edges():
    """Twice as wide: pixel centres lie a quarter of a pixel from the old ones."""
    resized = resize_depth(np.array([[10, 20, 40]], np.float32), 6, 1)
    np.testing.assert_allclose(resized, [[10, 12.5, 17.5, 25, 35, 40]])


def test_no_surface_appears_between_an_object_and_the_sky():
    resized = resize_depth(np.array([[10, 20, np.inf, np.nan, 40]], np.float32), 10, 1)
    unknown = [np.inf, np.inf, np.nan, np.nan]
    # The last pixel of 20 m, half a pixel from the sky, is not pulled towards it.
    np.testing.assert_allclose(resized, [[10, 12.5, 17.5, 20, *unknown, 40, 40]])


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(0, 2**32 - 1),
)
def test_every_pixel_is_of_the_kind_of_its_nearest_pixel_and_within_its_neighbours(size, wanted, seed):
    random = np.random.default_rng(seed)
    depth = random.uniform(1, 80, size).astype(np.float32)
    kinds = random.integers(0, 3, size)
    depth[kinds == 1], depth[kinds == 2] = np.inf, np.nan
    height, width = wanted
    resized = resize_depth(depth, width, height)
    assert resized.shape == wanted
    # The centre of pixel i lies at (i + 0.5) * old / new; where it falls on an edge, either pixel is the nearest.
    for row in range(height):
        for column in range(width):
            y, x = (row + 0.5) * size[0] / height - 0.5, (column + 0.5) * size[1] / width - 0.5
            rows = sorted({min(max(round(y + e), 0), size[0] - 1) for e in (-1e-3, 1e-3)})
            columns = sorted({min(max(round(x + e), 0), size[1] - 1) for e in (-1e-3, 1e-3)})
            nearest = [float(depth[r, c]) for r in rows for c in columns]
            value = float(resized[row, column])
            # An unknown one of the four pixels around counts as the mean of its own neighbours.
            around = depth[max(int(y) - 1, 0) : int(y) + 3, max(int(x) - 1, 0) : int(x) + 3]
            if np.isfinite(value):
                known = around[np.isfinite(around)]
                assert any(np.isfinite(nearest))
                assert known.min() * 0.9999 <= value <= known.max() * 1.0001
            else:
                assert any(n == value or (np.isnan(n) and np.isnan(value)) for n in nearest)


def test_depth_without_sky_is_resized_by_opencv():
    depth = np.random.default_rng(0).uniform(1, 80, (96, 318)).astype(np.float32)
    np.testing.assert_array_equal(resize_depth(depth, 1242, 375), cv2.resize(depth, (1242, 375)))
    assert resize_depth(depth, 318, 96) is depth
