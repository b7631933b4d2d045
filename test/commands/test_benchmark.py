"""`mp_perception benchmark` as a user calls it, with a small network and few rounds."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

from mp_perception.benchmark.run import SECTIONS
from mp_perception.commands.benchmark import Section
from mp_perception.network.checkpoint import write_checkpoint
from mp_perception.network.multitask import MultiTaskNetwork, describe_network

Command = Callable[..., subprocess.CompletedProcess[str]]

#: A busy test machine may need minutes to start the processes.
LIMIT = 580


@pytest.fixture(scope="module")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = MultiTaskNetwork(describe_network("mobilenet_v2", input_size=(192, 640)))
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    write_checkpoint(path, network)
    return path


@pytest.fixture(scope="module")
def benchmark(mp_perception: Command) -> Command:
    return partial(mp_perception, "benchmark", timeout=LIMIT)


def check_json(path: Path, sections: set[str]) -> dict[str, Any]:
    """The file's content, after its form has been checked; section -> its tables."""
    content = json.loads(path.read_text())
    assert set(content) == {"format_version", "date", "machine", "settings", "sections"}
    assert content["format_version"] == 1
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weights", "no.safetensors"], "no.safetensors: expected a checkpoint (.safetensors) that is there"),
        (["--plot", "figures.txt"], "figures.txt: expected a name that ends in .png or .svg"),
        (["--json", "absent/figures.json"], "absent/figures.json: expected a folder that is there for it"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    benchmark: Command, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = benchmark(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_every_section_can_be_named() -> None:
    assert [section.value for section in Section] == list(SECTIONS)


def test_help_teaches(benchmark: Command, tmp_path: Path) -> None:
    done = benchmark("--help", cwd=tmp_path)
    assert done.returncode == 0
    for word in ("Example", "runtimes", "arithmetic limit", "peers", "processor", "lock-step", "--rounds", "--plot"):
        assert word.lower() in done.stdout.lower()


@pytest.mark.slow
@pytest.mark.timeout(LIMIT + 10)
def test_ratios_are_printed_drawn_and_kept(benchmark: Command, small_weights: Path, tmp_path: Path) -> None:
    files = ["--json", "figures.json", "--plot", "figures.png"]
    arguments = ["--weights", small_weights, "--rounds", 2, "--threads", 1, *files]
    done = benchmark("runtimes", "sharing", "growth", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"figures.json", "figures.png"}
    sections = check_json(tmp_path / "figures.json", {"runtimes", "sharing", "growth"})
    for tables in sections.values():
        for table in tables:
            assert f"**{table['title']}**" in done.stdout
    runtimes, rates = sections["runtimes"]
    rows = {row["runtime"]: row for row in runtimes["rows"]}
    assert next(iter(rows)) == "eager"
    assert {"channels-last", "ONNX Runtime fp32", "OpenVINO int8", "arithmetic limit, fp32"} <= set(rows)
    assert rows["eager"]["/ eager"] == rows["eager"]["/ eager, processor"] == 1
    assert rows["OpenVINO fp32"]["memory, MiB"] < rows["eager"]["memory, MiB"]
    assert all(row["p90"] >= row["clock, ms"] > 0 and row["processor, ms"] > 0 for row in rows.values())
    products = [row for row in rates["rows"] if row["arithmetic"].startswith("matrix product")]
    assert max(row["limit / it"] for row in products) == pytest.approx(1)
    assert all(row["GFLOP/s"] > 1 for row in products)
    assert "1 of 3 done: runtimes" in done.stderr
    assert cv2.imread(str(tmp_path / "figures.png")).shape[0] > 300


@pytest.mark.slow
@pytest.mark.dds
@pytest.mark.timeout(LIMIT + 10)
def test_the_node_is_measured_over_dds(benchmark: Command, small_weights: Path, tmp_path: Path) -> None:
    arguments = ["--weights", small_weights, "--seconds", 3, "--rate", 5, "--json", "figures.json"]
    done = benchmark("node", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    stages, figures = check_json(tmp_path / "figures.json", {"node"})["node"]
    rows = {row["figure"]: row for row in figures["rows"]}
    for phase in ("alone", "beside a busy process"):
        assert rows["images published"][phase] == 15
        assert 0 < rows["processed, share"][phase] <= rows["delivered to the node, share"][phase] <= 1
        assert rows["age of output at the listener, ms, p99"][phase] > 0
        assert rows["above an idle process with the same imports, MiB"][phase] < 300
        named = [row for row in stages["rows"] if row["stage, ms"] != "total"]
        total = next(row for row in stages["rows"] if row["stage, ms"] == "total")
        assert max(row[f"median, {phase}"] for row in named) <= total[f"median, {phase}"]
