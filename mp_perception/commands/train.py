"""`mp_perception train`: KITTI folders (or your own) into weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    context: typer.Context,
    config: Annotated[Path, typer.Option(help="Configuration (YAML), such as config/train/kitti_mobilenet_v2.yaml.")],
    out: Annotated[Path, typer.Option(help="Folder for weights and logs.")] = Path("training"),
    data_root: Annotated[
        Path, typer.Option(help="Folder that the data sets' folders in the configuration start from.")
    ] = Path(),
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a stopped training in OUT ended.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Train the network on one or several data sets, each of which may label only boxes, only depth, or some classes.

    OUT gets best.safetensors and last.safetensors (for predict, evaluate and the node), validation.jsonl (a line of
    figures per epoch), last.ckpt (to resume from) and tensorboard/.

    Any value of the configuration can be changed behind the options: --optimisation.epochs=10 --data.batch_size=4

    On several processes: torchrun --nproc_per_node=2 -m mp_perception.commands.main train --config ...
    """
    from mp_perception.errors import UserError
    from mp_perception.progress import console
    from mp_perception.training.configuration import read_configuration
    from mp_perception.training.trainer import train as run_training

    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"unknown device '{device}': expected auto, cpu or cuda")
    configuration = read_configuration(config, context.args)
    run_training(configuration, data_root, out, resume, device)
    console.print(f"weights: {out / 'best.safetensors'}", soft_wrap=True, highlight=False)
