"""`mp_perception data teach ...`: labels for a training, made by other networks."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mp_perception.commands import options

app = typer.Typer(help="Label images by other networks (ONNX or OpenVINO models).", no_args_is_help=True)

ImageModel = Annotated[Path, typer.Argument(help="Model file (.onnx or .xml) with one input (N, 3, height, width).")]
Pixels = Annotated[str, typer.Option(help="The model's input: rgb-0-1, rgb-0-255, bgr-0-255 or imagenet.")]


class DepthKind(StrEnum):
    """What the numbers of a depth model are."""

    inverse = "inverse"
    metric = "metric"


@app.command()
def depth(
    model: ImageModel,
    dataset: Annotated[str, typer.Option(help="Name of the data set, such as kitti-object.")],
    root: Annotated[Path, typer.Option(help="Folder of the data set.")],
    out: Annotated[Path, typer.Option(help="Folder for the depth maps; existing files are kept.")],
    split: options.Split = None,
    kind: Annotated[
        DepthKind, typer.Option(help="inverse: inverse depth or disparity. metric: depth. Both up to scale and offset.")
    ] = DepthKind.inverse,
    pixels: Pixels = "rgb-0-1",
) -> None:
    """Write dense depth maps by a depth network, with the scale of each frame's lidar.

    Writes OUT/<name of the frame>.png (16 bit, metres x 256) for every frame that can be given metres. Where the lidar
    measured, its depth is kept; the sky is unknown if the data set has masks of it. Frames without lidar get the scale
    of the others if these agree, and otherwise that of their labelled objects. Run it again to continue an interrupted
    run. A source of a training uses the maps with depth: OUT.

    Example: mp_perception data teach depth teacher.onnx --dataset kitti-object --root kitti/object --out taught
    """
    import numpy as np

    from mp_perception.data.data_sets import open_data_set
    from mp_perception.progress import console
    from mp_perception.training.taught_depth import teach_depth
    from mp_perception.training.teachers import DepthTeacher

    taught = teach_depth(open_data_set(dataset, root, split), DepthTeacher(model, kind.value, pixels), out)
    slope, offset = taught.alignment.slope, taught.alignment.offset
    sources = ", ".join(f"{count} by {source}" for source, count in taught.written.most_common())
    lines = [
        f"{out}: {taught.written.total()} maps written{f' ({sources})' if sources else ''}, "
        f"{taught.existing} existed already, {taught.left_out} frames left out",
        f"1 / depth = {slope:.4g} x inverse depth of the model {'-' if offset < 0 else '+'} {abs(offset):.4g}",
    ]
    if len(taught.scales):
        low, median, high = np.percentile(taught.scales, [16, 50, 84])
        lines.append(
            f"scale of {len(taught.scales)} frames with lidar: {median:.3f} (68 % from {low:.3f} to {high:.3f})"
        )
    lines += [f"error against lidar, {name}: rel {rel:.3f}, d1 {d1:.3f}" for name, (rel, d1) in taught.errors.items()]
    for line in lines:
        console.print(line)


@app.command()
def labels(
    model: ImageModel,
    root: Annotated[Path, typer.Option(help="Folder of the images, or of the data set.")],
    out: Annotated[Path, typer.Option(help="Folder in which label/ is written; existing files are kept.")],
    classes: Annotated[
        list[str],
        typer.Option(
            "--class",
            metavar="NUMBER=CLASS[@SCORE][:LEFT,TOP,RIGHT,BOTTOM]",
            help="A class of the model by number, what it becomes, the minimum score of a label (default 0.5), and "
            "what is added to the edges of its boxes, in box heights. Repeat it for each class.",
        ),
    ],
    dataset: Annotated[
        str | None,
        typer.Option(help="Name of the data set, whose own labels are kept; default: ROOT is a folder of images."),
    ] = None,
    split: options.Split = None,
    min_ignored_score: Annotated[
        float, typer.Option(min=0, max=1, help="Minimum score of an ignored region (DontCare).")
    ] = 0.2,
    pixels: Pixels = "bgr-0-255",
) -> None:
    """Write labels by a detector for images that have none, or that lack some classes.

    Writes OUT/label/<name of the image>.txt in KITTI's columns, as the data set format people has them. The outputs of
    the model are (1, 1, N, 7), OpenVINO's DetectionOutput, or boxes with scores (N, 5) and classes (N).

    Example: mp_perception data teach labels teacher.xml --root video/image --out video --class 1=Pedestrian
    """
    from mp_perception.data.data_sets import open_data_set
    from mp_perception.data.frame_sets import FrameSet, find_frames, select_frames
    from mp_perception.progress import console
    from mp_perception.training.taught_labels import parse_taught_class, teach_labels
    from mp_perception.training.teachers import DetectionTeacher

    taught = dict(map(parse_taught_class, classes))
    if dataset is None:
        frames = FrameSet("images", select_frames(find_frames(root), root, split))
    else:
        frames = open_data_set(dataset, root, split)
    added = teach_labels(frames, DetectionTeacher(model, pixels), taught, out, min_ignored_score)
    counts = ", ".join(f"{count} {name}" for name, count in added.most_common()) or "no labels"
    console.print(f"{out / 'label'}: {len(frames)} files; added {counts}")
