"""`mp_perception export`: write a checkpoint as a model that runs faster and without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mp_perception.commands import options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.table import Table

    from mp_perception.data.frame_sets import FrameSet
    from mp_perception.inference.export.difference import Comparison


class ModelPrecision(StrEnum):
    """Arithmetic of the exported model."""

    fp32 = "fp32"
    fp16 = "fp16"
    int8 = "int8"


def export(
    out: Annotated[
        Path, typer.Argument(help="Model to write: NAME.onnx (ONNX) or NAME.xml (OpenVINO, with NAME.bin).")
    ],
    weights: options.Checkpoint = "mobilenet_v2",
    precision: Annotated[
        ModelPrecision,
        typer.Option(help="fp32; fp16: half the size, for GPUs; int8: a quarter of the size, needs --dataset."),
    ] = ModelPrecision.fp32,
    dataset: Annotated[
        str | None, typer.Option(help="Data set for calibration and comparison; names as in `evaluate`.")
    ] = None,
    root: options.DatasetRoot = None,
    split: Annotated[str | None, typer.Option(help="Split of these frames; default: all images.")] = None,
    frames: Annotated[
        int, typer.Option(min=1, max=10_000, help="Maximum number of frames, evenly distributed over the split.")
    ] = 100,
    validation_split: Annotated[
        str | None, typer.Option(help="Split on which the accuracy of the checkpoint and of the model is evaluated.")
    ] = None,
) -> None:
    """Write a checkpoint as an ONNX or OpenVINO model, which runs up to six times as fast on a CPU, without PyTorch.

    The model is compared with PyTorch on frames of the data set, or on synthetic scenes; a model that differs too much
    is not written. The model contains its description, so predict, evaluate and the node accept it as weights. For
    int8, calibrate with frames that are similar to those in use, and evaluate the loss of accuracy on other frames.

    Example: mp_perception export fast.onnx

    Example: mp_perception export fast_int8.xml --precision int8 --dataset kitti-object --root kitti/object
    --split train --validation-split val
    """
    from mp_perception.data.data_sets import open_data_set
    from mp_perception.errors import UserError
    from mp_perception.inference.default_weights import find_checkpoint
    from mp_perception.progress import console

    if (dataset is None) != (root is None):
        raise UserError("export: expected --dataset and --root together, found one of them")
    if dataset is None and (precision == ModelPrecision.int8 or validation_split is not None):
        raise UserError("export: expected --dataset and --root for --precision int8 and --validation-split")
    checkpoint = find_checkpoint(*options.split_weights(weights))
    data_set = validation = None
    if dataset is not None and root is not None:
        data_set = open_data_set(dataset, root, split)
        if validation_split is not None:
            validation = open_data_set(dataset, root, validation_split)

    from mp_perception.inference.export.exporter import export_model

    def make_frames(size: tuple[int, int]) -> Sequence[NDArray[np.uint8]]:
        return _synthetic_frames(size) if data_set is None else _frames_of(data_set, frames, size)

    comparisons = export_model(checkpoint, out, precision.value, make_frames)
    files = [out, out.with_suffix(".bin")] if out.suffix == ".xml" else [out]
    size = sum(file.stat().st_size for file in files)
    console.print(f"{out}: {precision.value}, {size / 1e6:.1f} MB")
    console.print(_difference_table(comparisons), soft_wrap=False)
    if validation is not None:
        console.print(_accuracy_table(checkpoint, out, validation), soft_wrap=False)


def _frames_of(data_set: FrameSet, count: int, size: tuple[int, int]) -> list[NDArray[np.uint8]]:
    """Images of a data set, evenly distributed over it, as network inputs with about the pixels of `size`."""
    import numpy as np

    from mp_perception.inference.preprocess import Preprocessor, fit_input_size
    from mp_perception.progress import track

    indices = np.unique(np.linspace(0, len(data_set) - 1, min(count, len(data_set))).astype(int)).tolist()
    frames = []
    for index in track(indices, "read frames"):
        image = data_set[index].image
        fitting = fit_input_size((image.shape[0], image.shape[1]), size[0] * size[1])
        frames.append(Preprocessor(fitting)(image)[0][0])
    return frames


def _synthetic_frames(size: tuple[int, int]) -> list[NDArray[np.uint8]]:
    """Synthetic scenes as the network's input of this size, and as that of cameras of 4:3 and 16:9."""
    from mp_perception.inference.preprocess import fit_input_size
    from mp_perception.progress import track
    from mp_perception.synthetic.render import render
    from mp_perception.synthetic.sensors import camera_of_size
    from mp_perception.synthetic.streets import random_scene

    sizes = [size, *(fit_input_size(camera, size[0] * size[1]) for camera in ((480, 640), (720, 1280)))]
    return [
        render(random_scene(seed), camera_of_size(width, height)).image
        for seed, (height, width) in enumerate(track(sizes, "render scenes"))
    ]


def _difference_table(comparisons: Mapping[str, Comparison]) -> Table:
    from rich.table import Table

    table = Table(title="Differences from PyTorch: maximum (mean)")
    for column in ("runtime", "class logits", "box offsets", "depth, relative"):
        table.add_column(column)
    for runtime, comparison in comparisons.items():
        table.add_row(runtime, *(f"{maximum:.2g} ({mean:.2g})" for maximum, mean in zip(*comparison, strict=True)))
    return table


def _accuracy_table(checkpoint: Path, out: Path, data_set: FrameSet) -> Table:
    """Accuracy of the checkpoint and of the model, and the change."""
    from rich.table import Table

    from mp_perception.evaluation.figures import headline_figures
    from mp_perception.evaluation.scoring import evaluate
    from mp_perception.inference.predictor import Predictor
    from mp_perception.progress import track

    before = Predictor.load(weights=checkpoint, device="cpu")
    after = Predictor.load(weights=out, device="cpu")
    figures = []
    for predictor, title in ((before, "evaluate checkpoint"), (after, "evaluate model")):
        indices = track(range(len(data_set)), title)
        figures.append(headline_figures(evaluate(predictor, data_set, indices=indices)))
    table = Table(
        title=f"Accuracy on {len(data_set)} images (AP40 moderate, d1: higher is better; rmse in metres: lower)"
    )
    for column in ("figure", "checkpoint", f"model ({after.runtime.name}, {after.runtime.precision})", "change"):
        table.add_column(column)
    for name, value in figures[0].items():
        table.add_row(name, f"{value:.4f}", f"{figures[1][name]:.4f}", f"{figures[1][name] - value:+.4f}")
    return table
