"""Sky with a distance, and surfaces lost as beyond: counted by hand."""

from __future__ import annotations

import numpy as np

from mp_perception.evaluation.beyond import BeyondCounts, beyond_figures, count_beyond

INF, NAN = np.inf, np.nan


def test_counts_of_an_image() -> None:
    sky = np.array([[True, True, True, False], [False, False, False, False]])
    truth = np.array([[NAN, NAN, 10, 20], [79, 81, 0, 5]], dtype=np.float32)
    prediction = np.array([[INF, 30, NAN, INF], [INF, INF, INF, 5]], dtype=np.float32)
    assert count_beyond(sky, truth, prediction) == BeyondCounts(sky=2, near=1, surface=4, lost=2)


def test_a_smaller_prediction_covers_the_image() -> None:
    sky = np.zeros((4, 8), dtype=bool)
    sky[:2] = True
    prediction = np.array([[INF, INF, INF, 9], [9, 9, 9, 9]], dtype=np.float32)
    assert count_beyond(sky, None, prediction) == BeyondCounts(sky=16, near=4, surface=0, lost=0)
    surfaces = np.full((4, 8), 9, dtype=np.float32)
    assert count_beyond(None, surfaces, prediction) == BeyondCounts(sky=0, near=0, surface=32, lost=12)
    # What has been measured is no sky, whatever the mask says.
    assert count_beyond(sky, surfaces, prediction) == BeyondCounts(sky=0, near=0, surface=32, lost=12)


def test_unknown_truth_does_not_count() -> None:
    assert count_beyond(None, None, np.full((2, 2), INF, np.float32)) == BeyondCounts(0, 0, 0, 0)


def test_figures_are_fractions_of_all_pixels() -> None:
    figures = beyond_figures([BeyondCounts(10, 1, 100, 0), BeyondCounts(30, 0, 0, 0), BeyondCounts(0, 0, 100, 5)])
    assert figures == {
        "sky": 40,
        "near": 1,
        "surface": 200,
        "lost": 5,
        "near_fraction": 0.025,
        "lost_fraction": 0.025,
    }
    assert beyond_figures([BeyondCounts(0, 0, 0, 0)]) is None
    assert beyond_figures([BeyondCounts(0, 0, 4, 1)])["near_fraction"] is None
