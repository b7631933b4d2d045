"""`mp_perception bag evaluate`: figures, plots and report of a network on bags, or of what a node published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mp_perception.commands import options


def evaluate(
    bags: Annotated[list[Path], typer.Argument(help="Folders of rosbag2 recordings, or .mcap or .db3 files.")],
    weights: options.Weights = "mobilenet_v2",
    recorded: options.Recorded = False,
    json: options.JsonFile = None,
    report: options.ReportFile = None,
    plots: options.PlotsFolder = None,
    score_threshold: options.ScoreThreshold = None,
    resamples: options.Resamples = 0,
    tracking: options.Tracking = False,
    image_topic: options.Topic = None,
    camera_info_topic: options.Topic = None,
    depth_topic: options.Topic = None,
    points_topic: options.Topic = None,
    detections_topic: options.Topic = None,
    detections_3d_topic: options.Topic = None,
    processes: options.Processes = 1,
    cluster: options.Cluster = None,
    device: options.Device = "auto",
    runtime: options.RuntimeName = "auto",
    precision: options.PrecisionName = "auto",
    num_threads: options.NumThreads = 0,
    input_size: options.InputSize = None,
    input_pixels: options.InputPixels = None,
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
            *options.split_weights(weights), device, runtime, precision, num_threads, input_size, input_pixels
        )
    topics = ChosenTopics(
        image=image_topic or "",
        camera_info=camera_info_topic,
        depth=depth_topic,
        points=points_topic,
        detections=detections_topic,
        detections_3d=detections_3d_topic,
    )
    paths = ResultPaths(json, report, plots, command=options.command_line())
    paths.check()
    request = EvaluationRequest(network, "eigen", score_threshold, resamples, tracking, processes, cluster)
    with open_bags(bags, topics, recorded) as data_set:
        run_evaluation(data_set, request, paths)
