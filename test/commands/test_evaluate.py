"""`mp_perception evaluate` as a user calls it: figures, files, several processes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from mp_perception.commands.main import app
from mp_perception.data.data_sets import open_data_set
from mp_perception.data.depth_png import read_depth_png
from mp_perception.data.kitti.labels import read_labels
from mp_perception.errors import UserError
from mp_perception.evaluation.average_precision import (
    MIN_IOUS,
    average_precision_figures,
    criteria_of,
    match_image,
)
from mp_perception.evaluation.depth_protocols import EIGEN, depth_figures
from mp_perception.prediction import Detections

CLASSES = ("Car", "Van", "Truck", "Pedestrian", "Cyclist")


def evaluate(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def read_detections(path: Path) -> Detections:
    labels = read_labels(path)
    unknown = np.full(len(labels), np.nan, np.float32)
    return Detections(
        np.array([label.box for label in labels], np.float32).reshape(-1, 4),
        np.array([float(line.split()[15]) for line in path.read_text().splitlines()], np.float32),
        np.array([CLASSES.index(label.class_name) for label in labels], np.int64),
        unknown,
        unknown,
        unknown,
        np.full((len(labels), 3), np.nan, np.float32),
        CLASSES,
    )


#: Options for results -> their paths.
OUTPUTS = {
    "--json": "out/all.json",
    "--report": "report.html",
    "--plots": "plots",
    "--save-detections": "boxes",
    "--save-depth": "depth",
}


def evaluate_streets(streets: Path, weights: Path, folder: Path, *options: object) -> str:
    """All results of the synthetic set in a folder; gives what was printed."""
    outputs = [part for option, name in OUTPUTS.items() for part in (option, folder / name)]
    given = ("--dataset", "synthetic", "--root", streets, "--split", "train", "--weights", weights)
    done = evaluate(*given, *outputs, "--resamples", 20, "--num-threads", 1, *options)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def results(streets: Path, street_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder with the results of one process, and what was printed."""
    folder = tmp_path_factory.mktemp("results")
    return folder, evaluate_streets(streets, street_weights, folder)


@pytest.mark.slow
def test_figures_and_files_agree(results: tuple[Path, str], streets: Path) -> None:
    folder, printed = results
    assert "Average precision" in printed
    assert "6 of 6 frames scored; depth known in 6, objects in 6" in printed
    result = json.loads((folder / "out" / "all.json").read_text())
    metrics = {"d1", "d2", "d3", "rel", "rmse", "log10", "sq_rel", "rmse_log"}
    assert set(result["depth"]) >= {"protocol", "images"} | metrics
    assert set(result["objects"]["Vehicle"]) >= {"count"} | metrics
    assert set(result["detection"]["Car"]["AP40"]) == {"easy", "moderate", "hard"}
    assert result["weights"]["sha256"]
    origin = {"name": "synthetic", "root": str(streets), "split": "train"}
    assert result["data_set"] == {**origin, "problems": {}, "mended": []}

    data_set = open_data_set("synthetic", streets)
    matches, depths, criteria = [], [], criteria_of(MIN_IOUS)
    for index, frame in enumerate(data_set.frames):
        for line in (folder / "boxes" / f"{frame.name}.txt").read_text().splitlines():
            assert len(line.split()) == 16
        found = read_detections(folder / "boxes" / f"{frame.name}.txt")
        matches.append(match_image(data_set.labels(index), found, criteria))
        depth = read_depth_png(folder / "depth" / f"{frame.name}.png")
        assert depth.shape == data_set[index].size
        depths.append([EIGEN.compare(data_set[index].depth, depth)])
    # The whole curve is measured: detections far below the checkpoint's threshold are there.
    lines = [line for file in (folder / "boxes").iterdir() for line in file.read_text().splitlines()]
    lowest = min(float(line.split()[15]) for line in lines)
    assert 0.01 <= lowest < result["score_threshold"] / 2
    # Boxes and scores are written exactly, depth with steps of 1/256 m.
    rescored = average_precision_figures(matches, criteria)
    for name, row in result["detection"].items():
        for difficulty, value in row["AP40"].items():
            assert rescored[name]["AP40"][difficulty] == value
    assert result["detection"]["Pedestrian"]["AP40"]["hard"] > 0
    assert depth_figures("eigen", depths, "")["rel"] == pytest.approx(result["depth"]["rel"], abs=2e-3)

    plots = {path.name for path in (folder / "plots").iterdir()}
    assert {"precision_recall_pedestrian_0.5.png", "depth_rel_by_distance.png"} <= plots
    assert sum(name.startswith(("best_", "worst_")) for name in plots) == 9
    assert all(cv2.imread(str(folder / "plots" / name)) is not None for name in plots)


def without_run(path: Path) -> dict[str, Any]:
    """The JSON without what differs from run to run."""
    result = json.loads(path.read_text())
    return {name: value for name, value in result.items() if name not in ("run", "latency_ms")}


@pytest.mark.slow
def test_two_processes_give_the_results_of_one(
    results: tuple[Path, str], streets: Path, street_weights: Path, tmp_path: Path
) -> None:
    one, two = results[0], tmp_path
    evaluate_streets(streets, street_weights, two, "--processes", 2)
    assert json.loads((two / "out" / "all.json").read_text())["run"]["processes"] == 2
    figures = [without_run(folder / "out" / "all.json") for folder in (one, two)]
    assert figures[0] == figures[1]
    # What is compared is neither nothing nor perfect.
    assert 0 < figures[0]["depth"]["d1"] < 1
    assert figures[0]["images"]["evaluated"] == 6
    for kind, suffix in (("boxes", "txt"), ("depth", "png")):
        names = sorted(path.name for path in (one / kind).iterdir())
        assert names == sorted(path.name for path in (two / kind).iterdir()) == [f"{n:06d}.{suffix}" for n in range(6)]
        assert all((one / kind / name).read_bytes() == (two / kind / name).read_bytes() for name in names)
    frames = [
        re.findall(r'<h3>.*frame .*</h3>|<img src="data:image/jpeg.*?"', (folder / "report.html").read_text())
        for folder in (one, two)
    ]
    assert frames[0] == frames[1]
    # Three frames each by worst depth and best depth, with four pictures, and by worst detection, with one.
    assert len(frames[0]) == 6 * 5 + 3 * 2


@pytest.mark.slow
def test_weights_that_ship_are_named(streets: Path, tmp_path: Path) -> None:
    given = ("--dataset", "synthetic", "--root", streets, "--split", "train", "--num-threads", 1)
    done = evaluate(*given, "--weights", "mobilenet_v2_paper", "--json", tmp_path / "all.json")
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "all.json").read_text())["weights"]["file"] == "mobilenet_v2_paper.onnx"


@pytest.mark.slow
def test_a_broken_image_leaves_nothing_behind(streets: Path, street_weights: Path, tmp_path: Path) -> None:
    root = tmp_path / "object"
    (root / "training").mkdir(parents=True)
    for folder in (streets / "training").iterdir():
        (root / "training" / folder.name).mkdir()
        for file in folder.iterdir():
            (root / "training" / folder.name / file.name).symlink_to(file)
    broken = root / "training" / "image_2" / "000002.png"
    broken.unlink()
    broken.write_bytes(b"no image")
    outputs = [part for option, name in OUTPUTS.items() for part in (option, tmp_path / name)]
    done = evaluate("--dataset", "synthetic", "--root", root, "--weights", street_weights, *outputs)
    assert isinstance(done.exception, UserError)
    assert str(done.exception) == f"{broken}: expected an image, found a file that cannot be decoded"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["object"]
