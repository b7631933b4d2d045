"""`mp_perception data ...`: prepare data for training; one file per group of commands."""

from __future__ import annotations

import typer

from mp_perception.commands.data import check, depth_maps, from_bag, teach

app = typer.Typer(help="Prepare data for training.", no_args_is_help=True)
app.command("from-bag")(from_bag.from_bag)
app.command("check")(check.check)
app.command("complete-depth")(depth_maps.complete_depth)
app.command("project-lidar")(depth_maps.project_lidar)
app.add_typer(teach.app, name="teach")
