"""Tables as Markdown and JSON."""

from __future__ import annotations

import json
import math

import numpy as np

from mp_perception.benchmark.measurement import Measurement
from mp_perception.benchmark.tables import Table, measured_row


def test_markdown_is_aligned_and_numbers_stand_at_the_right() -> None:
    rows = [
        {"runtime": "eager", "ms": 123.4, "share": 1.0, "count": 7},
        {"runtime": "OpenVINO", "ms": 9.876, "share": None, "count": 1234},
        {"runtime": "limit", "ms": 45.67, "share": math.nan, "count": 0},
    ]
    assert Table("Times", rows, "A note.").to_markdown() == (
        "**Times**\n"
        "\n"
        "| runtime  |   ms | share | count |\n"
        "| -------- | ---: | ----: | ----: |\n"
        "| eager    |  123 |  1.00 |     7 |\n"
        "| OpenVINO | 9.88 |       |  1234 |\n"
        "| limit    | 45.7 |       |     0 |\n"
        "\n"
        "A note."
    )


def test_json_keeps_full_precision_and_holds_no_nan() -> None:
    written = Table("Times", [{"name": "a", "ms": 1 / 3, "memory": math.nan}]).to_json()
    assert json.loads(json.dumps(written, allow_nan=False)) == {
        "title": "Times",
        "rows": [{"name": "a", "ms": 1 / 3, "memory": None}],
        "note": "",
    }


def test_the_usual_columns_come_from_the_rounds() -> None:
    ours = Measurement("ours", np.array([2.0, 4.0, 6.0]), np.array([1.0, 1.0, 4.0]), 5.0)
    theirs = Measurement("theirs", np.array([4.0, 4.0, 4.0]), np.array([4.0, 4.0, 4.0]), 5.0)
    assert measured_row("network", ours, theirs) == {
        "network": "ours",
        "clock, ms": 4.0,
        "p90": 5.6,
        "p99": 5.96,
        "/ theirs": 1.0,
        "processor, ms": 1.0,
        "/ theirs, processor": 0.25,
    }
