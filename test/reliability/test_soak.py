"""The short form of `make soak`: a small load, faults that other tests over DDS leave out, and three signals."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reliability.small_network import write_small_network
from reliability.soak import scenarios
from reliability.soak.load import Load, run_load
from reliability.soak.signals import signal_rounds
from reliability.soak.stage import NotPossibleHereError, Stage, unaccounted

pytestmark = [pytest.mark.dds, pytest.mark.slow, pytest.mark.timeout(280)]


@pytest.fixture
def stage(dds_environment: dict[str, str], tmp_path: Path) -> Stage:
    return Stage(tmp_path, write_small_network(tmp_path))


@pytest.mark.extended
def test_a_small_load_is_accounted_for_and_leaves_nothing_behind(stage: Stage) -> None:
    with stage:
        assert "processed" in run_load(stage, Load(30, 320, 240), 5)


@pytest.mark.extended
@pytest.mark.parametrize(
    "scenario",
    [
        scenarios.camera_stops,
        scenarios.weights_replaced,
        scenarios.log_folder_not_writable,
        scenarios.clock_set,
        scenarios.memory_runs_out,
    ],
)
def test_faults(stage: Stage, scenario: Callable[[Stage], str]) -> None:
    with stage:
        try:
            assert scenario(stage)
        except NotPossibleHereError as reason:
            pytest.skip(str(reason))


@pytest.mark.extended
def test_signals_at_random_moments(stage: Stage) -> None:
    with stage:
        assert "every restart gave outputs" in signal_rounds(stage, 3)


@pytest.mark.extended
def test_the_command_prints_one_row_for_each_trial(start_process: Any) -> None:
    command = [sys.executable, "-m", "reliability.soak", "--only", "1 camera, 320x240, 1 Hz", "--seconds", "2"]
    soak = start_process(command, stdout=subprocess.PIPE, text=True)
    output, _ = soak.communicate(timeout=200)
    assert soak.returncode == 0, output
    (row,) = output.splitlines()[2:]
    assert re.fullmatch(r"\| Load: 1 camera, 320x240, 1 Hz, 2 s \| sent \d+ .* received, .* processed.* \|", row)


def test_a_lost_image_is_seen() -> None:
    values = {"images received": "10", "images processed": "5", "images overwritten": "3", "images waiting": "1"}
    assert unaccounted(values) == 1
    assert unaccounted(values | {"images stale": "1"}) == 0
