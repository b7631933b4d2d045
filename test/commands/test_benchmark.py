"""`mp_perception benchmark` as a user calls it, with a small network and few rounds."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mp_perception.network.checkpoint import write_checkpoint
from mp_perception.network.multitask import MultiTaskNetwork, describe_network

Command = Callable[..., subprocess.CompletedProcess[str]]

#: A busy machine may take minutes to start all processes, seconds.
LIMIT = 580


@pytest.fixture(scope="module")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = MultiTaskNetwork(describe_network("mobilenet_v2", input_size=(96, 320)))
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    write_checkpoint(path, network)
    return path


def check_json(path: Path, sections: set[str]) -> dict[str, Any]:
    """The tables of each section in the file, whose form is checked."""
    content = json.loads(path.read_text())
    assert set(content) == {"format_version", "date", "machine", "settings", "sections"}
    assert content["machine"]["cores"] == len(os.sched_getaffinity(0))
    assert content["machine"]["libraries"]["torch"] == torch.__version__.partition("+")[0]
    assert content["settings"]["weights"] == "small.safetensors"
    assert set(content["sections"]) == sections
    for tables in content["sections"].values():
        assert tables
        for table in tables:
            assert set(table) == {"title", "rows", "note"}
            assert table["rows"]
            assert all(list(row) == list(table["rows"][0]) for row in table["rows"])
            cells = [cell for row in table["rows"] for cell in row.values()]
            assert all(cell is None or isinstance(cell, str | int | float) for cell in cells)
    return dict(content["sections"])


@pytest.mark.extended
@pytest.mark.timeout(LIMIT + 10)
def test_ratios_are_printed_and_kept(mp_perception: Command, small_weights: Path, tmp_path: Path) -> None:
    arguments = ["--weights", small_weights, "--rounds", 2, "--threads", 1, "--json", "figures.json"]
    done = mp_perception("benchmark", "runtimes", "peers", *arguments, cwd=tmp_path, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"figures.json"}
    sections = check_json(tmp_path / "figures.json", {"runtimes", "peers"})
    for (table,) in sections.values():
        assert f"**{table['title']}**" in done.stdout
        assert all(row["p90"] >= row["wall, ms"] > 0 and row["processor, ms"] > 0 for row in table["rows"])
    rows = {row["runtime"]: row for row in sections["runtimes"][0]["rows"]}
    assert next(iter(rows)) == "eager"
    assert {"PyTorch fp32, channels last", "ONNX Runtime fp32", "OpenVINO int8", "arithmetic limit, fp32"} <= set(rows)
    assert rows["eager"]["/ eager"] == rows["eager"]["processor / eager"] == 1
    assert rows["OpenVINO fp32"]["memory, MiB"] < rows["eager"]["memory, MiB"]
    networks = {row["networks"]: row for row in sections["peers"][0]["rows"]}
    separate = networks["our detection + our depth"]
    assert separate["GFLOP"] == pytest.approx(networks["our detection"]["GFLOP"] + networks["our depth"]["GFLOP"])
    assert separate["GFLOP"] > networks["ours"]["GFLOP"]
    assert {"ssdlite320", "FastDepth-like", "ssdlite320 + our depth", "ssdlite320 + FastDepth-like"} <= set(networks)


@pytest.mark.extended
@pytest.mark.dds
@pytest.mark.timeout(LIMIT + 10)
def test_the_node_is_measured_over_dds(mp_perception: Command, small_weights: Path, tmp_path: Path) -> None:
    arguments = ["--weights", small_weights, "--seconds", 3, "--rate", 5, "--json", "figures.json"]
    done = mp_perception("benchmark", "node", *arguments, cwd=tmp_path, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    (table,) = check_json(tmp_path / "figures.json", {"node"})["node"]
    rows = {row["figure"]: row for row in table["rows"]}
    for phase in ("alone", "beside a busy process"):
        assert rows["images published"][phase] == 15
        assert 0 < rows["processed, fraction"][phase] <= rows["delivered to the node, fraction"][phase] <= 1
        assert rows["inference, ms, median"][phase] <= rows["total, ms, median"][phase] <= rows["total, ms, p99"][phase]
        assert rows["age of the detections on arrival, ms, p99"][phase] > 0
        assert 0 < rows["resident memory at start, MiB"][phase] < 1000
    bare = {figure: row["bare node"] for figure, row in rows.items()}
    assert bare["images published"] == 15
    assert bare["inference, ms, median"] == ""
    above = rows["age above inference and bare node, ms, medians"]["alone"]
    age = "age of the detections on arrival, ms, median"
    inference = rows["inference, ms, median"]["alone"]
    assert above == pytest.approx(rows[age]["alone"] - inference - bare[age])
