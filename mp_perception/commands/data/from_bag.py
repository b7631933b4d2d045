"""`mp_perception data from-bag`: a bag as a folder that labelling tools open and trainings read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mp_perception.commands import options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mp_perception.bags.bag_to_recording import Labeller
    from mp_perception.geometry import CameraIntrinsics


def from_bag(
    bag: options.Bag,
    out: Annotated[Path, typer.Argument(help="New folder.")],
    step: Annotated[int, typer.Option(min=1, help="Write every N-th image.")] = 1,
    prelabel: Annotated[
        bool,
        typer.Option("--prelabel", help="Label images that have no boxes by the network, to be corrected by hand."),
    ] = False,
    weights: options.Weights = "mobilenet_v2",
    score_threshold: options.ScoreThreshold = None,
    image_topic: options.Topic = None,
    camera_info_topic: options.Topic = None,
    depth_topic: options.Topic = None,
    points_topic: options.Topic = None,
    detections_topic: options.Topic = None,
) -> None:
    """Convert a bag to a folder: images, metric depth, camera, time stamps, and boxes in COCO's format.

    Writes OUT/image/STAMP.jpg, depth/STAMP.png (16 bit, metres x 256), calib.txt, timestamps.txt and, if there are
    boxes, annotations.json. Depth is taken from depth images, registered into the camera if another one took it, or
    from point clouds; boxes from detection arrays. Labelling tools (CVAT, Label Studio) import annotations.json with
    the images; replace it by what they export in COCO's format. The folder is the data set `recording`.

    Example: mp_perception data from-bag street_bag street --step 10 --prelabel
    """
    from mp_perception.bags.bag_to_recording import write_recording
    from mp_perception.bags.opening import open_bags
    from mp_perception.bags.topic_choice import ChosenTopics
    from mp_perception.files import check_new_folder
    from mp_perception.progress import console, warn

    check_new_folder(out)
    topics = ChosenTopics(
        image=image_topic or "",
        camera_info=camera_info_topic,
        depth=depth_topic,
        points=points_topic,
        detections=detections_topic,
    )
    label = _network_labels(weights, score_threshold) if prelabel else None
    with open_bags([bag], topics) as frames:
        written = write_recording(frames, out, step, label)
    for what in frames.mended:
        console.print(f"mended: {what}")
    for reason, count in written.left_out.most_common():
        warn(f"{count} frames: {reason}")
    boxes = f"{written.boxes} boxes in {written.labelled} of them" if written.labelled else "no boxes"
    console.print(f"{out}: {written.images} images, {written.depth_maps} depth maps, {boxes}")


def _network_labels(weights: str, score_threshold: float | None) -> Labeller:
    """Detections of a network as labels."""
    from mp_perception.data.object_label import ObjectLabel
    from mp_perception.inference.network_choice import NetworkChoice
    from mp_perception.inference.prediction_settings import PredictionSettings

    predictor = NetworkChoice(*options.split_weights(weights)).load_with_warning()
    settings = PredictionSettings(score_threshold=score_threshold)

    def label(image: NDArray[np.uint8], intrinsics: CameraIntrinsics | None) -> list[ObjectLabel]:
        found = predictor.predict(image, intrinsics, settings).detections
        boxes = [(float(x1), float(y1), float(x2), float(y2)) for x1, y1, x2, y2 in found.boxes]
        return [ObjectLabel(found.name(number), box) for number, box in enumerate(boxes)]

    return label
