"""Real processes in turns: their order, what is timed, and failures in one line.

The processes find what they build by its name, so it comes from Python's standard library.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from mp_perception.benchmark.interleaved import WARM_UP_ROUNDS, Competitor, measure
from mp_perception.errors import UserError


def calls(function: object, *arguments: object) -> partial[partial[object]]:
    """A build function whose result calls `function` with these arguments."""
    return partial(partial, function, *arguments)  # type: ignore[arg-type]


def test_competitors_run_once_per_round_in_order(tmp_path: Path) -> None:
    log = tmp_path / "log"
    competitors = [Competitor(name, calls(os.system, f"echo {name} >> {log}")) for name in "ABC"]
    results = measure("order", competitors, rounds=3)
    assert log.read_text().split() == list("ABC") * (3 + WARM_UP_ROUNDS)
    assert [result.name for result in results] == list("ABC")
    assert all(result.wall_ms.shape == result.processor_ms.shape == (3,) for result in results)


def test_waiting_takes_wall_clock_time_and_work_takes_both() -> None:
    waiting, working = measure(
        "clocks", [Competitor("wait", calls(time.sleep, 0.05)), Competitor("work", calls(sum, range(2_000_000)))], 3
    )
    assert (waiting.wall_ms >= 50).all()
    assert (waiting.processor_ms < 20).all()
    assert (working.processor_ms > 2).all()
    assert (working.wall_ms > 0.9 * working.processor_ms).all()


def test_memory_is_that_of_the_competitor() -> None:
    """Three runs keep 3 x 300,000 numbers of 28 bytes and as many references of 8 bytes."""
    hoards = calls([].extend, range(1000, 301_000))
    small, large = measure("memory", [Competitor("small", calls(len, "")), Competitor("large", hoards)], 1)
    assert small.memory_mib < 5
    assert 25 < large.memory_mib < 60


def competitor_processes(process: psutil.Process) -> list[psutil.Process]:
    """Children of a process that competitors run in."""
    return [child for child in process.children() if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.parametrize("build", [partial(int, "four"), calls(int, "four")], ids=["building", "running"])
def test_failure_is_one_line_with_the_name_and_no_process_stays(build: partial[object]) -> None:
    with pytest.raises(UserError) as caught:
        measure("failure", [Competitor("sound", calls(len, "")), Competitor("broken", build)], 1)  # type: ignore[arg-type]
    message = str(caught.value)
    assert message.startswith("benchmark: broken: ValueError: invalid literal")
    assert "\n" not in message
    assert not competitor_processes(psutil.Process())


@pytest.mark.parametrize(
    "death", [calls(os._exit, 3), calls(signal.setitimer, signal.ITIMER_REAL, 0.05)], ids=["in a run", "between runs"]
)
def test_a_process_that_dies_is_named(death: partial[partial[object]]) -> None:
    competitors = [Competitor("dying", death), Competitor("waiting", calls(time.sleep, 0.5))]
    with pytest.raises(UserError, match="^benchmark: dying: its process ended unexpectedly$"):
        measure("death", competitors, 1)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_competitors_end_with_the_benchmark(sent: signal.Signals) -> None:
    code = (
        "import time; from functools import partial; from mp_perception.benchmark.interleaved import *\n"
        "if __name__ == '__main__': measure('kill', [Competitor('a', partial(partial, time.sleep, 0.1))], 1000)"
    )
    process = psutil.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    while not (children := competitor_processes(process)):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(sent)
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []
