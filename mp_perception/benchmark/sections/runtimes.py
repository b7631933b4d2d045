"""Every runtime and precision on the default network, beside what the machine could do at best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from mp_perception.benchmark.charts import Bars, SectionResult
from mp_perception.benchmark.conditions import Conditions
from mp_perception.benchmark.engines import ENGINES, run_files, run_runtime
from mp_perception.benchmark.interleaved import Competitor, measure
from mp_perception.benchmark.measurement import Measurement, fastest, ratio, spread
from mp_perception.benchmark.networks.eager import MATRIX_FLOPS, MATRIX_SIDE, Way, multiply_matrices, run_torch
from mp_perception.benchmark.networks.exporting import LAYER_MAP, write_layers, write_matrix_product
from mp_perception.benchmark.tables import Cell, Table, measured_row

#: Names that the tables look for.
EAGER, LIMIT = "eager", "arithmetic limit, fp32"
_PRODUCT = "matrix product"


def compare_runtimes(conditions: Conditions) -> SectionResult:
    """Times of one image per number of threads, and the rates that kinds of arithmetic reach."""
    files, gflop = _write_arithmetic(conditions)
    tables: list[Table] = []
    charts: list[Bars] = []
    rates: list[dict[str, Cell]] = []
    for threads in conditions.threads:
        competitors = _runtimes(conditions, threads)
        names = [competitor.name for competitor in competitors]
        competitors += [
            Competitor(f"{_PRODUCT}, PyTorch", partial(multiply_matrices, threads)),
            *(Competitor(name, partial(run_files, [file], ENGINES[0], threads)) for name, file in files.items()),
        ]
        measured = {m.name: m for m in measure(f"runtimes, {_threads(threads)}", competitors, conditions.rounds)}
        # Operations are counted alike, so a product takes as much longer as it has more of them.
        product = fastest([m for name, m in measured.items() if name.startswith(_PRODUCT)])
        limit = product.scaled(LIMIT, conditions.gflop * 1e9 / MATRIX_FLOPS)
        shown = [*(measured[name] for name in names), limit]
        tables.append(_runtime_table(conditions, threads, shown))
        charts.append(_runtime_chart(threads, shown))
        best = fastest([m for m in shown[:-1] if m.name.endswith("fp32") or m.name == EAGER])
        rates += [_rate_row(conditions, threads, measured[name], gflop[name], limit) for name in gflop]
        rates.append(
            _rate_row(conditions, threads, replace(best, name=f"network in {best.name}"), conditions.gflop, limit)
        )
    channels, height, width = LAYER_MAP
    note = (
        f"Processor time, times threads. Convolutions: {channels} channels, {width}x{height}, in {ENGINES[0]}, fp32. "
        "The limit is the network's operations at the rate of the faster matrix product. It is a yardstick, no bound: "
        "dense convolutions, whose weights stay in the nearest cache, can be faster."
    )
    return SectionResult([*tables, Table("Rates reached", rates, note)], charts)


def _write_arithmetic(conditions: Conditions) -> tuple[dict[str, Path], dict[str, float]]:
    """Files of single kinds of arithmetic by name, and 10^9 operations by name, PyTorch's matrix product with them."""
    names = (f"{_PRODUCT}, {ENGINES[0]}", "dense 3x3 convolutions", "depthwise 3x3 convolutions")
    files = {name: conditions.folder / f"arithmetic{number}.onnx" for number, name in enumerate(names)}
    product, dense, depthwise = files.values()
    write_matrix_product(product, MATRIX_SIDE)
    convolutions = (write_layers(dense, depthwise=False), write_layers(depthwise, depthwise=True))
    of_files = dict(zip(names, (MATRIX_FLOPS / 1e9, *convolutions), strict=True))
    return files, {f"{_PRODUCT}, PyTorch": MATRIX_FLOPS / 1e9, **of_files}


def _runtime_table(conditions: Conditions, threads: int, shown: Sequence[Measurement]) -> Table:
    """Eager, the reference, comes first."""
    height, width = conditions.description.input_size
    rows = [{**measured_row("runtime", m, shown[0]), "memory, MiB": m.memory_mib} for m in shown]
    return Table(f"Runtimes, {_threads(threads)}: one image of {width}x{height}, {conditions.gflop:.2f} GFLOP", rows)


def _runtime_chart(threads: int, shown: Sequence[Measurement]) -> Bars:
    return Bars(
        f"Runtimes, {_threads(threads)}",
        "processor time of one image, ms (median)",
        [m.name for m in shown],
        {"time": [spread(m.processor_ms).median for m in shown]},
        strong=[i for i, m in enumerate(shown) if m.name.startswith("OpenVINO")],
    )


def _runtimes(conditions: Conditions, threads: int) -> list[Competitor]:
    """Eager first: it is the reference."""
    ways: list[Way] = ["eager", "channels-last"]
    if conditions.with_compile:
        ways.append("compile")
    competitors = [Competitor(way, partial(run_torch, conditions.checkpoint, threads, way)) for way in ways]

    def engine(name: str, file: Path, runtime: str, precision: str) -> None:
        competitors.append(Competitor(name, partial(run_runtime, file, runtime, precision, threads)))

    engine("ONNX Runtime fp32", conditions.exported, "onnxruntime", "fp32")
    engine("OpenVINO fp32", conditions.exported, "openvino", "fp32")
    if _has_bfloat16():
        engine("OpenVINO bf16", conditions.exported, "openvino", "bf16")
    engine("ONNX Runtime int8", conditions.quantised, "onnxruntime", "int8")
    engine("OpenVINO int8", conditions.quantised, "openvino", "int8")
    return competitors


def _has_bfloat16() -> bool:
    """Whether the processor multiplies in it."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _rate_row(
    conditions: Conditions, threads: int, measured: Measurement, gflop: float, limit: Measurement
) -> dict[str, Cell]:
    same_work = measured.scaled(measured.name, conditions.gflop / gflop)
    return {
        "threads": threads,
        "arithmetic": measured.name,
        "GFLOP/s": gflop / spread(measured.processor_ms).median * 1e3 * threads,
        "limit / it": 1 / ratio(same_work, limit).processor,
    }


def _threads(number: int) -> str:
    return "1 thread" if number == 1 else f"{number} threads"
