"""How cost grows with the backbone, the input's size and the number of images at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from mp_perception.benchmark.charts import Lines, SectionResult
from mp_perception.benchmark.conditions import Conditions
from mp_perception.benchmark.engines import ENGINES, run_files
from mp_perception.benchmark.interleaved import Competitor, measure
from mp_perception.benchmark.measurement import Measurement, spread
from mp_perception.benchmark.networks.exporting import export_network
from mp_perception.benchmark.networks.flops import count_gflop
from mp_perception.benchmark.tables import Cell, Table, measured_row
from mp_perception.model.checkpoint_description import BACKBONE_NAMES, INPUT_SIZE_MULTIPLE, CheckpointDescription
from mp_perception.network.checkpoint import read_checkpoint
from mp_perception.network.multitask import MultiTaskNetwork, describe_network

#: Input sizes, in multiples of the checkpoint's sides.
_SCALES = (0.5, 1.0, 1.5)
_BATCHES = (1, 2, 4)


def compare_networks(conditions: Conditions) -> SectionResult:
    """Backbones and input sizes in the first engine, batches in both."""
    parts, networks = _operations(conditions), _compare_sizes(conditions)
    sizes = [row for row in networks.rows if row["network"] == conditions.description.backbone]
    points = sorted((float(row["megapixels"] or 0), float(row["processor, ms"] or 0)) for row in sizes)
    line = [x for x, _ in points], [y for _, y in points]
    chart = Lines(
        "Input size", "megapixels", "processor time of one image, ms", {conditions.description.backbone: line}
    )
    batches, batch_chart = _compare_batches(conditions)
    return SectionResult([parts, networks, batches], [chart, batch_chart])


def _operations(conditions: Conditions) -> Table:
    counts = count_gflop(read_checkpoint(conditions.checkpoint), conditions.description.input_size)
    whole = counts.pop("")
    rows: list[dict[str, Cell]] = [
        {"part": part, "GFLOP": count, "share": count / whole} for part, count in counts.items()
    ]
    return Table("Where the operations are", rows)


def _compare_sizes(conditions: Conditions) -> Table:
    files: dict[str, tuple[CheckpointDescription, float, Path]] = {}
    for name, description in _descriptions(conditions):
        is_default = description == conditions.description
        network = MultiTaskNetwork(description).eval()
        path = (
            conditions.exported
            if is_default
            else export_network(network, conditions.folder / f"network{len(files)}.onnx")
        )
        files[name] = (description, count_gflop(network, description.input_size)[""], path)
    threads = conditions.threads[0]
    competitors = [Competitor(name, partial(run_files, [file[2]], ENGINES[0], threads)) for name, file in files.items()]
    measured = measure("networks", competitors, conditions.rounds)
    rows = []
    for result in measured:
        description, gflop, _ = files[result.name]
        height, width = description.input_size
        row = measured_row("network", result, replace(measured[0], name="the first"))
        del row["network"]
        rows.append(
            {
                "network": result.name.partition(",")[0],
                "input": f"{width}x{height}",
                "megapixels": width * height / 1e6,
                "GFLOP": gflop,
                **row,
                "GFLOP/s": gflop / spread(result.processor_ms).median * 1e3,
            }
        )
    return Table(f"Networks, {ENGINES[0]} fp32, threads: {threads}", rows)


def _descriptions(conditions: Conditions) -> Iterator[tuple[str, CheckpointDescription]]:
    """The checkpoint's network in its own size first, then others; names tell backbone and size apart."""
    ours = conditions.description
    scaled = [_scaled(ours.input_size, scale) for scale in _SCALES]
    for size in [ours.input_size, *(size for size in scaled if size != ours.input_size)]:
        yield f"{ours.backbone}, {size}", replace(ours, input_size=size)
    for backbone in BACKBONE_NAMES:
        # The paper's networks.
        description = describe_network(backbone, "deconvolution", "plain", input_size=ours.input_size)
        yield f"{backbone} as in the paper, {ours.input_size}", description


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    height, width = (max(1, round(side * scale / INPUT_SIZE_MULTIPLE)) * INPUT_SIZE_MULTIPLE for side in size)
    return height, width


def _compare_batches(conditions: Conditions) -> tuple[Table, Lines]:
    threads = conditions.threads[-1]
    competitors = [
        Competitor(f"{engine}, {batch}", partial(run_files, [conditions.exported], engine, threads, batch))
        for engine in ENGINES
        for batch in _BATCHES
    ]
    measured = measure("batches", competitors, conditions.rounds)
    rows = []
    for result in measured:
        engine, _, batch = result.name.partition(", ")
        per_image = result.scaled(result.name, 1 / int(batch))
        row = measured_row("engine", per_image, replace(measured[0], name="a batch of 1"))
        del row["engine"]
        rows.append({"engine": engine, "images at a time": int(batch), **row})
    title = f"Images at a time, fp32, threads: {threads}; times are of one image"
    return Table(title, rows), Lines(
        "Images at a time",
        "images in one run",
        "processor time of one image, ms",
        {engine: _points(measured, engine) for engine in ENGINES},
    )


def _points(measured: Sequence[Measurement], engine: str) -> tuple[list[float], list[float]]:
    own = [m for m in measured if m.name.startswith(engine)]
    sizes = [float(m.name.partition(", ")[2]) for m in own]
    return sizes, [spread(m.processor_ms).median / size for m, size in zip(own, sizes, strict=True)]
