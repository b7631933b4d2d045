"""`mp_perception data complete-depth` and `project-lidar`: filled depth maps from sparse ones, and maps from scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mp_perception.commands import options


def complete_depth(
    root: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    out: Annotated[Path, typer.Argument(help="Folder for the filled maps; existing files are kept.")],
    dataset: Annotated[str, typer.Option(help="Name of the data set, such as kitti-object or kitti-depth.")],
    split: options.Split = None,
    workers: options.Workers = 0,
) -> None:
    """Fill sparse depth maps by colourisation: each unknown pixel gets the depth of neighbours of similar brightness.

    Writes OUT/<name of the frame>.png (16 bit, metres x 256) for every frame with a depth map. Known pixels do not
    change. Run it again to continue an interrupted run.

    Example: mp_perception data complete-depth kitti/object filled --dataset kitti-object --split train
    """
    from functools import partial

    from mp_perception.data.data_sets import open_data_set
    from mp_perception.data.depth_completion import complete_depth_file
    from mp_perception.data.parallel_files import make_missing
    from mp_perception.errors import UserError
    from mp_perception.machine import available_cores
    from mp_perception.progress import console

    tasks = {}
    for frame in open_data_set(dataset, root, split).frames:
        if frame.depth is not None:
            target = out / f"{frame.name}.png"
            tasks[target] = partial(complete_depth_file, frame.image, frame.depth, target)
    if not tasks:
        raise UserError(f"{root}: expected frames with depth maps, found none")
    made = make_missing(tasks, workers or available_cores(), "filling")
    console.print(f"{out}: {made} maps filled, {len(tasks) - made} existed already")


def project_lidar(
    drives: Annotated[list[Path], typer.Argument(help="Raw drives, e.g. 2011_09_26/2011_09_26_drive_0005_sync.")],
    out: Annotated[Path, typer.Option(help="Folder for the depth data; existing files are kept.")],
    workers: options.Workers = 0,
) -> None:
    """Project the lidar scans of KITTI raw drives into their images, in the layout of KITTI's depth data.

    Writes OUT/train/<drive>/proj_depth/velodyne_raw/image_02/NNNNNNNNNN.png (val for KITTI's validation drives;
    also image_03, if the drive has it): 16 bit, metres x 256, the nearest point per pixel.

    Example: mp_perception data project-lidar raw/2011_09_26/2011_09_26_drive_0005_sync --out depth
    """
    from mp_perception.data.kitti.projected_scans import projection_tasks
    from mp_perception.data.kitti.raw import RawDrive
    from mp_perception.data.parallel_files import make_missing
    from mp_perception.machine import available_cores
    from mp_perception.progress import console

    tasks = {path: task for drive in drives for path, task in projection_tasks(RawDrive(drive), out).items()}
    made = make_missing(tasks, workers or available_cores(), "projecting")
    console.print(f"{out}: {made} maps written, {len(tasks) - made} existed already")
