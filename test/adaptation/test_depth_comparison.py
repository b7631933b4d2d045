"""Depth compared with the alternatives, by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mp_perception.adaptation.depth_comparison import (
    best_factor,
    compare_depth,
    depth_maps,
    fixed_depth_map,
    is_better,
    kept_detections,
    relative_depth_error,
)
from mp_perception.arrays import DepthMap, RgbImage
from mp_perception.data.frame_sets import Frame, FrameSet
from mp_perception.prediction import Detections, Prediction


class DepthFrames(FrameSet):
    """Frames with these depth maps."""

    def __init__(self, depths: Sequence[DepthMap]) -> None:
        super().__init__("frames", [Frame(f"{number:03}", Path(), Path()) for number in range(len(depths))])
        self._depths = depths

    def image(self, index: int) -> RgbImage:
        return np.zeros((*self._depths[index].shape, 3), np.uint8)

    def depth(self, index: int) -> DepthMap:
        return self._depths[index]


def detections(*objects: tuple[float, float, int]) -> Detections:
    """Boxes of 10x10 pixels: (left edge, score, label)."""
    count = len(objects)
    return Detections(
        boxes=np.array([[left, 0, left + 10, 10] for left, _, _ in objects], np.float32).reshape(-1, 4),
        scores=np.array([score for _, score, _ in objects], np.float32),
        labels=np.array([label for _, _, label in objects], np.int64),
        depth=np.ones(count, np.float32),
        depth_std=np.ones(count, np.float32),
        valid_fraction=np.ones(count, np.float32),
        position=np.zeros((count, 3), np.float32),
        class_names=("Car", "Pedestrian"),
    )


def prediction(depth: DepthMap, found: Detections | None = None) -> Prediction:
    return Prediction(found or detections(), depth, (depth.shape[0], depth.shape[1]))


@pytest.fixture
def truth() -> DepthMap:
    depth = np.random.default_rng(0).uniform(1, 4, (60, 90)).astype(np.float32)
    depth[::3] = np.nan
    return depth


def test_the_best_factor_undoes_a_wrong_scale(truth: DepthMap) -> None:
    frames = DepthFrames([truth, truth * 2])
    filled = np.nan_to_num(truth, nan=1.0)
    assert best_factor([filled * 3, filled * 6], frames) == pytest.approx(1 / 3, rel=0.01)


def test_errors_are_those_of_their_pixels(truth: DepthMap) -> None:
    """The left third is 10 % too far, what is beyond 3 m twice as far."""
    predicted = np.nan_to_num(truth, nan=9.0)
    predicted[:, :30] *= 1.1
    predicted[np.nan_to_num(truth) >= 3] = 2 * truth[np.nan_to_num(truth) >= 3]
    figures = compare_depth([predicted], DepthFrames([truth]))
    known = np.isfinite(truth)
    errors = np.abs(predicted - truth)[known] / truth[known]
    assert figures.overall["rel"] == pytest.approx(errors.mean(), rel=1e-5)
    assert figures.overall["pixels"] == known.sum()
    assert figures.relative_errors == [pytest.approx(errors.mean(), rel=1e-5)]
    far = next(row for row in figures.by_distance if row["from"] == 3)
    assert (far["rel"], far["d1"]) == (pytest.approx(1, rel=1e-5), 0)
    near = next(row for row in figures.by_distance if row["from"] == 1.5)
    assert near["d1"] == 1
    assert {row["pixels"] for row in figures.by_distance if row["from"] >= 4} == {0}
    middle = figures.by_region["middle centre"]
    part = np.s_[20:40, 30:60]
    assert middle["pixels"] == known[part].sum()
    assert middle["rel"] == pytest.approx(
        (np.abs(predicted - truth)[part][known[part]] / truth[part][known[part]]).mean(), rel=1e-5
    )


def test_a_fixed_map_is_the_median_and_knows_every_pixel() -> None:
    maps = [np.full((8, 12), value, np.float32) for value in (1, 2, 7)]
    for depth in maps:
        depth[:, 8:] = np.nan
    fixed = fixed_depth_map(DepthFrames(maps), (8, 12))
    assert (fixed == 2).all()


def test_better_means_better_than_all_in_both_figures(truth: DepthMap) -> None:
    frames = DepthFrames([truth])
    filled = np.nan_to_num(truth, nan=1.0)
    good, bad = (compare_depth([filled * factor], frames) for factor in (1.1, 1.4))
    assert is_better(good, [bad])
    assert not is_better(bad, [good])
    smaller_rel_and_d1 = replace(bad, overall=bad.overall | {"rel": 0.01})
    assert not is_better(good, [bad, smaller_rel_and_d1])


def test_beyond_is_the_end_of_the_range_and_errors_have_their_standard_deviation(truth: DepthMap) -> None:
    depth = np.full((30, 45), 5, np.float32)
    depth[0] = np.inf
    (limited,) = depth_maps([prediction(depth)], 8.0)
    assert (limited[0] == 8).all()
    random = np.random.default_rng(1)
    estimate = np.nan_to_num(truth, nan=1.0)
    noisy = (truth * (1 + 0.05 * random.standard_normal(truth.shape))).astype(np.float32)
    assert relative_depth_error([estimate], DepthFrames([noisy])) == pytest.approx(0.05, rel=0.1)


def test_kept_and_new_detections() -> None:
    depth = np.ones((4, 4), np.float32)
    before = prediction(depth, detections((0, 0.9, 0), (20, 0.9, 1), (40, 0.1, 0)))
    after = prediction(depth, detections((2, 0.8, 0), (20, 0.9, 0), (60, 0.9, 0)))
    # Overlaps: 8 of 12 columns; the second changes its class; the third was below the threshold.
    assert kept_detections([before], [after], 0.3) == {"before": 2, "kept": 1, "new": 2}
