"""Interleaved timing: each competitor runs in its own process, and all take turns, A B C A B C.

The speed of a machine changes with temperature, frequency and other load.  In a round every competitor runs once under
the same conditions, so the ratios within a round are reproducible where times are not.  Separate processes keep the
threads, memory and libraries of the competitors apart.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import psutil
from numpy.typing import NDArray

from mp_perception.errors import UserError, one_line
from mp_perception.progress import track

#: Rounds that are not counted: the first runs of a network are slower than the others.
WARM_UP_ROUNDS = 2
#: Pause before each run, seconds: the threads of the previous competitor stop spinning.
_PAUSE = 0.005

Result = TypeVar("Result")


@dataclass(frozen=True)
class Competitor:
    """Something to time.

    build: called once in the new process; returns the function whose calls are timed.  It must be picklable
    (functools.partial of a module's function).
    """

    name: str
    build: Callable[[], Callable[[], object]]


@dataclass(frozen=True)
class Measurement:
    """The rounds of one competitor.

    wall_ms, processor_ms: (R,) milliseconds of each round; processor time is the sum over all threads.
    memory_mib: resident memory of the process beyond that of an empty Python process; NaN if not measured.
    """

    name: str
    wall_ms: NDArray[np.float64]
    processor_ms: NDArray[np.float64]
    memory_mib: float

    def scaled(self, name: str, factor: float) -> Measurement:
        """The same rounds with all times multiplied by `factor`."""
        return replace(
            self, name=name, wall_ms=self.wall_ms * factor, processor_ms=self.processor_ms * factor, memory_mib=np.nan
        )


def measure(title: str, competitors: Sequence[Competitor], rounds: int) -> list[Measurement]:
    """Time all competitors, each once per round, in the given order.

    title: shown beside the progress bar.

    Raises:
        UserError: a competitor cannot be built or fails; the message contains its name.
    """
    with contextlib.ExitStack() as stack:
        processes = []
        # One after the other, so that the memory peaks of the start do not coincide.
        for competitor in track(competitors, f"{title}: start"):
            context = multiprocessing.get_context("spawn")
            pool = stack.enter_context(ProcessPoolExecutor(1, context, initializer=_initialize))
            processes.append(_CompetitorProcess(competitor, pool))
        for _ in range(WARM_UP_ROUNDS):
            for process in processes:
                process.run()
        times = np.array([[process.run() for process in processes] for _ in track(range(rounds), f"{title}: rounds")])
        return [
            Measurement(competitor.name, times[:, i, 0], times[:, i, 1], process.memory_mib())
            for i, (competitor, process) in enumerate(zip(competitors, processes, strict=True))
        ]


class _CompetitorProcess:
    """A competitor in the single process of a pool."""

    def __init__(self, competitor: Competitor, pool: ProcessPoolExecutor) -> None:
        self._name = competitor.name
        self._pool = pool
        # Pickled here and not by the pool: unpickling imports the competitor's libraries, whose memory counts.
        self._call(_build, pickle.dumps(competitor.build))

    def run(self) -> tuple[float, float]:
        """Milliseconds of one run: wall-clock time, processor time of all threads."""
        time.sleep(_PAUSE)
        return self._call(_run)

    def memory_mib(self) -> float:
        """Resident memory beyond that of the empty process, MiB."""
        return self._call(_memory_mib)

    def _call(self, function: Callable[..., Result], *arguments: object) -> Result:
        try:
            return self._pool.submit(function, *arguments).result()
        except BrokenProcessPool as error:
            raise UserError(f"benchmark: {self._name}: its process ended unexpectedly") from error
        except Exception as error:
            reason = f"{type(error).__name__}: {one_line(error)}"
            raise UserError(f"benchmark: {self._name}: {reason[:300]}") from error


class _State:
    """What a competitor's process keeps between two calls."""

    empty_bytes: int
    run: Callable[[], object]


def _initialize() -> None:
    # Ctrl+C reaches all processes of the terminal; the parent handles it and ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _State.empty_bytes = psutil.Process().memory_info().rss


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _build(pickled: bytes) -> None:
    _State.run = pickle.loads(pickled)()


def _run() -> tuple[float, float]:
    processor, wall = time.process_time(), time.perf_counter()
    _State.run()
    return (time.perf_counter() - wall) * 1e3, (time.process_time() - processor) * 1e3


def _memory_mib() -> float:
    return float(psutil.Process().memory_info().rss - _State.empty_bytes) / 2**20
