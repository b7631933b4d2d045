"""`mp_perception synthetic`: synthetic scenes with exact depth, boxes and sky, in KITTI's layouts."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mp_perception.commands import options


class Layout(StrEnum):
    """How the data are arranged on disk."""

    raw = "raw"
    object = "object"


def synthetic(
    out: Annotated[Path, typer.Argument(help="Folder to write. It must not exist, or be empty.")],
    layout: Annotated[
        Layout, typer.Option(help="raw: one drive at 10 Hz. object: each frame shows another street, for training.")
    ] = Layout.raw,
    frames: Annotated[int, typer.Option(min=1, max=100_000, help="Number of frames.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 1,
    size: Annotated[
        str, typer.Option(help="Image size WIDTHxHEIGHT, pixels, with KITTI's field of view.")
    ] = "1242x375",
    workers: options.Workers = 0,
) -> None:
    """Render synthetic street scenes with exact depth, boxes, sky masks and point clouds.

    The scenes show cars, vans, pedestrians and cyclists between houses and trees, in sun, clouds and fog, through
    KITTI's camera.

    raw writes OUT/2026_01_01/ (calibration, 2026_01_01_drive_NNNN_sync with image_02, velodyne_points, label_02 and
    sky_02) and OUT/depth/train/<drive>/proj_depth (16-bit PNG, metres x 256). object writes OUT/training/ (image_2,
    label_2, calib, velodyne, depth_2, sky_2) and OUT/ImageSets/train.txt. Sky masks are 1-bit PNG, white for sky.

    Example: mp_perception synthetic street --frames 60
    """
    from mp_perception.machine import available_cores
    from mp_perception.progress import console
    from mp_perception.synthetic.drive import write_object_set, write_raw_drive
    from mp_perception.synthetic.sensors import camera_of_size

    camera = camera_of_size(*_width_and_height(size))
    write = write_raw_drive if layout is Layout.raw else write_object_set
    folder = write(out, frames, seed, camera, workers or available_cores())
    console.print(f"{folder}: {frames} frames")


def _width_and_height(size: str) -> tuple[int, int]:
    from mp_perception.errors import UserError

    width, separator, height = size.lower().partition("x")
    if not (separator and width.isdecimal() and height.isdecimal()):
        raise UserError(f"--size {size}: expected WIDTHxHEIGHT, for example 1242x375")
    if len(size) > 11 or min(int(width), int(height)) < 32 or int(width) * int(height) > 2_100_000:
        raise UserError(f"--size {size}: expected at least 32 pixels each way and at most 1920x1080 in all")
    return int(width), int(height)
