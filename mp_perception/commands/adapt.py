"""`mp_perception adapt`: weights for one camera, from a recording of it with depth."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from mp_perception.commands.options import Checkpoint, Topic, command_line, split_weights

#: Exit code if the adapted weights are not better than the alternatives without training.
NOT_BETTER = 3


def adapt(
    recordings: Annotated[
        list[Path] | None,
        typer.Argument(metavar="BAG...", help="Bags, or the folder of a recording (image/, depth/, calib.txt)."),
    ] = None,
    out: Annotated[Path, typer.Option(help="New folder for weights and report.")] = Path("my_camera"),
    weights: Checkpoint = "mobilenet_v2",
    images: Annotated[Path | None, typer.Option(help="Folder of images, instead of bags.")] = None,
    depth: Annotated[Path | None, typer.Option(help="Folder of their depth maps: 16-bit PNG, named alike.")] = None,
    intrinsics: Annotated[
        tuple[float, float, float, float] | None, typer.Option(help="Camera FX FY CX CY, pixels of the images.")
    ] = None,
    depth_units: Annotated[
        float, typer.Option(min=1, max=1e5, help="Stored value of one metre in the depth maps; millimetres: 1000.")
    ] = 256,
    max_frames: Annotated[int, typer.Option(min=10, max=100_000, help="Frames of the recording to train on.")] = 300,
    samples: Annotated[
        int, typer.Option(min=6, max=10_000_000, help="Augmented images to train on, all epochs together.")
    ] = 3000,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of samples and transforms.")] = 1,
    int8: Annotated[bool, typer.Option("--int8", help="Export an int8 model as well.")] = False,
    image_topic: Topic = None,
    camera_info_topic: Topic = None,
    depth_topic: Topic = None,
    points_topic: Topic = None,
) -> None:
    """Adapt weights to your camera: learn its depth from a recording with a depth camera or a lidar beside it.

    The last fifth of the recording is held out (of several bags, the last ones). Detection stays exactly as it was.
    The same command continues an interrupted run.

    Writes to OUT: weights.safetensors and weights.onnx (for predict, evaluate and the node), report.html (depth before
    and after on the held-out part), training/configuration.yaml and recording/.

    Exit code 3: the adapted weights are not better than the weights before times one factor, and than a fixed depth
    map; the report says so.

    Example: mp_perception adapt my_bag --out my_camera
    """
    # Threads of OpenMP that wait actively take the cores of other processes: a step then takes 6 times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from mp_perception.adaptation.adapting import AdaptationRequest
    from mp_perception.adaptation.adapting import adapt as run_adaptation
    from mp_perception.adaptation.sources import ImageFolders, open_source
    from mp_perception.bags.topic_choice import ChosenTopics
    from mp_perception.errors import UserError
    from mp_perception.inference.default_weights import find_checkpoint
    from mp_perception.progress import console

    folders = None
    if images is not None or depth is not None or intrinsics is not None:
        if images is None or depth is None or intrinsics is None:
            raise UserError("adapt: expected --images, --depth and --intrinsics together")
        folders = ImageFolders(images, depth, intrinsics, depth_units)
    topics = ChosenTopics(
        image=image_topic or "", camera_info=camera_info_topic, depth=depth_topic, points=points_topic
    )
    paths = [path.resolve() for path in recordings or []]
    request = AdaptationRequest(
        weights=find_checkpoint(*split_weights(weights)).resolve(),
        source={"recordings": paths, "folders": folders and vars(folders), "topics": vars(topics)},
        max_frames=max_frames,
        num_samples=samples,
        seed=seed,
        int8=int8,
    )
    better = run_adaptation(request, open_source(paths, topics, folders), out, command_line())
    console.print(f"weights: {out / 'weights.onnx'}\nreport: {out / 'report.html'}")
    if not better:
        raise typer.Exit(NOT_BETTER)
