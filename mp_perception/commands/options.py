"""Options that several commands share, so that each name and help text exists once."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

# The network: which weights, and what runs them.
Weights = Annotated[
    str, typer.Option(help="Weights file (.safetensors, .onnx or .xml), or the name of weights that ship.")
]
Checkpoint = Annotated[str, typer.Option(help="Checkpoint (.safetensors), or the name of weights that ship.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
RuntimeName = Annotated[
    str, typer.Option(help="Inference engine: auto, openvino, onnxruntime or torch; auto: chosen by the weights file.")
]
PrecisionName = Annotated[str, typer.Option(help="Arithmetic of the network: auto, fp32, bf16, fp16 or int8.")]
NumThreads = Annotated[
    int, typer.Option(min=0, max=256, help="CPU threads of each process; 0: all cores but one, which stays free.")
]
InputSize = Annotated[
    tuple[int, int] | None,
    typer.Option(help="HEIGHT WIDTH of the network's input, multiples of 32; default: what fits each image best."),
]
InputPixels = Annotated[
    int | None,
    typer.Option(metavar="N", help="Number of pixels of an input that fits the image; default: the checkpoint's."),
]
ScoreThreshold = Annotated[
    float | None, typer.Option(min=0, max=1, help="Minimum score of a detection; default: the checkpoint's threshold.")
]

# The data set.
DatasetName = Annotated[
    str | None, typer.Option(help="Name of a data set format: kitti-object, kitti-raw, coco, synthetic, ...")
]
DatasetRoot = Annotated[Path | None, typer.Option(help="Folder of the data set.")]
Split = Annotated[str | None, typer.Option(help="Split file, or its name in ROOT/ImageSets; default: all images.")]

# A bag.
Bag = Annotated[Path, typer.Argument(help="Folder of a rosbag2, or its .mcap or .db3 file.")]
Recorded = Annotated[
    bool, typer.Option("--recorded", help="Use the node's outputs that the bag contains; no network runs.")
]
Topic = Annotated[str | None, typer.Option(metavar="TOPIC", help="Detected automatically by default.")]

# Results.
JsonFile = Annotated[Path | None, typer.Option(help="Write all figures to this JSON file.")]
ReportFile = Annotated[Path | None, typer.Option(help="Write everything to one self-contained HTML page.")]
PlotsFolder = Annotated[Path | None, typer.Option(help="New folder for curves, best and worst frames.")]
Resamples = Annotated[
    int, typer.Option(min=0, max=100_000, help="Bootstrap resamples for intervals of average precision; 0: none.")
]
Tracking = Annotated[
    bool,
    typer.Option("--tracking", help="Also follow objects from frame to frame, and score identity and velocity."),
]

# Parallel work.
Workers = Annotated[int, typer.Option(min=0, max=256, help="Number of processes; 0: one per core.")]
Processes = Annotated[int, typer.Option(min=1, max=256, help="Processes on this machine.")]
Cluster = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Address of a dask scheduler whose workers do the work.")
]


def command_line() -> str:
    """The command as the user called it, for reports."""
    return shlex.join(["mp_perception", *sys.argv[1:]])


def split_weights(weights: str) -> tuple[str | None, Path | None]:
    """What --weights names: (backbone, None), or (None, file or name of weights that ship, which has its backbone)."""
    from mp_perception.model.checkpoint_description import backbone_names

    return (weights, None) if weights in backbone_names() else (None, Path(weights))
