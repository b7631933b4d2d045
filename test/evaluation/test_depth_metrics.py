"""Depth errors by hand, against plain Python loops, and their means in any order."""

from __future__ import annotations

import math
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mp_perception.evaluation.depth_metrics import (
    DEPTH_METRICS,
    SERVER_METRICS,
    depth_errors,
    image_errors,
    mean_errors,
    server_depth_errors,
)


def depth_by_loops(truth, prediction):
    n = len(truth)
    within = [0, 0, 0]
    for d, p in zip(truth, prediction, strict=True):
        for power in (1, 2, 3):
            within[power - 1] += d / p < 1.25**power and p / d < 1.25**power
    pairs = list(zip(truth, prediction, strict=True))
    return {
        "d1": within[0] / n,
        "d2": within[1] / n,
        "d3": within[2] / n,
        "rel": math.fsum(abs(d - p) / d for d, p in pairs) / n,
        "rmse": math.sqrt(math.fsum((d - p) ** 2 for d, p in pairs) / n),
        "log10": math.fsum(abs(math.log10(d) - math.log10(p)) for d, p in pairs) / n,
        "sq_rel": math.fsum((d - p) ** 2 / d for d, p in pairs) / n,
        "rmse_log": math.sqrt(math.fsum(math.log(d / p) ** 2 for d, p in pairs) / n),
    }


def server_by_loops(truth, prediction):
    """The devkit's sums: the log variance as mean of squares less square of mean, inverse depth in km."""
    n = len(truth)
    pairs = list(zip(truth, prediction, strict=True))
    logs = [math.log(d / p) for d, p in pairs]
    variance = math.fsum(x * x for x in logs) / n - (math.fsum(logs) / n) ** 2
    return {
        "SILog": 100 * math.sqrt(max(variance, 0)),
        "sqErrorRel": 100 * math.fsum((d - p) ** 2 / (d * d) for d, p in pairs) / n,
        "absErrorRel": 100 * math.fsum(abs(d - p) / d for d, p in pairs) / n,
        "iRMSE": math.sqrt(math.fsum((1000 / d - 1000 / p) ** 2 for d, p in pairs) / n),
    }


depths = st.floats(0.01, 250, allow_subnormal=False)
maps = st.lists(st.tuples(depths, depths), min_size=1, max_size=60)


@given(maps)
def test_equal_to_plain_loops(pairs) -> None:
    truth, prediction = np.array(pairs).T
    assert depth_errors(truth, prediction) == pytest.approx(depth_by_loops(truth, prediction), rel=1e-9, abs=1e-12)
    # The devkit's variance loses digits where all errors are nearly alike: hence the absolute bound.
    expected = pytest.approx(server_by_loops(truth, prediction), rel=1e-9, abs=1e-4)
    assert server_depth_errors(truth, prediction) == expected


def test_depth_errors_by_hand() -> None:
    """Ratios 1, 1.2, 1.5, 1.9 and 2.5; differences 0, 2, 5, 9, 6."""
    errors = depth_errors(np.array([10.0, 10, 10, 10, 10]), np.array([10.0, 12, 15, 19, 4]))
    assert errors == {
        "d1": pytest.approx(2 / 5),
        "d2": pytest.approx(3 / 5),
        "d3": pytest.approx(4 / 5),
        "rel": pytest.approx(0.44),
        "rmse": pytest.approx(math.sqrt(146 / 5)),
        "log10": pytest.approx(fmean(math.log10(x) for x in (1, 1.2, 1.5, 1.9, 2.5))),
        "sq_rel": pytest.approx(146 / 50),
        "rmse_log": pytest.approx(math.sqrt(fmean(math.log(x) ** 2 for x in (1, 1.2, 1.5, 1.9, 2.5)))),
    }


def test_the_bounds_of_d_are_exclusive() -> None:
    assert depth_errors(np.array([4.0]), np.array([5.0]))["d1"] == 0
    assert depth_errors(np.array([16.0]), np.array([25.0]))["d2"] == 0
    assert depth_errors(np.array([64.0]), np.array([125.0]))["d3"] == 0


def test_server_metrics_by_hand() -> None:
    """Twice as far everywhere: no scale-invariant error, 100 % error, half of 1/10 m and of 1/20 m as 1/km."""
    errors = server_depth_errors(np.array([10.0, 20.0]), np.array([20.0, 40.0]))
    assert errors == {
        "SILog": pytest.approx(0, abs=1e-12),
        "sqErrorRel": pytest.approx(100),
        "absErrorRel": pytest.approx(100),
        "iRMSE": pytest.approx(math.sqrt((50**2 + 25**2) / 2)),
    }
    # Errors of ln 2 up and down have that standard deviation.
    assert server_depth_errors(np.array([8.0, 8]), np.array([4.0, 16]))["SILog"] == pytest.approx(100 * math.log(2))


def depth_images(*pairs, minimum=None):
    return [image_errors(np.array(truth), np.array(found), depth_errors, minimum) for truth, found in pairs]


def test_means_are_over_images_not_pixels() -> None:
    means = mean_errors(depth_images(([10.0], [20.0]), ([10.0] * 99, [10.0] * 99)), DEPTH_METRICS)
    assert (means["rel"], means["d1"], means["images"], means["pixels"]) == (0.5, 0.5, 2, 100)


def test_predictions_that_are_not_finite_or_positive_are_counted() -> None:
    images = depth_images(
        ([10.0, 10, 10, 10, 10], [10, np.nan, np.inf, -1, 0]), ([10.0], [np.nan]), ([], []), minimum=0.001
    )
    assert mean_errors(images, DEPTH_METRICS) == {
        "images": 1,
        "images_without_pixels": 2,
        "pixels": 3,
        "non_finite_predictions": 3,
        "non_positive_predictions": 2,
        **{name: pytest.approx(value) for name, value in depth_by_loops([10] * 3, [10, 0.001, 0.001]).items()},
    }


def test_a_negative_prediction_makes_logarithms_undefined_unless_raised() -> None:
    """The formulas applied to a negative depth count it as good."""
    means = mean_errors(depth_images(([10.0, 10], [-10.0, 10]), ([10.0], [10.0])), DEPTH_METRICS)
    figures = {name: means[name] for name in DEPTH_METRICS}
    expected = {"d1": 1, "d2": 1, "d3": 1, "rel": 0.5, "rmse": math.sqrt(200) / 2, "sq_rel": 10}
    assert figures == {**expected, "log10": None, "rmse_log": None}


def test_without_images_there_are_counts_but_no_means() -> None:
    assert mean_errors([], DEPTH_METRICS)["images"] == 0
    assert "rel" not in mean_errors([], DEPTH_METRICS)


@pytest.mark.parametrize(("measure", "metrics"), [(depth_errors, DEPTH_METRICS), (server_depth_errors, SERVER_METRICS)])
def test_any_order_gives_the_same_means_to_the_last_bit(measure, metrics) -> None:
    random = np.random.default_rng(3)
    # Figures of very different size: an ordinary sum of these depends on its order.
    images = [
        image_errors(random.uniform(1, 80, 5), random.uniform(1e-3, 80, 5) * 10.0 ** random.integers(-2, 8), measure)
        for _ in range(200)
    ]
    results = [mean_errors([images[i] for i in random.permutation(200)], metrics) for _ in range(5)]
    assert all(result == results[0] for result in results)
    column = [image.errors[metrics.index("iRMSE" if "iRMSE" in metrics else "rmse")] for image in images]
    assert sum(column) != sum(column[::-1])
