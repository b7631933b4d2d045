"""`mp_perception bag render`: what the robot sees, as a video, an annotated MCAP or a Rerun recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mp_perception.commands import options


def render(
    bag: options.Bag,
    out: Annotated[Path, typer.Argument(help="New file: .mp4 (video), .mcap (Foxglove) or .rrd (Rerun).")],
    weights: options.Weights = "mobilenet_v2",
    recorded: options.Recorded = False,
    score_threshold: options.ScoreThreshold = None,
    tracking: Annotated[
        bool,
        typer.Option("--tracking", help="Follow objects; draw ids, speeds, times to contact, trails."),
    ] = False,
    image_topic: options.Topic = None,
    camera_info_topic: options.Topic = None,
    detections_topic: options.Topic = None,
    device: options.Device = "auto",
    runtime: options.RuntimeName = "auto",
    precision: options.PrecisionName = "auto",
    num_threads: options.NumThreads = 0,
    input_size: options.InputSize = None,
    input_pixels: options.InputPixels = None,
) -> None:
    """Show what the robot sees: objects with class, score and metres, depth in colours, true boxes in white.

    OUT.mp4 is a video with the bag's own times; OUT.mcap opens in Foxglove and similar viewers, with the boxes on the
    image; OUT.rrd opens in Rerun. An earlier file of that name is replaced.

    Example: mp_perception bag render street street.mp4
    """
    from mp_perception.bags.render.rendering import render_bag
    from mp_perception.bags.topic_choice import ChosenTopics
    from mp_perception.inference.network_choice import NetworkChoice

    network = None
    if not recorded:
        network = NetworkChoice(
            *options.split_weights(weights), device, runtime, precision, num_threads, input_size, input_pixels
        )
    topics = ChosenTopics(image=image_topic or "", camera_info=camera_info_topic, detections=detections_topic)
    render_bag(bag, out, topics, network, score_threshold, tracking)
