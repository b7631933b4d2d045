"""Statistics and the diagnostic status made from them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.logging import get_logger

from mp_perception.ros.diagnostics import (
    FRAME_COUNTS,
    STAGES,
    InputWarnings,
    NodeState,
    Snapshot,
    Statistics,
    diagnostic_status,
    missing_inputs,
)

QUIET = Snapshot(
    counts=dict.fromkeys(FRAME_COUNTS, 0),
    recent=dict.fromkeys(FRAME_COUNTS, 0) | {"received": 10, "processed": 10},
    seconds=2.0,
    stages={},
    age=0.1,
    silence=0.0,
    stale_in_a_row=0,
    camera_problem="",
    last_problem="",
)
ACTIVE = NodeState(
    state="active",
    max_age=0.5,
    failure="",
    publishers={"/image": 0},
    image_source="/image has no publisher",
    camera_info_source="",
    values={"device": "cpu"},
)
TIMES = dict.fromkeys(STAGES, 1.0)


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
        ({"silence": 4.9}, DiagnosticStatus.OK, "active"),
        ({"silence": 5.5}, DiagnosticStatus.WARN, "no image for 6 s: /image has no publisher"),
        ({"stale_in_a_row": 4}, DiagnosticStatus.OK, "active"),
        (
            {"stale_in_a_row": 9, "recent": {"received": 9, "stale": 9}},
            DiagnosticStatus.WARN,
            "all images are dropped, the last 9: by their stamps they are older than max_age (0.5 s)",
        ),
        ({"camera_problem": "no camera info"}, DiagnosticStatus.WARN, "no camera info"),
        (
            {"camera_problem": "no camera info", "node": replace(ACTIVE, camera_info_source="/x has no publisher")},
            DiagnosticStatus.WARN,
            "no camera info; /x has no publisher",
        ),
        ({"age": 0.3}, DiagnosticStatus.WARN, "outputs are 0.30 s old"),
        ({"age": None}, DiagnosticStatus.OK, "active"),
        (
            {"recent": {"malformed": 1}, "last_problem": "step: expected"},
            DiagnosticStatus.WARN,
            "1 images refused: step",
        ),
        ({"recent": {"blank_images": 2}}, DiagnosticStatus.WARN, "2 images show nothing: their outputs mean nothing"),
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
    statistics.frame_processed(TIMES, age=None, camera_problem="")
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
        statistics.frame_processed(dict.fromkeys(STAGES, milliseconds), age=milliseconds / 1000, camera_problem="")
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
    statistics.frame_processed(TIMES, age=0.1, camera_problem="")
    for _ in range(99):
        statistics.frame_processed(TIMES, age=None, camera_problem="")
    assert statistics.snapshot().age == 0.1
    statistics.frame_processed(TIMES, age=None, camera_problem="")
    assert statistics.snapshot().age is None


def test_a_camera_problem_lasts_until_an_image_without_it() -> None:
    statistics = Statistics()
    statistics.frame_processed(TIMES, age=None, camera_problem="no camera info")
    statistics.frame_processed(TIMES, age=None, camera_problem="")  # one image of several is enough
    assert statistics.snapshot().camera_problem == "no camera info"
    assert statistics.snapshot().camera_problem == "no camera info"  # no image since then
    statistics.frame_processed(TIMES, age=None, camera_problem="")
    after = statistics.snapshot()
    assert (after.camera_problem, after.last_problem, after.counts["bad_camera_info"]) == ("", "", 1)


def test_the_last_problem_is_shown_until_images_come_without_one() -> None:
    statistics = Statistics()
    statistics.problem("malformed", "step: expected")
    statistics.frame_processed(TIMES, age=None, camera_problem="")
    assert statistics.snapshot().last_problem == "step: expected"
    assert statistics.snapshot().last_problem == "step: expected"
    statistics.frame_processed(TIMES, age=None, camera_problem="")
    assert statistics.snapshot().last_problem == ""


def test_images_that_are_too_old_in_a_row_are_counted_until_one_is_processed() -> None:
    statistics = Statistics()
    for _ in range(3):
        statistics.frame_stale()
    assert statistics.snapshot().stale_in_a_row == 3
    statistics.frame_processed(TIMES, age=None, camera_problem="")
    after = statistics.snapshot()
    assert (after.stale_in_a_row, after.counts["stale"]) == (0, 3)


def test_a_missing_input_is_logged_when_it_begins_and_when_it_is_over(capfd: pytest.CaptureFixture[str]) -> None:
    warnings = InputWarnings(get_logger("test"))
    for silence in (4.0, 5.5, 6.5, 7.5, 0.1, 0.1):
        warnings.update(missing_inputs(replace(QUIET, silence=silence), ACTIVE))
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "[WARN]" in lines[0]
    assert "no image for 6 s: /image has no publisher" in lines[0]
    assert lines[1].endswith("over: no image")
