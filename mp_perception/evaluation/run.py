"""The run behind `mp_perception evaluate`: opens everything, shares the images out, writes and prints the results."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mp_perception.data.data_sets import open_data_set
from mp_perception.data.frame_sets import FrameSet
from mp_perception.data.samples import Sample
from mp_perception.errors import UserError
from mp_perception.evaluation.coco_metrics import missing_libraries
from mp_perception.evaluation.distributed import (
    device_of_process,
    from_first,
    gather,
    is_first,
    num_processes,
    process_group,
    share_of_images,
    threads_per_process,
)
from mp_perception.evaluation.evaluate import Evaluation, check_protocol, evaluate
from mp_perception.evaluation.files import (
    check_can_be_written,
    check_result_folder,
    describe_origin,
    result_folder,
    write_depth,
    write_detections,
    write_json,
)
from mp_perception.evaluation.paper_protocol import INPUT_SIZE
from mp_perception.evaluation.report.latency import Latency
from mp_perception.evaluation.report.printed import result_tables
from mp_perception.inference.predictor import Predictor
from mp_perception.prediction import Prediction
from mp_perception.progress import console, track, warn

if TYPE_CHECKING:
    from mp_perception.evaluation.detection_metrics import Curve
    from mp_perception.evaluation.report.frames import FrameGallery


@dataclass(frozen=True)
class Outputs:
    """Where results go; None: not wanted.  json, report: files.  plots, detections, depth: folders that must not exist.

    command: what was run, for the report.
    """

    json: Path | None = None
    report: Path | None = None
    plots: Path | None = None
    detections: Path | None = None
    depth: Path | None = None
    command: str = ""

    def check(self) -> None:
        """Raises UserError for a place that is taken, named twice or cannot be written."""
        folders = [path for path in (self.plots, self.detections, self.depth) if path is not None]
        for path in folders:
            check_result_folder(path)
            if [other.absolute() for other in folders].count(path.absolute()) > 1:
                raise UserError(f"{path}: expected a folder for each kind of result, found it named twice")
        for file, content in ((self.json, "the figures"), (self.report, "the report")):
            if file is not None:
                if file.is_dir():
                    raise UserError(f"{file}: expected a file for {content}, found a folder")
                check_can_be_written(file)
        if self.json is not None and self.report is not None and self.json.absolute() == self.report.absolute():
            raise UserError(f"{self.json}: expected one file for figures and one for the report, found it named twice")


@dataclass(frozen=True)
class NetworkChoice:
    """Which network, and what runs it: arguments of Predictor.load."""

    backbone: str | None
    weights: Path | None
    device: str = "auto"
    runtime: str = "auto"
    precision: str = "auto"
    num_threads: int = 0


@dataclass(frozen=True)
class Request:
    """What to score.

    dataset, root, split: as data_sets.open_data_set has them.  protocol, score_threshold: as evaluate.
    num_resamples: for intervals, 0 for none.
    """

    dataset: str
    root: Path
    split: str | None
    network: NetworkChoice
    protocol: str = "eigen"
    score_threshold: float | None = None
    num_resamples: int = 0


def run_evaluation(request: Request, outputs: Outputs) -> None:
    """Score, write and print; under torchrun each process takes its share, and the first one writes and prints.

    Raises UserError for anything the user can put right; then no result appears under its name.
    """
    outputs.check()
    data_set = open_data_set(request.dataset, request.root, request.split)
    predictor = load_predictor(request.network, request.protocol)
    check_protocol(request.protocol, data_set, predictor)
    result = _score_and_write(request, outputs, data_set, predictor)
    if result is not None:
        if outputs.json is not None:
            # Last: where the figures are, everything else is complete.
            write_json(outputs.json, result)
        for table in result_tables(result):
            console.print(table)
        console.print(f"network run by {predictor.runtime}", style="dim", soft_wrap=True)
        seconds = result["run"]["seconds"]
        per_image = seconds / result["images"]["evaluated"]
        console.print(f"{result['images']['evaluated']} images in {seconds:.1f} s, {per_image:.2f} s each", style="dim")
        if outputs.report is not None:
            console.print(f"report: {outputs.report}", soft_wrap=True)


def load_predictor(network: NetworkChoice, protocol: str = "eigen") -> Predictor:
    """The network on this process's device, with the input that the protocol needs; warns if it is untrained."""
    predictor = Predictor.load(
        network.backbone,
        network.weights,
        runtime=network.runtime,
        device=device_of_process(network.device),
        precision=network.precision,
        num_threads=threads_per_process(network.num_threads),
        input_size=INPUT_SIZE if protocol == "paper" else None,
    )
    if predictor.untrained and is_first():
        warn(
            f"no trained weights for {predictor.description.backbone}: the network is untrained and its figures mean "
            "nothing"
        )
    return predictor


def _score_and_write(
    request: Request, outputs: Outputs, data_set: FrameSet, predictor: Predictor
) -> dict[str, Any] | None:
    """The result in the first process, with all folders written; None in the others."""
    start = time.perf_counter()
    with ExitStack() as folders:
        with process_group():
            token = from_first(str(os.getpid()))
            detections, depth, plots = (
                folders.enter_context(result_folder(path, token, is_first()))
                for path in (outputs.detections, outputs.depth, outputs.plots)
            )

            gallery, latency = _new_gallery(request, outputs, predictor), Latency("image number")

            def save(index: int, sample: Sample, prediction: Prediction) -> None:
                latency.add(index, sum(prediction.timings.values()), prediction.timings)
                if gallery is not None:
                    gallery.add(sample, prediction)
                height, width = sample.size
                if detections is not None:
                    camera = data_set.camera(index, width, height)
                    write_detections(detections, sample.name, prediction.detections, camera)
                if depth is not None:
                    write_depth(depth, sample.name, prediction)

            images = share_of_images(len(data_set))
            part = evaluate(
                predictor,
                data_set,
                protocol=request.protocol,
                score_threshold=request.score_threshold,
                indices=track(images, "evaluate") if is_first() else images,
                observe=save,
            )
            parts = gather((part, gallery, latency))
        # The group is closed by now: torchmetrics would wait for the other processes, which compute nothing.
        if parts is None:
            return None
        evaluation, gallery, latency = parts[0]
        for other_evaluation, other_gallery, other_latency in parts[1:]:
            evaluation.merge(other_evaluation)
            latency.merge(other_latency)
            if gallery is not None and other_gallery is not None:
                gallery.merge(other_gallery)
        seconds = time.perf_counter() - start
        result = _result(request, evaluation, predictor)
        result["run"] = {
            "processes": num_processes(),
            "threads_per_process": threads_per_process(request.network.num_threads),
            "seconds": round(seconds, 3),
        }
        if gallery is not None:
            _write_pictures(request, outputs, plots, result, evaluation.detection.curves(), gallery, latency)
    return result


def _result(request: Request, evaluation: Evaluation, predictor: Predictor) -> dict[str, Any]:
    missing = missing_libraries()
    if missing:
        warn(f"COCO's figures are left out: {' and '.join(missing)} not installed")
    return {
        **evaluation.result(request.num_resamples, with_coco=not missing),
        "score_threshold": evaluation.score_threshold,
        "data_set": {"name": request.dataset, "root": str(request.root), "split": request.split},
        **describe_origin(predictor),
    }


def _new_gallery(request: Request, outputs: Outputs, predictor: Predictor) -> FrameGallery | None:
    """What keeps the best and worst frames; None where nobody asked for pictures."""
    if outputs.plots is None and outputs.report is None:
        return None
    # Only here: matplotlib is not needed for figures.
    from mp_perception.evaluation.report.frames import FrameGallery

    threshold = request.score_threshold
    return FrameGallery(predictor.description.score_threshold if threshold is None else threshold)


def _write_pictures(
    request: Request,
    outputs: Outputs,
    plots: Path | None,
    result: dict[str, Any],
    curves: list[Curve],
    gallery: FrameGallery,
    latency: Latency,
) -> None:
    """The folder of plots and the report, as far as they are wanted."""
    from mp_perception.evaluation.report.frames import frame_plots
    from mp_perception.evaluation.report.html import Report, write_report
    from mp_perception.evaluation.report.plots import result_plots, write_plots

    if plots is not None:
        write_plots(plots, [*result_plots(result, curves), *frame_plots(gallery)])
    if outputs.report is not None:
        file, backbone = result["weights"]["file"], result["weights"]["description"]["backbone"]
        network = f"untrained {backbone}" if file is None else Path(file).stem
        title = f"{network} on {request.dataset}{'' if request.split is None else f', {Path(request.split).stem}'}"
        write_report(outputs.report, Report(title, outputs.command, result, curves, gallery, latency))
