"""`mp_perception bag evaluate`: figures, plots and report of a network on bags, or of what the node published."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from mp_perception.commands.network_options import Device, PrecisionName, RuntimeName, Weights, split_weights

Topic = Annotated[str | None, typer.Option(metavar="TOPIC", help="Found by itself if not named.")]


def evaluate(
    bags: Annotated[list[Path], typer.Argument(help="Folders of rosbag2 recordings, or .mcap or .db3 files.")],
    weights: Weights = "mobilenet_v2",
    recorded: Annotated[
        bool, typer.Option("--recorded", help="Score the node's outputs in the bag; no network runs.")
    ] = False,
    json: Annotated[Path | None, typer.Option(help="File for all figures.")] = None,
    report: Annotated[Path | None, typer.Option(help="HTML file: all of it in one page to read and send on.")] = None,
    plots: Annotated[Path | None, typer.Option(help="New folder for curves, best and worst frames.")] = None,
    score_threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Least score of a detection that finds an object; default: the checkpoint's."),
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=0, max=100_000, help="Bootstrap resamples for intervals of average precision.")
    ] = 0,
    image_topic: Topic = None,
    camera_info_topic: Topic = None,
    depth_topic: Topic = None,
    scan_topic: Topic = None,
    detections_topic: Topic = None,
    detections_3d_topic: Topic = None,
    processes: Annotated[int, typer.Option(min=1, max=256, help="Processes on this machine.")] = 1,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A dask scheduler whose workers do the work.")
    ] = None,
    device: Device = "auto",
    runtime: RuntimeName = "auto",
    precision: PrecisionName = "auto",
    num_threads: Annotated[
        int, typer.Option(min=0, max=256, help="CPU threads of each process; 0: all cores but one.")
    ] = 0,
) -> None:
    """Score a network on bags with ground truth: depth maps, depth of single objects, average precision, latency.

    Truth are depth images, laser scans (projected through the bag's transforms and camera info) and detection arrays;
    `mp_perception bag info` says what a bag has. Several bags are joined into one result.

    Example: mp_perception bag evaluate street --weights mobilenet_v2 --report street.html
    """
    from mp_perception.bags.evaluation import BagRequest, run_bag_evaluation
    from mp_perception.bags.topic_choice import ChosenTopics
    from mp_perception.evaluation.run import NetworkChoice, Outputs

    network = None if recorded else NetworkChoice(*split_weights(weights), device, runtime, precision, num_threads)
    topics = ChosenTopics(
        image=image_topic or "",
        camera_info=camera_info_topic,
        depth=depth_topic,
        scan=scan_topic,
        detections=detections_topic,
        detections_3d=detections_3d_topic,
    )
    request = BagRequest(tuple(bags), topics, network, score_threshold, resamples, processes, cluster)
    command = shlex.join(["mp_perception", *sys.argv[1:]])
    run_bag_evaluation(request, Outputs(json=json, report=report, plots=plots, command=command))
