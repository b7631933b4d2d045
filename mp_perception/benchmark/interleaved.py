"""Interleaved timing: every competitor in a process of its own, all in lock-step, A B C A B C.

A machine's speed changes with heat, frequency and other work; rounds in which everybody runs once meet the same
conditions, so their ratios hold where times do not.  A process of its own keeps threads, memory and libraries of one
competitor away from the others.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import psutil

from mp_perception.benchmark.measurement import Measurement
from mp_perception.errors import UserError
from mp_perception.progress import track

#: Rounds that are not counted: the first runs of a network are slower than the next.
WARM_UP_ROUNDS = 2
#: Pause before each run, seconds: the threads of the one before stop spinning.
_PAUSE = 0.005
#: A competitor that does not answer for so long has failed, seconds.
_PATIENCE = 600.0


@dataclass(frozen=True)
class Competitor:
    """Something to time.

    build: called once in the new process, so it and its arguments must pickle (functools.partial of a module's
    function); gives the function whose calls are timed.
    """

    name: str
    build: Callable[[], Callable[[], object]]


def measure(title: str, competitors: Sequence[Competitor], rounds: int) -> list[Measurement]:
    """Time all competitors, each once per round, in the order given.

    title: beside the progress bar.  Raises UserError with the competitor's name if one cannot be built or fails.
    """
    with contextlib.ExitStack() as stack:
        # One after the other: side by side they would all be slow, and all at their largest at once.
        starting = track(competitors, f"{title}: start")
        processes = [stack.enter_context(_started(competitor)) for competitor in starting]
        for _ in range(WARM_UP_ROUNDS):
            for process in processes:
                process.run()
        times = np.array([[process.run() for process in processes] for _ in track(range(rounds), f"{title}: rounds")])
        return [
            Measurement(competitor.name, times[:, i, 0], times[:, i, 1], process.memory_mib())
            for i, (competitor, process) in enumerate(zip(competitors, processes, strict=True))
        ]


class _CompetitorProcess:
    """The other side of `_serve`."""

    def __init__(self, competitor: Competitor) -> None:
        context = multiprocessing.get_context("spawn")
        self._name = competitor.name
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(pickle.dumps(competitor.build), theirs), daemon=True)
        self._process.start()
        theirs.close()

    def wait_until_built(self) -> None:
        """Until it is ready to run."""
        self._answer()

    def run(self) -> tuple[float, float]:
        """Milliseconds of one run: wall clock, processor time."""
        time.sleep(_PAUSE)
        wall, processor = self._ask("run")
        return wall, processor

    def memory_mib(self) -> float:
        """What it holds now beyond a bare Python, MiB."""
        return float(self._ask("memory"))

    def end(self) -> None:
        """The process is gone afterwards."""
        self._connection.close()
        self._process.join(timeout=2)
        self._process.kill()
        self._process.join()

    def _ask(self, question: str) -> Any:
        # Where the process has ended, there is nobody to ask, and perhaps a reason why left to be read.
        with contextlib.suppress(OSError):
            self._connection.send(question)
        return self._answer()

    def _answer(self) -> Any:
        failure = "it ended without an answer"
        try:
            if self._connection.poll(_PATIENCE):
                answer = self._connection.recv()
                if not isinstance(answer, str):
                    return answer
                failure = answer
            else:
                failure = f"no answer within {_PATIENCE:g} s"
        except (EOFError, OSError):
            pass
        raise UserError(f"benchmark: {self._name}: {failure}")


@contextlib.contextmanager
def _started(competitor: Competitor) -> Iterator[_CompetitorProcess]:
    process = _CompetitorProcess(competitor)
    try:
        process.wait_until_built()
        yield process
    finally:
        process.end()


def _serve(pickled_build: bytes, connection: Connection) -> None:
    """Runs in the new process until the other side closes; failures travel as text.

    pickled_build: Competitor.build; unpickling it imports its libraries, which count as its memory.
    """
    process = psutil.Process()
    before = process.memory_info().rss
    try:
        run = pickle.loads(pickled_build)()
        connection.send(True)
        while True:
            if connection.recv() == "memory":
                connection.send((process.memory_info().rss - before) / 2**20)
                continue
            processor, wall = time.process_time(), time.perf_counter()
            run()
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
            connection.send((wall * 1e3, processor * 1e3))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        pass
    except Exception as error:
        with contextlib.suppress(OSError):
            connection.send(" ".join(f"{type(error).__name__}: {error}".split())[:300])
