"""`mp_perception predict`: images in, an overlay, a depth map and a JSON file per image out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mp_perception.commands import options

if TYPE_CHECKING:
    from mp_perception.geometry import CameraIntrinsics


def predict(
    paths: Annotated[list[Path], typer.Argument(help="Images, videos, or folders of them.")],
    weights: options.Weights = "mobilenet_v2",
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("predictions"),
    intrinsics: Annotated[
        tuple[float, float, float, float] | None,
        typer.Option(help="Camera FX FY CX CY, pixels of the images: needed for 3D positions and metric depth."),
    ] = None,
    score_threshold: options.ScoreThreshold = None,
    device: options.Device = "auto",
    runtime: options.RuntimeName = "auto",
    precision: options.PrecisionName = "auto",
    num_threads: options.NumThreads = 0,
    input_size: options.InputSize = None,
    input_pixels: options.InputPixels = None,
) -> None:
    """Detect objects and estimate depth in images, folders or videos.

    For every image NAME the output folder contains NAME_overlay.png (boxes with class, score and metres),
    NAME_depth.png (16 bit, metres x 256, 0 = unknown or sky, as in KITTI's depth data) and NAME.json (detections and
    times). Objects in a video are followed: its overlays show their ids, speeds and times to contact, its JSON files
    also "tracks".

    Example: mp_perception predict street.jpg --intrinsics 721.5 721.5 609.6 172.9
    """
    from dataclasses import replace

    from mp_perception.data.image_files import count_images, find_images_and_videos, read_images
    from mp_perception.inference.network_choice import NetworkChoice
    from mp_perception.inference.prediction_settings import PredictionSettings
    from mp_perception.progress import console, track
    from mp_perception.tracking.tracker import Tracker
    from mp_perception.visualization.overlay import draw_overlay
    from mp_perception.visualization.prediction_files import write_prediction
    from mp_perception.visualization.track_overlay import draw_tracks

    files = find_images_and_videos(paths)
    total = count_images(files)
    network = NetworkChoice(
        *options.split_weights(weights), device, runtime, precision, num_threads, input_size, input_pixels
    )
    predictor = network.load_with_warning()
    threshold = predictor.description.score_threshold if score_threshold is None else score_threshold
    settings = PredictionSettings(score_threshold=threshold)
    video, tracker = Path(), Tracker()
    num_images = num_objects = 0
    for named in track(read_images(files), "predict", total):
        camera = _camera(intrinsics, named.image.shape[1], named.image.shape[0])
        if named.time is None:
            prediction, tracks = predictor.predict(named.image, camera, settings), None
            overlay = draw_overlay(named.image, prediction)
        else:
            if named.name.parent != video:
                video, tracker = named.name.parent, Tracker(threshold)
            low = replace(settings, score_threshold=tracker.lowest_score)
            prediction, tracks = tracker.report(predictor.predict(named.image, camera, low), named.time, camera)
            overlay = named.image.copy()
            draw_tracks(overlay, tracks, camera)
        write_prediction(out / named.name, named.source, overlay, prediction, tracks)
        num_images += 1
        num_objects += len(prediction.detections)
    console.print(f"{num_images} images, {num_objects} objects: results in {out}")
    console.print(f"network run by {predictor.runtime}", style="dim")


def _camera(intrinsics: tuple[float, float, float, float] | None, width: int, height: int) -> CameraIntrinsics | None:
    from mp_perception.errors import UserError
    from mp_perception.geometry import CameraIntrinsics

    if intrinsics is None:
        return None
    try:
        return CameraIntrinsics(*intrinsics, width=width, height=height)
    except ValueError as error:
        raise UserError(f"--intrinsics: {error}") from error
