"""`mp_perception data`: depth maps from laser scans, and filled ones from sparse ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Prepare depth maps for training.", no_args_is_help=True)

Workers = Annotated[int, typer.Option(min=0, max=256, help="Processes; 0: as many as there are cores.")]


@app.command("complete-depth")
def complete_depth(
    root: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    out: Annotated[Path, typer.Argument(help="Folder of the filled maps; files in it are not made again.")],
    dataset: Annotated[str, typer.Option(help="Name of the data set, such as kitti-object or kitti-depth.")],
    split: Annotated[str | None, typer.Option(help="Split file or name; all frames without it.")] = None,
    workers: Workers = 0,
) -> None:
    """Fill sparse depth maps by colourisation: each unknown pixel takes its neighbours' depth, weighted by likeness.

    Writes OUT/<name of the frame>.png (16 bit, metres x 256) for every frame that has a depth map. Known pixels stay
    exactly as they are. A run that was stopped goes on where it ended.

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
    console.print(f"{out}: {made} maps filled, {len(tasks) - made} were there", soft_wrap=True)


@app.command("project-lidar")
def project_lidar(
    drives: Annotated[list[Path], typer.Argument(help="Raw drives, e.g. 2011_09_26/2011_09_26_drive_0005_sync.")],
    out: Annotated[Path, typer.Option(help="Folder of the depth data; files in it are not made again.")],
    workers: Workers = 0,
) -> None:
    """Project the laser scans of KITTI raw drives into their images, as KITTI's own depth data.

    Writes OUT/train/<drive>/proj_depth/velodyne_raw/image_02/NNNNNNNNNN.png (val for KITTI's validation drives;
    image_03 too, where the drive has it): 16 bit, metres x 256, the nearest point wins.

    Example: mp_perception data project-lidar raw/2011_09_26/2011_09_26_drive_0005_sync --out depth
    """
    from mp_perception.data.kitti.projected_scans import projection_tasks
    from mp_perception.data.kitti.raw import RawDrive
    from mp_perception.data.parallel_files import make_missing
    from mp_perception.machine import available_cores
    from mp_perception.progress import console

    tasks = {path: task for drive in drives for path, task in projection_tasks(RawDrive(drive), out).items()}
    made = make_missing(tasks, workers or available_cores(), "projecting")
    console.print(f"{out}: {made} maps written, {len(tasks) - made} were there", soft_wrap=True)
