"""A whole evaluation: scores a data set, of files or of bags, then writes the results and prints them.

The walk of an evaluated bag in docs/architecture.md follows `run_evaluation` from top to bottom.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mp_perception.data.frame_sets import FrameSet
from mp_perception.errors import UserError
from mp_perception.evaluation.coco_metrics import missing_libraries
from mp_perception.evaluation.figures import Evaluation
from mp_perception.evaluation.frame_scores import needed_input_size, scoring_rules
from mp_perception.evaluation.report.terminal import print_result
from mp_perception.evaluation.result_files import ResultPaths, describe_network, describe_versions, write_json
from mp_perception.evaluation.scoring import ScoringJob, check_input
from mp_perception.evaluation.tracked_sequences import evaluate_tracking
from mp_perception.evaluation.workers import score_on_cluster, score_on_processes
from mp_perception.files import complete_folder
from mp_perception.inference.network_choice import NetworkChoice
from mp_perception.inference.predictor import Predictor
from mp_perception.machine import available_cores, spare_cores
from mp_perception.progress import track, warn

#: Few enough that several processes get equal work, enough that a part is worth sending.
_FRAMES_PER_PART = 5


@dataclass(frozen=True)
class EvaluationRequest:
    """How to score a data set.

    network: None scores the predictions that a node recorded.  protocol: a name in frame_scores.PROTOCOLS.
    score_threshold: minimum score of a detection that finds an object; None takes the checkpoint's, or the one that
    the node published with.  num_resamples: for intervals, 0 for none.  processes: on this machine.
    tracking: whether detections are followed over time, and the tracks scored.
    cluster: address of a dask scheduler whose workers do the work, or None.
    """

    network: NetworkChoice | None
    protocol: str = "eigen"
    score_threshold: float | None = None
    num_resamples: int = 0
    tracking: bool = False
    processes: int = 1
    cluster: str | None = None


def run_evaluation(data_set: FrameSet, request: EvaluationRequest, paths: ResultPaths) -> None:
    """Score a data set, write the results and print them.

    Raises UserError for anything the user can correct; then no result appears under its name.
    """
    paths.check()
    start = time.perf_counter()
    network = None if request.network is None else _for_each_process(request.network, request)
    predictor = None if network is None else network.load_with_warning()
    if predictor is not None:
        check_input(predictor, request.protocol)
    classes, threshold = _classes_and_threshold(data_set, predictor, request)
    rules = scoring_rules(data_set, classes, threshold, request.protocol)
    with ExitStack() as folders:
        detections, depth, plots = (
            None if path is None else folders.enter_context(complete_folder(path))
            for path in (paths.detections, paths.depth, paths.plots)
        )
        sha256 = None if predictor is None else predictor.weights_sha256
        job = ScoringJob(data_set, rules, network, sha256, detections, depth)
        evaluation = _score(job, request, predictor)
        if evaluation.dropped and not evaluation.frames:
            name, reason = next(iter(evaluation.dropped.items()))
            raise UserError(f"none of {len(evaluation.dropped)} frames can be scored; the first, {name}: {reason}")
        result = _result(job, evaluation, request, predictor, time.perf_counter() - start)
        if plots is not None or paths.report is not None:
            _write_pictures(job, evaluation, predictor, result, plots, paths)
    if paths.json is not None:
        # Last: when the figures are there, everything else is complete.
        write_json(paths.json, result)
    print_result(result, paths.report)


def _for_each_process(network: NetworkChoice, request: EvaluationRequest) -> NetworkChoice:
    """The network with its number of threads, its input, and weights that a worker in another folder finds."""
    threads = spare_cores() if request.processes == 1 else max(1, available_cores() // request.processes)
    weights = network.weights
    if weights is not None and weights.is_file():  # else the name of weights that ship
        weights = weights.absolute()
    input_size = network.input_size or needed_input_size(request.protocol)
    return replace(network, weights=weights, num_threads=network.num_threads or threads, input_size=input_size)


def _classes_and_threshold(
    data_set: FrameSet, predictor: Predictor | None, request: EvaluationRequest
) -> tuple[Sequence[str], float]:
    """The classes that predictions can name, and the score threshold."""
    if predictor is not None:
        classes, thresholds = predictor.description.class_names, frozenset((predictor.description.score_threshold,))
    elif data_set.recorded is not None:
        classes, thresholds = data_set.recorded.class_names, data_set.recorded.score_thresholds
    else:
        raise UserError(f"{data_set.title}: expected recorded outputs of a node, found none")
    if request.score_threshold is not None:
        return classes, request.score_threshold
    if len(thresholds) > 1:
        raise UserError(f"the recorded outputs have several score thresholds ({sorted(thresholds)}): name one")
    return classes, float(next(iter(thresholds), 0.0))


def _score(job: ScoringJob, request: EvaluationRequest, predictor: Predictor | None) -> Evaluation:
    """All frames scored, in this process or by others."""
    num_frames = len(job.data_set)
    starts = range(0, num_frames, _FRAMES_PER_PART)
    parts = [range(start, min(start + _FRAMES_PER_PART, num_frames)) for start in starts]
    scored: Iterable[Evaluation]
    if request.cluster is not None:
        scored = score_on_cluster(job, parts, request.cluster)
    elif request.processes > 1:
        scored = score_on_processes(job, parts, request.processes)
    else:
        scored = (job.score(predictor, part) for part in parts)
    evaluation = Evaluation(job.rules)
    for part in track(scored, "evaluate", len(parts)):
        evaluation.merge(part)
    return evaluation


def _result(
    job: ScoringJob,
    evaluation: Evaluation,
    request: EvaluationRequest,
    predictor: Predictor | None,
    seconds: float,
) -> dict[str, Any]:
    """All figures and where they come from, as the JSON has them."""
    tracking = evaluate_tracking(job.data_set, evaluation) if request.tracking else None
    notes = {"problems": evaluation.problem_figures(), "mended": sorted(evaluation.mended)}
    missing = missing_libraries()
    if missing:
        warn(f"COCO's figures are left out: {' and '.join(missing)} not installed")
    return {
        **evaluation.result(request.num_resamples, with_coco=not missing),
        "tracking": tracking,
        "data_set": {**job.data_set.description, **notes},
        **({} if predictor is None else describe_network(predictor)),
        "versions": describe_versions(),
        "run": {
            "processes": request.processes,
            "cluster": request.cluster,
            "threads_per_process": None if job.network is None else job.network.num_threads,
            "seconds": round(seconds, 3),
        },
    }


def _write_pictures(
    job: ScoringJob,
    evaluation: Evaluation,
    predictor: Predictor | None,
    result: dict[str, Any],
    plots: Path | None,
    paths: ResultPaths,
) -> None:
    """The folder of plots and the report, as far as they are wanted."""
    # Only here: matplotlib and Jinja are not needed for figures.
    from mp_perception.evaluation.report.example_frames import example_frames, write_examples
    from mp_perception.evaluation.report.page import Report, write_report
    from mp_perception.evaluation.report.plots import depth_plots, precision_recall_plots, write_plots

    examples = example_frames(job, evaluation, predictor)
    if plots is not None:
        write_plots(plots, [*precision_recall_plots(result), *depth_plots(result)])
        write_examples(plots, examples)
    if paths.report is not None:
        weights = result.get("weights")
        network = "recorded outputs" if weights is None else weights["file"] or "untrained network"
        title = f"{network} on {job.data_set.title}"
        write_report(paths.report, Report(title, paths.command, result, examples))
