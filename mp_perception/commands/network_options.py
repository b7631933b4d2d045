"""Options that the commands with a network share: which weights, and what runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Weights = Annotated[
    str, typer.Option(help="Weights (.safetensors, exported .onnx or .xml), or a backbone for its default ones.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
RuntimeName = Annotated[
    str, typer.Option(help="What executes the network: auto, openvino, onnxruntime or torch; auto: by weights file.")
]
PrecisionName = Annotated[str, typer.Option(help="Arithmetic of the network: auto, fp32, bf16, fp16 or int8.")]
NumThreads = Annotated[int, typer.Option(min=0, max=256, help="CPU threads; 0: all cores but one.")]


def split_weights(weights: str) -> tuple[str | None, Path | None]:
    """What --weights names: (backbone, None), or (None, file) where the file decides the backbone."""
    from mp_perception.model.checkpoint_description import backbone_names

    return (weights, None) if weights in backbone_names() else (None, Path(weights))
