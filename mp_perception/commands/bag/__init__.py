"""`mp_perception bag ...`: make bags, look into them, evaluate on them, show them; a file per group of commands."""

from __future__ import annotations

import typer

from mp_perception.commands.bag import evaluate, info, making, render, replay_evaluate

app = typer.Typer(
    help="Make rosbag2 recordings with ground truth, look into any rosbag2, evaluate on it, show it.",
    no_args_is_help=True,
)
app.command("from-kitti-raw")(making.from_kitti_raw)
app.command("from-kitti-object")(making.from_kitti_object)
app.command("from-kitti-tracking")(making.from_kitti_tracking)
app.command("from-synthetic")(making.from_synthetic)
app.command("info")(info.info)
app.command("evaluate")(evaluate.evaluate)
app.command("render")(render.render)
app.command("replay-evaluate")(replay_evaluate.replay_evaluate)
