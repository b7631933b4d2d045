"""`mp_perception bag ...`: create, inspect, evaluate and render bags; one file per group of commands."""

from __future__ import annotations

import typer

from mp_perception.commands.bag import evaluate, info, making, render, replay_evaluate

app = typer.Typer(
    help="Create rosbag2 recordings with ground truth; inspect, evaluate and render any rosbag2.",
    no_args_is_help=True,
)
app.command("from-kitti-raw")(making.from_kitti_raw)
app.command("from-kitti-object")(making.from_kitti_object)
app.command("from-kitti-tracking")(making.from_kitti_tracking)
app.command("from-synthetic")(making.from_synthetic)
app.command("from-recording")(making.from_recording)
app.command("info")(info.info)
app.command("evaluate")(evaluate.evaluate)
app.command("render")(render.render)
app.command("replay-evaluate")(replay_evaluate.replay_evaluate)
