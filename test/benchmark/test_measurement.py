"""Percentiles and scaled times against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mp_perception.benchmark.measurement import Measurement, percentiles


def test_percentiles_are_interpolated() -> None:
    assert percentiles(np.random.default_rng(0).permutation(np.arange(0.0, 55.0, 5.0))) == (5.0, 25.0, 45.0)
    assert percentiles(np.array([0.0, 10.0])) == pytest.approx((1.0, 5.0, 9.0))
    assert percentiles(np.array([7.0])) == (7.0, 7.0, 7.0)


def test_scaled_times_have_another_name_and_no_memory() -> None:
    scaled = Measurement("product", np.array([1.0, 3.0]), np.array([2.0, 4.0]), 10.0).scaled("limit", 2.5)
    assert scaled.name == "limit"
    np.testing.assert_array_equal(scaled.wall_ms, [2.5, 7.5])
    np.testing.assert_array_equal(scaled.processor_ms, [5.0, 10.0])
    assert np.isnan(scaled.memory_mib)
