"""Real processes in lock-step: order, what is timed, and failures in one line.

What the processes build must be found by name there, so it is of Python's own library.
"""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from mp_perception.benchmark.interleaved import WARM_UP_ROUNDS, Competitor, measure
from mp_perception.errors import UserError


def calls(function: object, *arguments: object) -> partial[partial[object]]:
    """Builds what calls a function with these arguments."""
    return partial(partial, function, *arguments)  # type: ignore[arg-type]


def test_everybody_runs_once_in_each_round_in_order(tmp_path: Path) -> None:
    log = tmp_path / "log"
    competitors = [Competitor(name, calls(os.system, f"echo {name} >> {log}")) for name in "ABC"]
    results = measure("order", competitors, rounds=3)
    assert log.read_text().split() == list("ABC") * (3 + WARM_UP_ROUNDS)
    assert [result.name for result in results] == list("ABC")
    assert all(result.wall_ms.shape == result.processor_ms.shape == (3,) for result in results)


def test_waiting_takes_time_by_the_clock_and_working_takes_both() -> None:
    waiting, working = measure(
        "clocks", [Competitor("wait", calls(time.sleep, 0.05)), Competitor("work", calls(sum, range(2_000_000)))], 3
    )
    assert (waiting.wall_ms >= 50).all()
    assert (waiting.processor_ms < 20).all()
    assert (working.processor_ms > 2).all()
    assert (working.wall_ms > 0.9 * working.processor_ms).all()


def test_memory_is_what_the_competitor_holds() -> None:
    """Three runs leave 3 x 300,000 numbers of 28 bytes, in rows of 8 bytes each, behind."""
    hoards = calls([].extend, range(1000, 301_000))
    small, large = measure("memory", [Competitor("small", calls(len, "")), Competitor("large", hoards)], 1)
    assert small.memory_mib < 5
    assert 25 < large.memory_mib < 60


@pytest.mark.parametrize("build", [partial(int, "four"), calls(int, "four")], ids=["building", "running"])
def test_failure_is_one_line_with_the_name_and_no_process_stays(build: partial[object]) -> None:
    with pytest.raises(UserError) as caught:
        measure("failure", [Competitor("sound", calls(len, "")), Competitor("broken", build)], 1)  # type: ignore[arg-type]
    message = str(caught.value)
    assert message.startswith("benchmark: broken: ValueError: invalid literal")
    assert "\n" not in message
    names = [child.name() for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    assert not [name for name in names if "python" in name and "spawn_main" in name]


def test_a_process_that_dies_is_named() -> None:
    with pytest.raises(UserError, match="benchmark: dying: it ended without an answer"):
        measure("death", [Competitor("dying", calls(os._exit, 3))], 1)


def test_a_process_that_dies_between_two_runs_is_named() -> None:
    dying = Competitor("dying", calls(signal.setitimer, signal.ITIMER_REAL, 0.05))
    with pytest.raises(UserError, match="benchmark: dying: it ended without an answer"):
        measure("death", [dying, Competitor("waiting", calls(time.sleep, 0.5))], 1)
