"""Statistics and the diagnostic status made from them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from mp_perception.ros.diagnostics import FRAME_COUNTS, STAGES, NodeState, Snapshot, Statistics, diagnostic_status

QUIET = Snapshot(
    counts=dict.fromkeys(FRAME_COUNTS, 0),
    recent=dict.fromkeys(FRAME_COUNTS, 0) | {"received": 10, "processed": 10},
    seconds=2.0,
    stages={},
    age=0.1,
    silence=0.0,
    last_problem="",
)
ACTIVE = NodeState(
    state="active", max_age=0.5, failure="", image_topic="/image", publishers={"/image": 0}, values={"device": "cpu"}
)


def status(node: NodeState = ACTIVE, recent: dict[str, int] | None = None, **changes: Any) -> DiagnosticStatus:
    return diagnostic_status("perception", replace(QUIET, recent={**QUIET.recent, **(recent or {})}, **changes), node)


def test_a_working_node_is_ok() -> None:
    found = status()
    values = {value.key: value.value for value in found.values}
    assert (found.level, found.name, found.message) == (DiagnosticStatus.OK, "perception", "active")
    assert values["rate in (Hz)"] == "5.0"
    assert values["age at publishing (s)"] == "0.100"
    assert values["device"] == found.hardware_id == "cpu"
    assert {f"images {name}" for name in FRAME_COUNTS} <= set(values)


@pytest.mark.parametrize(
    ("arguments", "level", "words"),
    [
        ({"recent": {"overwritten": 2}}, DiagnosticStatus.OK, "active"),
        ({"recent": {"overwritten": 3}}, DiagnosticStatus.WARN, "3 of 10 images dropped"),
        (
            {"recent": {"overwritten": 2, "stale": 1}},
            DiagnosticStatus.WARN,
            "3 of 10 images dropped, 1 of them older than max_age (0.5 s) by their stamps",
        ),
        ({"silence": 2.5}, DiagnosticStatus.WARN, "no image for 2 s: /image has no publisher"),
        (
            {"silence": 3, "node": replace(ACTIVE, publishers={"/image": 1})},
            DiagnosticStatus.WARN,
            "no image for 3 s: /image has a publisher",
        ),
        ({"age": 0.3}, DiagnosticStatus.WARN, "outputs are 0.30 s old"),
        ({"age": None}, DiagnosticStatus.OK, "active"),
        (
            {"recent": {"malformed": 1}, "last_problem": "step: expected"},
            DiagnosticStatus.WARN,
            "1 images refused: step",
        ),
        ({"recent": {"errors": 1}, "last_problem": "out of memory"}, DiagnosticStatus.ERROR, "out of memory"),
        ({"recent": {"overflowed": 4}}, DiagnosticStatus.ERROR, "4 images lost"),
        ({"node": replace(ACTIVE, failure="no such file")}, DiagnosticStatus.ERROR, "no such file"),
        ({"node": replace(ACTIVE, state="inactive"), "silence": 9}, DiagnosticStatus.OK, "inactive"),
        ({"node": replace(ACTIVE, max_age=0.0), "age": 5.0}, DiagnosticStatus.OK, "active"),
    ],
)
def test_levels(arguments: dict[str, Any], level: bytes, words: str) -> None:
    found = status(**arguments)
    assert found.level == level
    assert words in found.message


def test_counts_are_kept_and_recent_counts_start_at_the_last_snapshot() -> None:
    statistics = Statistics()
    for _ in range(5):
        statistics.frame_received()
    statistics.count("overwritten", 2)
    statistics.frame_processed(dict.fromkeys(STAGES, 1.0), age=None)
    first = statistics.snapshot()
    assert (first.counts["received"], first.recent["received"]) == (5, 5)
    assert (first.counts["overwritten"], first.counts["processed"]) == (2, 1)
    assert first.age is None
    statistics.frame_received()
    second = statistics.snapshot()
    assert (second.counts["received"], second.recent["received"], second.recent["overwritten"]) == (6, 1, 0)


def test_stage_times_are_median_and_99th_percentile_of_the_last_100_images() -> None:
    statistics = Statistics()
    for milliseconds in [1000.0] * 10 + [float(i) for i in range(100)]:
        statistics.frame_processed(dict.fromkeys(STAGES, milliseconds), age=milliseconds / 1000)
    snapshot = statistics.snapshot()
    median, percentile = snapshot.stages["inference"]
    assert median == pytest.approx(49.5)
    assert percentile == pytest.approx(98.01)
    assert snapshot.age == pytest.approx(0.0495)
    statistics.restart()
    after = statistics.snapshot()
    assert (after.stages, after.age, after.counts["processed"]) == ({}, None, 110)


def test_old_ages_are_not_shown_after_the_clocks_disagree() -> None:
    statistics = Statistics()
    statistics.frame_processed(dict.fromkeys(STAGES, 1.0), age=0.1)
    for _ in range(99):
        statistics.frame_processed(dict.fromkeys(STAGES, 1.0), age=None)
    assert statistics.snapshot().age == 0.1
    statistics.frame_processed(dict.fromkeys(STAGES, 1.0), age=None)
    assert statistics.snapshot().age is None
