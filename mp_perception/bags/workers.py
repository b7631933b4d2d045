"""Tasks shared out to processes of this machine, or to the workers of a dask.distributed cluster.

Both give the results in the order of the tasks, so that what is joined from them is the same wherever they ran.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from mp_perception.data.parallel_files import worker_processes
from mp_perception.errors import UserError

Task = TypeVar("Task")
Result = TypeVar("Result")


@contextmanager
def on_this_machine(
    processes: int, work: Callable[[Task], Result]
) -> Iterator[Callable[[Sequence[Task]], Iterator[Result]]]:
    """What runs tasks: in this process if processes is 1, else in so many others.  It raises what a task raises."""
    if processes == 1:
        yield lambda tasks: map(work, tasks)
        return
    with worker_processes(processes) as pool:
        yield lambda tasks: pool.map(work, tasks)


@contextmanager
def on_cluster(address: str, work: Callable[[Task], Result]) -> Iterator[Callable[[Sequence[Task]], Iterator[Result]]]:
    """What runs tasks on the workers of a dask scheduler at an address such as tcp://host:8786.

    A worker needs this package and sees bags and weights under the same paths.  The tasks of one that dies go to the
    others.  Raises UserError without dask.distributed, if the scheduler does not answer, or if a task's workers die
    again and again.
    """
    try:
        from distributed import Client, KilledWorker
    except ModuleNotFoundError as error:
        raise UserError(f"--cluster needs {error.name}: pip install mp_perception[cluster]") from error
    try:
        client: Any = Client(address, timeout="10s", set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"--cluster {address}: expected a dask scheduler, found none ({reason})") from error

    def run(tasks: Sequence[Task]) -> Iterator[Result]:
        futures = client.map(work, tasks, pure=False, retries=0)
        try:
            for future in futures:
                yield future.result()
                future.release()
        except KilledWorker as error:
            raise UserError(f"--cluster {address}: a task's workers died one after another ({error})") from error

    try:
        yield run
    finally:
        client.close()
