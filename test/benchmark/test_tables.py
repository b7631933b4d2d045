"""Tables as Markdown and JSON."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mp_perception.benchmark.interleaved import Measurement
from mp_perception.benchmark.tables import Table, timing_cells


def test_markdown_is_aligned_with_numbers_on_the_right() -> None:
    rows = [
        {"runtime": "eager", "ms": 123.4, "fraction": 1.0, "count": 7},
        {"runtime": "OpenVINO", "ms": 9.876, "fraction": None, "count": 1234},
        {"runtime": "limit", "ms": 45.67, "fraction": math.nan, "count": 0},
    ]
    assert Table("Times", rows, "A note.").to_markdown() == (
        "**Times**\n"
        "\n"
        "| runtime  |   ms | fraction | count |\n"
        "| -------- | ---: | -------: | ----: |\n"
        "| eager    |  123 |     1.00 |     7 |\n"
        "| OpenVINO | 9.88 |          |  1234 |\n"
        "| limit    | 45.7 |          |     0 |\n"
        "\n"
        "A note."
    )


def test_json_has_full_precision_and_no_nan() -> None:
    written = Table("Times", [{"name": "a", "ms": 1 / 3, "memory": math.nan}], "Quiet.").to_json()
    assert json.loads(json.dumps(written, allow_nan=False)) == {
        "title": "Times",
        "rows": [{"name": "a", "ms": 1 / 3, "memory": None}],
        "note": "Quiet.",
    }


def test_timing_cells_come_from_the_rounds() -> None:
    ours = Measurement("ours", np.array([2.0, 4.0, 6.0]), np.array([1.0, 1.0, 4.0]), 5.0)
    theirs = Measurement("theirs", np.array([4.0, 4.0, 4.0]), np.array([4.0, 4.0, 4.0]), 7.0)
    assert timing_cells(ours, theirs) == {
        "wall, ms": 4.0,
        "p90": 5.6,
        "/ theirs": 1.0,
        "ratio p10": pytest.approx(0.6),
        "ratio p90": pytest.approx(1.4),
        "processor, ms": 1.0,
        "processor / theirs": 0.25,
        "memory, MiB": 5.0,
    }


def test_scaled_times_have_another_name_and_no_memory() -> None:
    scaled = Measurement("product", np.array([1.0, 3.0]), np.array([2.0, 4.0]), 10.0).scaled("limit", 2.5)
    assert scaled.name == "limit"
    np.testing.assert_array_equal(scaled.wall_ms, [2.5, 7.5])
    np.testing.assert_array_equal(scaled.processor_ms, [5.0, 10.0])
    assert np.isnan(scaled.memory_mib)


@given(st.lists(st.floats(0.1, 100.0), min_size=1, max_size=30), st.floats(0.1, 10.0))
def test_a_machine_that_slows_down_whole_rounds_does_not_change_a_ratio(slowness: list[float], factor: float) -> None:
    times = np.array(slowness)
    ours, theirs = (Measurement(name, f * times, f * times, 0.0) for name, f in (("a", 3.0 * factor), ("b", 3.0)))
    cells = timing_cells(ours, theirs)
    for column in ("/ b", "ratio p10", "ratio p90", "processor / b"):
        assert cells[column] == pytest.approx(factor)
