"""`mp_perception train`: train a network on data sets and write its weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def train(
    context: typer.Context,
    config: Annotated[Path, typer.Option(help="Configuration (YAML), such as config/train/kitti_mobilenet_v2.yaml.")],
    out: Annotated[Path, typer.Option(help="Folder for weights and logs.")] = Path("training"),
    data_root: Annotated[
        Path, typer.Option(help="Folder to which relative paths in the configuration refer.")
    ] = Path(),
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted training in OUT.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Train a network on one or more data sets, each of which may label only boxes, only depth, or some classes.

    Writes to OUT: best.safetensors and last.safetensors (for predict, evaluate and the node), validation.jsonl (one
    line of figures per epoch), curve.png, last.ckpt (for --resume) and tensorboard/.

    Any value of the configuration can be overridden: --optimisation.epochs=10 --data.batch_size=4

    Example: mp_perception train --config config/train/kitti_mobilenet_v2.yaml --data-root ../data

    Several processes: torchrun --nproc_per_node=2 -m mp_perception.commands.main train --config ...
    """
    # Threads of OpenMP that wait actively take the cores of other processes: a step then takes 6 times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from mp_perception.errors import UserError
    from mp_perception.progress import console
    from mp_perception.training.configuration import read_configuration
    from mp_perception.training.trainer import train as run_training

    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"unknown device '{device}': expected auto, cpu or cuda")
    configuration = read_configuration(config, context.args)
    run_training(configuration, data_root, out, resume, device)
    name = "best.safetensors" if configuration.data.validation else "last.safetensors"
    console.print(f"weights: {out / name}")
