"""One shared network against separate networks for detection and depth: our own two branches, and peers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mp_perception.benchmark.interleaved import Competitor, measure
from mp_perception.benchmark.networks.model_files import ModelFiles, export_peer
from mp_perception.benchmark.networks.peer_networks import DEPTH_PEER, has_ultralytics, peer_networks
from mp_perception.benchmark.operations import model_size
from mp_perception.benchmark.tables import Cell, Table, timing_cells
from mp_perception.benchmark.workloads import FILE_RUNTIMES, run_files
from mp_perception.progress import track, warn

#: The reference, and the names of its branches as separate networks.
OURS, OUR_DETECTION, OUR_DEPTH = "ours", "our detection", "our depth"
#: Rounds that determine the runtime of each network.
_RUNTIME_ROUNDS = 5


def compare_peers(models: ModelFiles, rounds: int, threads: int) -> Table:
    """Times, memory and size of our network, of single networks, and of pairs that give the same results as ours.

    A pair runs in one process, one network after the other.
    """
    if not has_ultralytics():
        warn("yolo11n is left out: pip install ultralytics (AGPL-3.0) adds it")
    input_size = height, width = models.description.input_size
    peers = {
        name: export_peer(network, input_size, models.folder / f"{name}.onnx")
        for name, network in track(list(peer_networks().items()), "peers: export")
    }
    files = {OURS: models.fp32, OUR_DETECTION: models.detection, OUR_DEPTH: models.depth, **peers}
    runtimes = _fastest_runtimes(files, input_size, threads)
    pairs = [(OUR_DETECTION, OUR_DEPTH)]
    pairs += [(detector, depth) for detector in peers if detector != DEPTH_PEER for depth in (OUR_DEPTH, DEPTH_PEER)]
    groups: list[tuple[str, ...]] = [*((name,) for name in files), *pairs]
    competitors = [
        Competitor(
            " + ".join(names),
            partial(run_files, [(files[name], runtimes[name]) for name in names], input_size, threads),
        )
        for names in groups
    ]
    measured = measure(f"peers, threads: {threads}", competitors, rounds)
    rows: list[dict[str, Cell]] = [
        {
            "networks": m.name,
            "runtimes": " + ".join(runtimes[name] for name in names),
            **_size_cells([files[name] for name in names], input_size),
            **timing_cells(m, measured[0]),
        }
        for names, m in zip(groups, measured, strict=True)
    ]
    note = (
        f"One image of {width}x{height}, fp32, {rounds} rounds, each network in its faster runtime. Peers have random "
        "weights. Non-maximum suppression is not included. Our two branches each contain their own backbone."
    )
    return Table(f"Peers, threads: {threads}", rows, note)


def _fastest_runtimes(files: Mapping[str, Path], input_size: tuple[int, int], threads: int) -> dict[str, str]:
    """The runtime with the lowest median processor time of each network, by name."""
    competitors = [
        Competitor(f"{name} in {runtime}", partial(run_files, [(file, runtime)], input_size, threads))
        for name, file in files.items()
        for runtime in FILE_RUNTIMES
    ]
    measured = iter(measure("peers: runtimes", competitors, _RUNTIME_ROUNDS))
    times = {name: {runtime: np.median(next(measured).processor_ms) for runtime in FILE_RUNTIMES} for name in files}
    return {name: min(FILE_RUNTIMES, key=by_runtime.__getitem__) for name, by_runtime in times.items()}


def _size_cells(files: Sequence[Path], input_size: tuple[int, int]) -> dict[str, float]:
    sizes = [model_size(file, input_size) for file in files]
    return {
        "GFLOP": sum(size.operations for size in sizes) / 1e9,
        "parameters, M": sum(size.parameters for size in sizes) / 1e6,
    }
