"""Percentiles, ratios and sums against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mp_perception.benchmark.measurement import Measurement, fastest, ratio, spread, total


def measurement(
    name: str, wall: list[float], processor: list[float] | None = None, memory: float = 10.0
) -> Measurement:
    return Measurement(name, np.array(wall), np.array(wall if processor is None else processor), memory)


def test_percentiles_lie_between_neighbours() -> None:
    """Of 0, 10, ..., 100 the value at share p is 100 p."""
    found = spread(np.random.default_rng(0).permutation(np.arange(0.0, 101.0, 10.0)))
    assert found == pytest.approx((50.0, 90.0, 99.0))


def test_one_round_is_its_own_percentiles() -> None:
    assert spread(np.array([7.0])) == (7.0, 7.0, 7.0)


def test_ratio_is_the_median_of_each_rounds_own() -> None:
    ours = measurement("ours", [1.0, 2.0, 12.0], [4.0, 1.0, 1.0])
    theirs = measurement("theirs", [2.0, 8.0, 20.0], [2.0, 2.0, 4.0])
    assert ratio(ours, theirs).wall == pytest.approx(0.5)  # of .5, .25, .6
    assert ratio(ours, theirs).processor == pytest.approx(0.5)  # of 2, .5, .25


@given(st.lists(st.floats(0.1, 100.0), min_size=1, max_size=30), st.floats(0.1, 10.0))
def test_a_machine_that_slows_whole_rounds_down_does_not_move_the_ratio(slowness: list[float], factor: float) -> None:
    rounds = np.array(slowness)
    found = ratio(measurement("a", list(3.0 * factor * rounds)), measurement("b", list(3.0 * rounds)))
    assert found == pytest.approx((factor, factor))


def test_two_networks_cost_their_sum_in_each_round() -> None:
    both = total("both", [measurement("a", [1.0, 2.0], [3.0, 4.0]), measurement("b", [10.0, 20.0], [30.0, 40.0])])
    assert both.name == "both"
    np.testing.assert_array_equal(both.wall_ms, [11.0, 22.0])
    np.testing.assert_array_equal(both.processor_ms, [33.0, 44.0])
    assert np.isnan(both.memory_mib)


def test_scaled_times_have_another_name_and_no_memory() -> None:
    scaled = measurement("product", [1.0, 3.0], [2.0, 4.0]).scaled("limit", 2.5)
    assert scaled.name == "limit"
    np.testing.assert_array_equal(scaled.wall_ms, [2.5, 7.5])
    np.testing.assert_array_equal(scaled.processor_ms, [5.0, 10.0])
    assert np.isnan(scaled.memory_mib)


def test_the_fastest_is_told_by_processor_time() -> None:
    quick_by_the_clock = measurement("clock", [1.0, 1.0, 1.0], [9.0, 9.0, 9.0])
    frugal = measurement("processor", [5.0, 5.0, 5.0], [2.0, 2.0, 90.0])
    assert fastest([quick_by_the_clock, frugal]) is frugal
