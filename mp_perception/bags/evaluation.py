"""The run behind `mp_perception bag evaluate`: opens bags, shares the work out, joins, writes and prints."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mp_perception.bags.contents import BagContents
from mp_perception.bags.frames import known_truth
from mp_perception.bags.opening import open_contents
from mp_perception.bags.scoring import BagScore, ScoringTask, score, tasks_of
from mp_perception.bags.topic_choice import ChosenTopics
from mp_perception.bags.workers import on_cluster, on_this_machine
from mp_perception.errors import UserError
from mp_perception.evaluation.coco_metrics import missing_libraries
from mp_perception.evaluation.files import describe_origin, describe_versions, result_folder, write_json
from mp_perception.evaluation.report.latency import FrameCounts
from mp_perception.evaluation.report.printed import printed_table, result_tables
from mp_perception.evaluation.run import NetworkChoice, Outputs, load_predictor
from mp_perception.machine import available_cores, spare_cores
from mp_perception.progress import console, track, warn

if TYPE_CHECKING:
    from mp_perception.inference.predictor import Predictor


@dataclass(frozen=True)
class BagRequest:
    """What to score.

    bags: folders or files.  topics: those that the user names.  network: None scores the node's recorded outputs.
    score_threshold: of the detections that stand for objects; None takes the checkpoint's, or the recorded one.
    num_resamples: for intervals, 0 for none.  processes: on this machine.  cluster: address of a dask scheduler whose
    workers take the work, or None.
    """

    bags: tuple[Path, ...]
    topics: ChosenTopics
    network: NetworkChoice | None
    score_threshold: float | None = None
    num_resamples: int = 0
    processes: int = 1
    cluster: str | None = None


def run_bag_evaluation(request: BagRequest, outputs: Outputs) -> None:
    """Score, write and print.  outputs: figures, report and plots; detections and depth are not written from bags.

    A bag that cannot be used among others that can is said and left out.
    Raises UserError for anything the user can put right; then no result appears under its name.
    """
    outputs.check()
    with tempfile.TemporaryDirectory(prefix="mp_perception_bags_") as workspace:
        bags, unusable = open_bags(request, Path(workspace))
        result, parts = _score(request, outputs, bags)
        write_result(outputs, bags, unusable, result, parts)


def write_result(
    outputs: Outputs,
    bags: Sequence[BagContents],
    unusable: Mapping[str, str],
    result: dict[str, Any],
    parts: BagScore,
) -> None:
    """Write plots, report and, last, figures of scored bags, and print them; arguments as open_bags and BagScore."""
    result["data_set"] = {
        "name": "bag",
        "bags": [_describe(bag) for bag in bags],
        "unusable_bags": dict(unusable),
        "problems": {kind: {"frames": count, "first": example} for kind, (count, example) in parts.problems.items()},
    }
    if parts.gallery is not None:
        with result_folder(outputs.plots, str(os.getpid()), is_first=True) as plots:
            _write_pictures(outputs, plots, bags, result, parts)
    if outputs.json is not None:
        write_json(outputs.json, result)
    _print(result, parts, outputs)


def open_bags(request: BagRequest, workspace: Path) -> tuple[list[BagContents], dict[str, str]]:
    """The bags' contents, under different names, and path -> what is wrong with those that cannot be used.

    Raises UserError if no bag can be used, or there is but one.
    """
    bags: list[BagContents] = []
    unusable: dict[str, str] = {}
    for number, path in enumerate(request.bags):
        name = path.resolve().name
        if sum(other.resolve().name == name for other in request.bags) > 1:
            name = f"{number + 1}-{name}"
        try:
            bag = open_contents(path, request.topics, name, workspace)
            if request.network is None and bag.recorded is None:
                raise UserError(f"{path}: expected recorded outputs (detections, with depth/image beside), found none")
            if not (bag.has_depth or bag.has_labels):
                raise UserError(f"{path}: expected truth (depth images, laser scans, detections), found none")
        except UserError as error:
            if len(request.bags) == 1:
                raise
            unusable[str(path)] = str(error)
            warn(str(error))
            continue
        bags.append(bag)
        for note in bag.notes:
            warn(f"{path}: {note}")
    if not bags:
        raise UserError(f"none of {len(request.bags)} bags can be used; the first: {next(iter(unusable.values()))}")
    return bags, unusable


def _score(request: BagRequest, outputs: Outputs, bags: Sequence[BagContents]) -> tuple[dict[str, Any], BagScore]:
    """The result, without what the bags are, and what it was made from."""
    start = time.perf_counter()
    network, predictor = request.network, None
    if network is not None:
        shared = spare_cores() if request.processes == 1 else max(1, available_cores() // request.processes)
        # Workers may stand in another folder.
        weights = None if network.weights is None else network.weights.absolute()
        network = replace(network, weights=weights, num_threads=network.num_threads or shared)
        # Each process loads its own; this one says what is wrong with it, and what it is.
        predictor = load_predictor(network)
        predictor.close()
    threshold = _threshold(request, bags, predictor)
    with_pictures = outputs.plots is not None or outputs.report is not None
    tasks = tasks_of(bags, known_truth(bags), network, threshold, with_pictures)
    with _workers(request) as run:
        parts = list(track(run(tasks), "evaluate", len(tasks)))
    joined = parts[0]
    for part in parts[1:]:
        joined.merge(part)
    missing = missing_libraries()
    if missing:
        warn(f"COCO's figures are left out: {' and '.join(missing)} not installed")
    return {
        **joined.evaluation.result(request.num_resamples, with_coco=not missing),
        "latency_ms": joined.latency.figures(),
        "frames": {
            "received": joined.received,
            "scored": joined.evaluation.num_images,
            "dropped": joined.dropped,
        },
        "score_threshold": threshold,
        **(describe_versions() if predictor is None else describe_origin(predictor)),
        "run": {
            "processes": request.processes,
            "cluster": request.cluster,
            "threads_per_process": None if network is None else network.num_threads,
            "seconds": round(time.perf_counter() - start, 3),
        },
    }, joined


def _threshold(request: BagRequest, bags: Sequence[BagContents], predictor: Predictor | None) -> float:
    """The score threshold that the user names, else the checkpoint's, else the one that the node published with."""
    if request.score_threshold is not None:
        return request.score_threshold
    if predictor is not None:
        return float(predictor.description.score_threshold)
    known = {bag.recorded_threshold for bag in bags}
    if len(known) > 1:
        raise UserError(f"the bags' outputs have several score thresholds ({sorted(map(str, known))}): name one")
    return next(iter(known)) or 0.0


def _workers(request: BagRequest) -> AbstractContextManager[Callable[[Sequence[ScoringTask]], Iterator[BagScore]]]:
    if request.cluster is not None:
        return on_cluster(request.cluster, score)
    return on_this_machine(request.processes, score)


def _describe(bag: BagContents) -> dict[str, Any]:
    topics = {kind: topic for kind, topic in asdict(bag.topics).items() if topic}
    return {"name": bag.name, "path": str(bag.source), "topics": topics, **bag.counts(), "notes": list(bag.notes)}


def _write_pictures(
    outputs: Outputs, plots: Path | None, bags: Sequence[BagContents], result: dict[str, Any], joined: BagScore
) -> None:
    # Only here: matplotlib and Jinja are not needed for figures.
    from mp_perception.evaluation.report.frames import frame_plots
    from mp_perception.evaluation.report.html import Report, write_report
    from mp_perception.evaluation.report.plots import result_plots, write_plots

    assert joined.gallery is not None
    curves = joined.evaluation.detection.curves()
    if plots is not None:
        write_plots(plots, [*result_plots(result, curves), *frame_plots(joined.gallery)])
    if outputs.report is not None:
        what = "recorded outputs"
        if "weights" in result:
            what = result["weights"]["file"] or f"untrained {result['weights']['description']['backbone']}"
        title = f"{what} on {bags[0].name}" + (f" and {len(bags) - 1} more bags" if len(bags) > 1 else "")
        counts = FrameCounts(joined.received, joined.evaluation.num_images, joined.dropped)
        report = Report(title, outputs.command, result, curves, joined.gallery, joined.latency, counts)
        write_report(outputs.report, report)


def _print(result: dict[str, Any], joined: BagScore, outputs: Outputs) -> None:
    for table in [*result_tables(result), *([printed_table(joined.latency.table())] if len(joined.latency) else [])]:
        console.print(table)
    for kind, (count, example) in joined.problems.items():
        warn(f"{kind} in {count} frames; the first: {example}")
    frames = result["frames"]
    dropped = "".join(f", {count} dropped ({reason})" for reason, count in frames["dropped"].items())
    seconds = result["run"]["seconds"]
    rate = f", {frames['scored'] / seconds:.1f} frames per second" if seconds else ""
    console.print(
        f"{frames['scored']} of {frames['received']} frames scored{dropped}; depth known in "
        f"{result['images']['with_depth']}, objects in {result['images']['with_labels']}; {seconds:.1f} s{rate}",
        style="dim",
        soft_wrap=True,
    )
    if "runtime" in result:
        runtime = result["runtime"]
        text = f"network run by {runtime['name']} on {runtime['device']}, {runtime['precision']}"
        console.print(text, style="dim", soft_wrap=True)
    if outputs.report is not None:
        console.print(f"report: {outputs.report}", soft_wrap=True)
