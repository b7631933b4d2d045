"""Our one network against a detector and a depth network of others, each in the engine that suits it best."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from mp_perception.benchmark.charts import Bars, SectionResult
from mp_perception.benchmark.conditions import Conditions
from mp_perception.benchmark.engines import ENGINES, run_files
from mp_perception.benchmark.interleaved import Competitor, measure
from mp_perception.benchmark.measurement import Measurement, fastest, spread, total
from mp_perception.benchmark.networks.exporting import export_peer
from mp_perception.benchmark.networks.flops import count_flops
from mp_perception.benchmark.networks.peers import fastdepth, has_ultralytics, noise_images, peer_detectors
from mp_perception.benchmark.tables import Cell, Table, measured_row
from mp_perception.progress import error_console, track

OURS, OUR_DEPTH, FASTDEPTH = "ours", "MobileNetV2 depth", "FastDepth-like"


def compare_peers(conditions: Conditions) -> SectionResult:
    """Each network alone, then every detector with every depth network, their times added round by round."""
    if not has_ultralytics():
        error_console.print("yolo11n is left out: pip install ultralytics (AGPL-3.0) adds it", style="yellow")
    size = conditions.description.input_size
    networks = {**peer_detectors(size), FASTDEPTH: fastdepth}
    gflop: dict[str, float] = {OURS: conditions.gflop}
    files: dict[str, Path] = {OURS: conditions.exported, OUR_DEPTH: conditions.branches[1]}
    for name, build in track(list(networks.items()), "peers: export"):
        network = build()
        gflop[name] = count_flops(network, noise_images(size))[""] / 1e9
        files[name] = export_peer(network, size, conditions.folder / f"{name}.onnx")
    best = _best_engines(conditions, files)
    threads = conditions.threads[0]
    alone = [
        {**measured_row("network", m, best[OURS][1]), "engine": engine, "GFLOP": gflop.get(name)}
        for name, (engine, m) in best.items()
    ]
    pairs = [
        total(f"{detector} + {depth_name}", [best[detector][1], best[depth_name][1]])
        for detector in peer_detectors(size)
        for depth_name in (OUR_DEPTH, FASTDEPTH)
    ]
    ours = best[OURS][1]
    rows = [_pair_row(ours, pair) for pair in pairs]
    width, height = size[1], size[0]
    note = (
        f"All at {width}x{height}, fp32, {len(ours.wall_ms)} rounds, random weights but ours. Suppression is left out, "
        "except in Faster R-CNN, whose second stage needs it."
    )
    chart = Bars(
        "Detection and depth together",
        "processor time of one image, ms (median)",
        [OURS, *(pair.name for pair in pairs)],
        {
            "one network": [spread(ours.processor_ms).median, *(0.0 for _ in pairs)],
            "detector": [0.0, *(_median(best, pair.name.partition(" + ")[0]) for pair in pairs)],
            "depth network": [0.0, *(_median(best, pair.name.partition(" + ")[2]) for pair in pairs)],
        },
    )
    tables = [
        Table(f"Networks alone, best engine, threads: {threads}", alone),
        Table(f"Ours / two networks, threads: {threads}", rows, note),
    ]
    return SectionResult(tables, [chart])


def _best_engines(conditions: Conditions, files: dict[str, Path]) -> dict[str, tuple[str, Measurement]]:
    """Network -> (engine, its measurement there): the faster of the engines that take it, all in one run."""
    threads = conditions.threads[0]
    competitors = [
        Competitor(f"{name} in {engine}", partial(run_files, [file], engine, threads))
        for name, file in files.items()
        for engine in ENGINES
    ]
    measured = {m.name: m for m in measure("peers", competitors, conditions.rounds)}
    best = {}
    for name in files:
        engine = fastest([measured[f"{name} in {engine}"] for engine in ENGINES]).name.rpartition(" in ")[2]
        best[name] = engine, replace(measured[f"{name} in {engine}"], name=name)
    return best


def _pair_row(ours: Measurement, pair: Measurement) -> dict[str, Cell]:
    row = measured_row("instead", ours, pair)
    return {
        "detector + depth network": pair.name,
        "clock, ms": spread(pair.wall_ms).median,
        "ours / it": row[f"/ {pair.name}"],
        "processor, ms": spread(pair.processor_ms).median,
        "ours / it, processor": row[f"/ {pair.name}, processor"],
    }


def _median(best: dict[str, tuple[str, Measurement]], name: str) -> float:
    return spread(best[name][1].processor_ms).median
