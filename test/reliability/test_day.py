"""The short form of `make reliability`: a small load, faults that other tests over DDS leave out, and three kills."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reliability.day import scenarios
from reliability.day.clock import clock_is_set
from reliability.day.failures import memory_runs_out, runtime_fails
from reliability.day.kills import kill_rounds
from reliability.day.load import Load, run_load
from reliability.day.stage import NotPossibleHereError, Stage, unaccounted
from reliability.fuzzing.seeds import SEEDS

pytestmark = [pytest.mark.dds, pytest.mark.slow, pytest.mark.timeout(280)]


@pytest.fixture
def stage(dds_environment: dict[str, str], tmp_path: Path) -> Stage:
    (tmp_path / "small.onnx").write_bytes(SEEDS["onnx_model"]()[0])
    return Stage(tmp_path, tmp_path / "small.onnx")


def test_a_small_load_is_accounted_for_and_leaves_nothing_behind(stage: Stage) -> None:
    with stage:
        assert "processed" in run_load(stage, Load(30, 320, 240), 5)


@pytest.mark.parametrize(
    "scenario",
    [
        scenarios.publisher_killed_and_restarted,
        scenarios.weights_deleted_and_replaced,
        scenarios.log_folder_cannot_be_written,
        clock_is_set,
        runtime_fails,
        memory_runs_out,
    ],
)
def test_faults(stage: Stage, scenario: Callable[[Stage], str]) -> None:
    with stage:
        try:
            assert scenario(stage)
        except NotPossibleHereError as reason:
            pytest.skip(str(reason))


def test_signals_at_random_moments(stage: Stage) -> None:
    with stage:
        assert "every restart gave outputs" in kill_rounds(stage, 3)


def test_an_image_that_is_lost_is_seen() -> None:
    values = {"images received": "10", "images processed": "5", "images overwritten": "3", "images waiting": "1"}
    assert unaccounted(values) == 1
    assert unaccounted(values | {"images stale": "1"}) == 0
