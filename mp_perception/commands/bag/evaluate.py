"""`mp_perception bag evaluate`: figures, plots and report of a network on bags, or of what a node published."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from mp_perception.commands.options import (
    Cluster,
    Device,
    InputPixels,
    InputSize,
    JsonFile,
    NumThreads,
    PlotsFolder,
    PrecisionName,
    Processes,
    Recorded,
    ReportFile,
    Resamples,
    RuntimeName,
    ScoreThreshold,
    Topic,
    Tracking,
    Weights,
    split_weights,
)


def evaluate(
    bags: Annotated[list[Path], typer.Argument(help="Folders of rosbag2 recordings, or .mcap or .db3 files.")],
    weights: Weights = "mobilenet_v2",
    recorded: Recorded = False,
    json: JsonFile = None,
    report: ReportFile = None,
    plots: PlotsFolder = None,
    score_threshold: ScoreThreshold = None,
    resamples: Resamples = 0,
    tracking: Tracking = False,
    image_topic: Topic = None,
    camera_info_topic: Topic = None,
    depth_topic: Topic = None,
    points_topic: Topic = None,
    detections_topic: Topic = None,
    detections_3d_topic: Topic = None,
    processes: Processes = 1,
    cluster: Cluster = None,
    device: Device = "auto",
    runtime: RuntimeName = "auto",
    precision: PrecisionName = "auto",
    num_threads: NumThreads = 0,
    input_size: InputSize = None,
    input_pixels: InputPixels = None,
) -> None:
    """Score a network on bags: depth maps, depth of single objects, average precision, latency.

    Ground truth is depth images, point clouds (projected through the bag's transforms and camera info) and detection
    arrays; `mp_perception bag info` shows what a bag contains. Without ground truth the result is what was detected,
    and the latency. Several bags are joined into one result.

    Example: mp_perception bag evaluate street --weights mobilenet_v2 --report street.html
    """
    from mp_perception.bags.opening import open_bags
    from mp_perception.bags.topic_choice import ChosenTopics
    from mp_perception.evaluation.pipeline import EvaluationRequest, run_evaluation
    from mp_perception.evaluation.result_files import ResultPaths
    from mp_perception.inference.network_choice import NetworkChoice

    network = None
    if not recorded:
        network = NetworkChoice(
            *split_weights(weights), device, runtime, precision, num_threads, input_size, input_pixels
        )
    topics = ChosenTopics(
        image=image_topic or "",
        camera_info=camera_info_topic,
        depth=depth_topic,
        points=points_topic,
        detections=detections_topic,
        detections_3d=detections_3d_topic,
    )
    paths = ResultPaths(json, report, plots, command=shlex.join(["mp_perception", *sys.argv[1:]]))
    paths.check()
    request = EvaluationRequest(network, "eigen", score_threshold, resamples, tracking, processes, cluster)
    with open_bags(bags, topics, recorded) as data_set:
        run_evaluation(data_set, request, paths)
