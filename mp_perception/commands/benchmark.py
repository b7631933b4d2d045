"""`mp_perception benchmark`: how fast everything is, as ratios that anyone can measure again."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Section(StrEnum):
    """What to measure."""

    runtimes = "runtimes"
    sharing = "sharing"
    networks = "networks"
    peers = "peers"
    growth = "growth"
    training = "training"
    node = "node"


class Precision(StrEnum):
    """Arithmetic of the node: what it takes for the model in float32 that the benchmark makes."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


def benchmark(
    sections: Annotated[list[Section] | None, typer.Argument(help="What to measure; all without.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="A checkpoint (.safetensors); default: the package's own for MobileNetV2.")
    ] = None,
    rounds: Annotated[
        int, typer.Option(min=1, max=10_000, help="Rounds of each comparison; everybody runs once in each.")
    ] = 20,
    threads: Annotated[
        list[int] | None,
        typer.Option(min=1, max=256, help="Threads to compare networks with, may be repeated; default: 1 and 2."),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(min=1, max=3600, help="Seconds of images through the node, alone and beside a busy process."),
    ] = 20.0,
    rate: Annotated[float, typer.Option(min=1, max=1000, help="Images per second of the node's camera.")] = 30.0,
    node_precision: Annotated[
        Precision, typer.Option(help="Arithmetic of the node's network; auto: the node's own choice.")
    ] = Precision.auto,
    with_compile: Annotated[
        bool,
        typer.Option("--with-compile", help="Let torch.compile take part: a minute to start, needs a C++ compiler."),
    ] = False,
    json: Annotated[Path | None, typer.Option(help="Write all figures to this file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw them: NAME.png or NAME.svg.")] = None,
) -> None:
    """Measure how fast networks, runtimes and the node are on this machine. Prints Markdown; takes some minutes.

    runtimes: PyTorch, ONNX Runtime, OpenVINO in fp32, bf16 and int8, beside the arithmetic limit: the network's
    operations at the rate at which this machine multiplies matrices, measured in the same rounds.

    sharing: one network with two branches against two networks, in time and memory.

    networks: backbones, input sizes, images at a time, and which part has the operations.

    peers: yolo11n (pip install ultralytics), SSDLite, Faster R-CNN, each with a depth network beside it.

    growth: whole frames by size of the camera's image and by number of objects.

    training: samples per second of the loader and of the training step.

    node: camera, node and listener over DDS, with the node's own number of threads: latency by stage, age, images lost,
    processor, memory.

    Every competitor runs in a process of its own, in lock-step, A B C A B C. A ratio is the median over the rounds of
    the ratio within a round, so it holds on a machine that is not quiet; times do not. Other load hardly moves
    processor time.

    Example: mp_perception benchmark

    Example: mp_perception benchmark runtimes peers --rounds 100 --json figures.json --plot figures.png
    """
    import tempfile

    from mp_perception.benchmark.charts import SectionResult
    from mp_perception.benchmark.conditions import Conditions
    from mp_perception.benchmark.plots import check_picture_name, write_plot
    from mp_perception.benchmark.run import machine, run_sections, to_json
    from mp_perception.errors import UserError
    from mp_perception.files import write_atomically
    from mp_perception.inference.default_weights import default_checkpoint
    from mp_perception.model.checkpoint_description import BACKBONE_NAMES
    from mp_perception.progress import console, error_console

    checkpoint = weights or default_checkpoint(BACKBONE_NAMES[0])
    if checkpoint is None or checkpoint.suffix != ".safetensors" or not checkpoint.is_file():
        raise UserError(f"{checkpoint}: expected a checkpoint (.safetensors) that is there")
    if plot is not None:
        check_picture_name(plot)
    for path in (json, plot):
        if path is not None and not path.absolute().parent.is_dir():
            raise UserError(f"{path}: expected a folder that is there for it")
    names = list(dict.fromkeys(section.value for section in sections or Section))
    about = machine()
    caption = (
        f"{about['processor']}, {about['cores']} cores, load {about['load, 1 min']:g} before, {rounds} rounds; "
        + ", ".join(f"{library} {found}" for library, found in about["libraries"].items())
    )

    def report(name: str, result: SectionResult) -> None:
        for table in result.tables:
            console.print(table.to_markdown(), soft_wrap=True)
            console.print()
        error_console.print(f"{names.index(name) + 1} of {len(names)} done: {name}", style="dim")

    console.print(f"{caption}.\n", soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="mp_perception_benchmark_") as folder:
        conditions = Conditions(
            checkpoint=checkpoint,
            folder=Path(folder),
            rounds=rounds,
            threads=tuple(dict.fromkeys(threads or (1, 2))),
            with_compile=with_compile,
            seconds=seconds,
            rate=rate,
            node_precision=node_precision.value,
        )
        results = run_sections(names, conditions, report)
    if json is not None:
        write_atomically(json, to_json(results, conditions, about))
    if plot is not None:
        write_plot(plot, [chart for result in results.values() for chart in result.charts], caption)
