"""`mp_perception evaluate`: figures, report and result files of a network on a data set; the paper's tables."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mp_perception.commands import options

app = typer.Typer(
    invoke_without_command=True,
    no_args_is_help=True,
    # The options belong to the scoring, not to the sub-command.
    subcommand_metavar="[tables]",
)


class Protocol(StrEnum):
    """How depth maps are scored."""

    eigen = "eigen"
    official = "official"
    selection = "selection"
    paper = "paper"


@app.callback()
def evaluate(
    context: typer.Context,
    dataset: options.DatasetName = None,
    root: options.DatasetRoot = None,
    split: options.Split = None,
    weights: options.Weights = "mobilenet_v2",
    protocol: Annotated[Protocol, typer.Option(help="How depth maps are scored.")] = Protocol.eigen,
    json: options.JsonFile = None,
    report: options.ReportFile = None,
    plots: options.PlotsFolder = None,
    save_detections: Annotated[Path | None, typer.Option(help="New folder for KITTI result files.")] = None,
    save_depth: Annotated[Path | None, typer.Option(help="New folder for 16-bit depth PNGs.")] = None,
    score_threshold: options.ScoreThreshold = None,
    resamples: options.Resamples = 0,
    tracking: options.Tracking = False,
    processes: options.Processes = 1,
    cluster: options.Cluster = None,
    device: options.Device = "auto",
    runtime: options.RuntimeName = "auto",
    precision: options.PrecisionName = "auto",
    num_threads: options.NumThreads = 0,
    input_size: options.InputSize = None,
    input_pixels: options.InputPixels = None,
) -> None:
    """Score a network on a data set: depth maps, depth of single objects, average precision, latency.

    Example: mp_perception evaluate --dataset kitti-object --root kitti/object --split val --report val.html
    """
    if context.invoked_subcommand is not None:
        return
    from mp_perception.data.data_sets import open_data_set
    from mp_perception.errors import UserError
    from mp_perception.evaluation.pipeline import EvaluationRequest, run_evaluation
    from mp_perception.evaluation.result_files import ResultPaths
    from mp_perception.inference.network_choice import NetworkChoice

    if dataset is None or root is None:
        raise UserError(f"evaluate: expected {'--dataset NAME' if dataset is None else '--root FOLDER'}, found none")
    network = NetworkChoice(
        *options.split_weights(weights), device, runtime, precision, num_threads, input_size, input_pixels
    )
    request = EvaluationRequest(network, protocol.value, score_threshold, resamples, tracking, processes, cluster)
    paths = ResultPaths(json, report, plots, save_detections, save_depth, options.command_line())
    run_evaluation(open_data_set(dataset, root, split), request, paths)


@app.command()
def tables(
    weights: Annotated[list[str], typer.Option(help="A weights file or the name of weights that ship; once each.")],
    dataset: Annotated[str, typer.Option(help="Name of the data set.")] = "kitti-object",
    root: options.DatasetRoot = None,
    split: options.Split = None,
    device: options.Device = "auto",
    runtime: options.RuntimeName = "auto",
    precision: options.PrecisionName = "auto",
    num_threads: options.NumThreads = 0,
) -> None:
    """Print the paper's Tables 1-3 for networks of ours: frame rate, parameters, and the paper's 18 metrics.

    Frame rates are measured on this machine. Tables 2 and 3 need a data set with depth maps (--root); they show the
    figures by the paper's evaluation, with its faults, and by the correct one.

    Example: mp_perception evaluate tables --weights mobilenet_v2 --root kitti/object --split val
    """
    from mp_perception.data.data_sets import open_data_set
    from mp_perception.evaluation.frame_scores import needed_input_size
    from mp_perception.evaluation.paper_tables import measure_network, paper_tables
    from mp_perception.evaluation.report.terminal import print_table
    from mp_perception.inference.network_choice import NetworkChoice

    data_set = None if root is None else open_data_set(dataset, root, split)
    networks = []
    for name in weights:
        network = NetworkChoice(
            *options.split_weights(name), device, runtime, precision, num_threads, needed_input_size("paper")
        )
        predictor = network.load_with_warning()
        networks.append(measure_network(predictor, data_set))
        predictor.close()
    for table in paper_tables(networks):
        print_table(table)
