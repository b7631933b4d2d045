"""A scoring job shared out to processes of this machine, or to the workers of a dask.distributed cluster.

The job is sent to each process once, and every frame goes to exactly one process.  The parts come back in the order of
the frames, so what is joined from them does not depend on where they were scored.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from mp_perception.data.parallel_files import worker_processes
from mp_perception.errors import UserError, one_line
from mp_perception.evaluation.figures import Evaluation
from mp_perception.evaluation.scoring import ScoringJob
from mp_perception.inference.network_choice import NetworkChoice
from mp_perception.inference.predictor import Predictor


def score_on_processes(job: ScoringJob, parts: Sequence[range], processes: int) -> Iterator[Evaluation]:
    """The parts scored by processes of this machine.  Raises what a part raises."""
    with worker_processes(processes, _receive_job, job) as pool:
        yield from pool.map(_score_part, parts)


def score_on_cluster(job: ScoringJob, parts: Sequence[range], address: str) -> Iterator[Evaluation]:
    """The parts scored by the workers of a dask scheduler at an address such as tcp://host:8786.

    A worker needs this package and sees data and weights under the same paths.  The parts of a worker that dies go to
    the others.  Raises UserError without dask.distributed, if the scheduler does not answer, or if the workers of a
    part die again and again.
    """
    try:
        from distributed import Client, KilledWorker
    except ModuleNotFoundError as error:
        raise UserError(f"--cluster needs {error.name}: pip install mp_perception[cluster]") from error
    try:
        client: Any = Client(address, timeout="10s", set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError, ValueError) as error:
        raise UserError(f"--cluster {address}: expected a dask scheduler, found none ({one_line(error)})") from error
    with client:
        # The result of a task, not scattered data: it is computed again when the worker that holds it dies.
        sent = client.submit(_identity, job, pure=False)
        futures = client.map(_score_part, parts, job=sent, pure=False, retries=0)
        try:
            for future in futures:
                yield future.result()
                future.release()
        except KilledWorker as error:
            raise UserError(f"--cluster {address}: a part's workers died one after another ({error})") from error


_received: ScoringJob
#: Predictors and data sets are for one thread at a time; a dask worker may have several threads.
_one_at_a_time = threading.Lock()


def _receive_job(job: ScoringJob) -> None:
    global _received  # once in the life of a worker process
    _received = job


def _score_part(part: range, job: ScoringJob | None = None) -> Evaluation:
    job = job or _received
    with _one_at_a_time:
        predictor = None
        if job.network is not None:
            predictor = _load_once(job.network, job.weights_sha256)
        return job.score(predictor, part)


@lru_cache(maxsize=1)
def _load_once(network: NetworkChoice, weights_sha256: str | None) -> Predictor:
    return network.load()


def _identity(job: ScoringJob) -> ScoringJob:
    return job
