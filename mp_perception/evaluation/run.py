"""The run behind `mp_perception evaluate`: opens everything, shares the images out, writes and prints the results."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mp_perception.data.data_sets import open_data_set
from mp_perception.data.frame_sets import FrameSet
from mp_perception.data.samples import Sample
from mp_perception.errors import UserError
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
from mp_perception.evaluation.report.printed import result_tables
from mp_perception.inference.predictor import Predictor
from mp_perception.prediction import Prediction
from mp_perception.progress import console, error_console, track


@dataclass(frozen=True)
class Outputs:
    """Where results go; None: not wanted.  json: a file.  plots, detections, depth: folders that must not exist."""

    json: Path | None = None
    plots: Path | None = None
    detections: Path | None = None
    depth: Path | None = None

    def check(self) -> None:
        """Raises UserError for a place that is taken, named twice or cannot be written."""
        folders = [path for path in (self.plots, self.detections, self.depth) if path is not None]
        for path in folders:
            check_result_folder(path)
            if [other.absolute() for other in folders].count(path.absolute()) > 1:
                raise UserError(f"{path}: expected a folder for each kind of result, found it named twice")
        if self.json is not None:
            if self.json.is_dir():
                raise UserError(f"{self.json}: expected a file for the figures, found a folder")
            check_can_be_written(self.json)


@dataclass(frozen=True)
class Request:
    """What to score.

    dataset, root, split: as data_sets.open_data_set has them.  backbone, weights, device, num_threads: as
    Predictor.load.  protocol, score_threshold: as evaluate.  num_resamples: for intervals, 0 for none.
    """

    dataset: str
    root: Path
    split: str | None
    backbone: str | None
    weights: Path | None
    protocol: str = "eigen"
    score_threshold: float | None = None
    num_resamples: int = 0
    device: str = "auto"
    num_threads: int = 0


def run_evaluation(request: Request, outputs: Outputs) -> None:
    """Score, write and print; under torchrun each process takes its share, and the first one writes and prints.

    Raises UserError for anything the user can put right; then no result appears under its name.
    """
    outputs.check()
    data_set = open_data_set(request.dataset, request.root, request.split)
    predictor = load_predictor(request.backbone, request.weights, request.protocol, request.device, request.num_threads)
    check_protocol(request.protocol, data_set, predictor)
    result = _score_and_write(request, outputs, data_set, predictor)
    if result is not None:
        if outputs.json is not None:
            # Last: where the figures are, everything else is complete.
            write_json(outputs.json, result)
        for table in result_tables(result):
            console.print(table)
        seconds = result["run"]["seconds"]
        per_image = seconds / result["images"]["evaluated"]
        console.print(f"{result['images']['evaluated']} images in {seconds:.1f} s, {per_image:.2f} s each", style="dim")


def load_predictor(
    backbone: str | None, weights: Path | None, protocol: str, device: str, num_threads: int
) -> Predictor:
    """The network on this process's device, with the input that the protocol needs; warns if it is untrained."""
    predictor = Predictor.load(
        backbone,
        weights,
        device=device_of_process(device),
        num_threads=threads_per_process(num_threads),
        input_size=INPUT_SIZE if protocol == "paper" else None,
    )
    if predictor.untrained and is_first():
        error_console.print(
            f"warning: no trained weights for {predictor.description.backbone}: the network is untrained and its "
            "figures mean nothing",
            style="yellow",
            soft_wrap=True,
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

            def save(index: int, sample: Sample, prediction: Prediction) -> None:
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
            parts = gather(part)
        # The group is closed by now: torchmetrics would wait for the other processes, which compute nothing.
        if parts is None:
            return None
        evaluation = parts[0]
        for other in parts[1:]:
            evaluation.merge(other)
        seconds = time.perf_counter() - start
        result = _result(request, evaluation, predictor)
        result["run"] = {
            "processes": num_processes(),
            "threads_per_process": threads_per_process(request.num_threads),
            "seconds": round(seconds, 3),
        }
        if plots is not None:
            _write_plots(plots, result, evaluation, predictor, data_set)
    return result


def _result(request: Request, evaluation: Evaluation, predictor: Predictor) -> dict[str, Any]:
    missing = [name for name in ("torchmetrics", "pycocotools") if find_spec(name) is None]
    if missing:
        error_console.print(f"warning: COCO's figures are left out: {' and '.join(missing)} not installed")
    return {
        **evaluation.result(request.num_resamples, with_coco=not missing),
        "score_threshold": evaluation.score_threshold,
        "data_set": {"name": request.dataset, "root": str(request.root), "split": request.split},
        **describe_origin(predictor),
    }


def _write_plots(
    folder: Path,
    result: dict[str, Any],
    evaluation: Evaluation,
    predictor: Predictor,
    data_set: FrameSet,
) -> None:
    # Only here: matplotlib is not needed for figures.
    from mp_perception.evaluation.report.frames import write_frames
    from mp_perception.evaluation.report.plots import write_depth_by_distance, write_precision_recall

    write_precision_recall(folder, evaluation.detection.curves())
    if result["depth"] is not None:
        write_depth_by_distance(folder, result["depth"]["by_distance"])
        write_frames(folder, evaluation, predictor, data_set)
