"""`mp_perception benchmark`: how fast the runtimes, other networks and the node are on this machine."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mp_perception.commands import options


class Section(StrEnum):
    """What to measure."""

    runtimes = "runtimes"
    peers = "peers"
    node = "node"


class NodePrecision(StrEnum):
    """Arithmetic of the node: the choices for the fp32 model that the benchmark exports."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


def benchmark(
    sections: Annotated[list[Section] | None, typer.Argument(help="What to measure; default: all sections.")] = None,
    weights: options.Checkpoint = "mobilenet_v2",
    rounds: Annotated[
        int, typer.Option(min=1, max=10_000, help="runtimes, peers: rounds; each competitor runs once per round.")
    ] = 20,
    threads: Annotated[
        list[int] | None,
        typer.Option(
            min=1, max=256, help="runtimes, peers: CPU threads. Repeat it for several tables. Default: 1 and 2."
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=1, max=3600, help="node: seconds alone, and seconds beside a busy process.")
    ] = 20.0,
    rate: Annotated[float, typer.Option(min=1, max=1000, help="node: images per second of the camera.")] = 30.0,
    node_precision: Annotated[
        NodePrecision, typer.Option(help="node: arithmetic of the network; auto is the node's own choice.")
    ] = NodePrecision.auto,
    json: options.JsonFile = None,
) -> None:
    """Measure how fast the network and the node are on this machine. Takes some minutes and prints Markdown tables.

    runtimes: one image in PyTorch, ONNX Runtime and OpenVINO, in fp32, bf16 and int8.

    peers: one shared network against separate networks for detection and depth: our own two branches, and SSDLite,
    yolo11n (pip install ultralytics) and a FastDepth-like network, in fp32, each in its faster runtime.

    node: a camera, the real node and a listener over DDS: latency by stage, age of the detections, lost images,
    processor time and memory, alone and beside a busy process.

    How to read the tables: in runtimes and peers each competitor runs in its own process, and all take turns, A B C A
    B C. A ratio is the median over the rounds of the ratio within a round, with its 10th and 90th percentile; it is
    reproducible on a busy machine, while times are not. Processor time adds up all threads and depends least on other
    load.

    Example: mp_perception benchmark

    Example: mp_perception benchmark runtimes peers --rounds 100 --threads 1 --json figures.json
    """
    import tempfile

    from mp_perception.benchmark.networks.model_files import ModelFiles
    from mp_perception.benchmark.report import Settings, describe_machine, machine_line, measure_section, to_json
    from mp_perception.benchmark.tables import Table
    from mp_perception.files import check_can_be_written, write_atomically
    from mp_perception.inference.default_weights import find_checkpoint
    from mp_perception.progress import console

    checkpoint = find_checkpoint(*options.split_weights(weights))
    if json is not None:
        check_can_be_written(json)
    settings = Settings(rounds, tuple(dict.fromkeys(threads or (1, 2))), seconds, rate, node_precision.value)
    machine = describe_machine()
    console.print(f"{machine_line(machine)}\n")
    results: dict[str, list[Table]] = {}
    with tempfile.TemporaryDirectory(prefix="mp_perception_benchmark_") as folder:
        models = ModelFiles(checkpoint, Path(folder))
        for section in dict.fromkeys(sections or Section):
            results[section.value] = []
            for table in measure_section(section.value, models, settings):
                console.print(f"{table.to_markdown()}\n")
                results[section.value].append(table)
    if json is not None:
        write_atomically(json, to_json(machine, checkpoint.name, settings, results))
