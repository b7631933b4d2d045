"""Depth colours: the scale, the scale bar, unknown depth and depth beyond the range."""

import numpy as np
import pytest

from mp_perception.visualization.depth_colors import color_depth


def test_unknown_is_black_and_ends_are_clipped():
    depth = np.array([[np.nan, 0.5, 1.0, 80.0, 500.0]], dtype=np.float32)
    colors = color_depth(depth, scale_bar=False)[0]
    assert not colors[0].any()
    assert (colors[1] == colors[2]).all()
    assert (colors[3] == colors[4]).all()
    assert (colors[2] != colors[3]).any()


def test_beyond_the_range_is_light_grey_also_at_the_end_of_the_bar():
    depth = np.full((375, 1242), np.inf, dtype=np.float32)
    assert np.unique(color_depth(depth, scale_bar=False)).tolist() == [215]
    bar = color_depth(np.full_like(depth, 10))[9:18, -341:-31]
    grey = (bar == 215).all(axis=(0, 2))
    assert grey[-18:].all()
    assert not grey[:-18].any()


def test_near_is_red_and_far_is_blue():
    near, middle, far = color_depth(np.array([[2, 9, 50]], dtype=np.float32), scale_bar=False)[0].tolist()
    assert near[0] > near[2]
    assert middle[1] > max(middle[0], middle[2])
    assert far[2] > far[0]


def test_equal_ratios_are_equal_steps():
    """The scale is logarithmic: a column from 1 to 80 m in equal ratios runs evenly through the colour map."""
    column = np.geomspace(1, 80, 256, dtype=np.float32)[None]
    colors = color_depth(column, scale_bar=False)[0].astype(int)
    assert len(np.unique(colors, axis=0)) > 200


@pytest.mark.parametrize("size", [(375, 1242), (192, 640), (30, 50), (1, 1)])
def test_the_bar_changes_only_its_corner(size):
    depth = np.full(size, 10, dtype=np.float32)
    plain, with_bar = color_depth(depth, scale_bar=False), color_depth(depth)
    changed = np.argwhere((plain != with_bar).any(axis=2))
    if size[0] < 60:
        assert len(changed) == 0
    else:
        assert changed[:, 0].max() < size[0] // 4
        assert changed[:, 1].min() > size[1] // 2
