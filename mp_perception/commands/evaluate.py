"""`mp_perception evaluate`: figures, plots and result files of a network on a data set."""

from __future__ import annotations

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mp_perception.commands.network_options import (
    Device,
    NumThreads,
    PrecisionName,
    RuntimeName,
    Weights,
    split_weights,
)

app = typer.Typer(
    help="Score a network on a data set; `tables` prints the paper's tables.",
    invoke_without_command=True,
    no_args_is_help=True,
    # Options of the scoring itself stand before the name of a sub-command.
    subcommand_metavar="[tables]",
)


class Protocol(StrEnum):
    """How depth maps are scored."""

    eigen = "eigen"
    official = "official"
    selection = "selection"
    paper = "paper"


Dataset = Annotated[str | None, typer.Option(help="kitti-object, kitti-depth, kitti-raw, synthetic, ... (see docs).")]
Root = Annotated[Path | None, typer.Option(help="Folder of the data set.")]
Split = Annotated[str | None, typer.Option(help="Split file, or its name in ROOT/ImageSets; all images without.")]


@app.callback()
def evaluate(
    context: typer.Context,
    dataset: Dataset = None,
    root: Root = None,
    split: Split = None,
    weights: Weights = "mobilenet_v2",
    protocol: Annotated[Protocol, typer.Option(help="How depth maps are scored.")] = Protocol.eigen,
    json: Annotated[Path | None, typer.Option(help="File for all figures.")] = None,
    report: Annotated[Path | None, typer.Option(help="HTML file: all of it in one page to read and send on.")] = None,
    plots: Annotated[Path | None, typer.Option(help="New folder for curves, best and worst frames.")] = None,
    save_detections: Annotated[Path | None, typer.Option(help="New folder for KITTI result files.")] = None,
    save_depth: Annotated[Path | None, typer.Option(help="New folder for 16-bit depth PNGs.")] = None,
    score_threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Least score of a detection that finds an object; default: the checkpoint's."),
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=0, max=100_000, help="Bootstrap resamples for intervals of average precision.")
    ] = 0,
    device: Device = "auto",
    runtime: RuntimeName = "auto",
    precision: PrecisionName = "auto",
    num_threads: NumThreads = 0,
) -> None:
    """Score a network on a data set: depth maps, depth of single objects, average precision.

    Example: mp_perception evaluate --dataset kitti-object --root kitti/object --split val --report val.html

    Several processes: torchrun --nproc_per_node=2 -m mp_perception.commands.main evaluate ...
    """
    if context.invoked_subcommand is not None:
        return
    from mp_perception.errors import UserError
    from mp_perception.evaluation.run import NetworkChoice, Outputs, Request, run_evaluation

    if dataset is None or root is None:
        raise UserError(f"evaluate: expected {'--dataset NAME' if dataset is None else '--root FOLDER'}, found none")
    network = NetworkChoice(*split_weights(weights), device, runtime, precision, num_threads)
    request = Request(dataset, root, split, network, protocol.value, score_threshold, resamples)
    command = shlex.join(["mp_perception", *sys.argv[1:]])
    run_evaluation(request, Outputs(json, report, plots, save_detections, save_depth, command))


@app.command()
def tables(
    weights: Annotated[list[str], typer.Option(help="A weights file, or a backbone; once per network.")],
    dataset: Annotated[str, typer.Option(help="Name of the data set.")] = "kitti-object",
    root: Root = None,
    split: Split = None,
    device: Device = "auto",
    runtime: RuntimeName = "auto",
    precision: PrecisionName = "auto",
    num_threads: NumThreads = 0,
) -> None:
    """Print the paper's Tables 1-3 for networks of ours, beside what is known of the paper's own figures.

    Frame rates are measured here. Tables 2 and 3 need a data set with depth maps (--root); each is given the paper's
    way, with its faults, and correctly.

    Example: mp_perception evaluate tables --weights mobilenet_v2 --weights resnet50 --root kitti/object --split val
    """
    from mp_perception.data.data_sets import open_data_set
    from mp_perception.evaluation.run import NetworkChoice, load_predictor
    from mp_perception.evaluation.tables import measure_network, paper_tables
    from mp_perception.progress import console

    data_set = None if root is None else open_data_set(dataset, root, split)
    networks = []
    for name in weights:
        network = NetworkChoice(*split_weights(name), device, runtime, precision, num_threads)
        predictor = load_predictor(network, "paper")
        networks.append(measure_network(predictor, data_set))
        predictor.close()
    for table in paper_tables(networks):
        console.print(table)
