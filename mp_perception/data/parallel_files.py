"""Files made by several processes, each file by one task; existing files are not made again."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cv2

from mp_perception.progress import track


def make_missing(tasks: Mapping[Path, Callable[[], None]], workers: int, description: str) -> int:
    """Run the tasks of the files that do not exist; returns their number.

    tasks: file -> what writes it, complete or not at all, so that an interrupted run can be continued; picklable.
    workers: number of processes.  Raises what a task raises.
    """
    missing = [task for path, task in tasks.items() if not path.exists()]
    if workers == 1:
        for task in track(missing, description, len(missing)):
            task()
        return len(missing)
    with worker_processes(workers) as pool:
        running = [pool.submit(task) for task in missing]
        for finished in track(as_completed(running), description, len(running)):
            finished.result()
    return len(missing)


@contextmanager
def worker_processes(
    workers: int, initialize: Callable[..., None] | None = None, *arguments: object
) -> Iterator[ProcessPoolExecutor]:
    """Processes with one OpenCV thread each; tasks that have not started when the block ends are cancelled.

    initialize: called with the arguments at the start of each process.
    """
    # Spawned, not forked: a forked process would inherit locks of libraries whose threads it does not have.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, partial(_start_worker, initialize, *arguments))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker(initialize: Callable[..., None] | None, *arguments: object) -> None:
    # Ctrl-C reaches all processes of a terminal; the first one cancels what has not started, and ends the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    if initialize is not None:
        initialize(*arguments)
