"""`mp_perception evaluate` as a user calls it: figures, files, several processes, bad input."""

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
    average_precision_table,
    criteria_of,
    match_image,
    precision_recall_curves,
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


@pytest.mark.slow
def test_figures_and_files_agree(streets: Path, street_weights: Path, tmp_path: Path) -> None:
    options = ("--dataset", "synthetic", "--root", streets, "--split", "train", "--weights", street_weights)
    names = {"--json": "out/all.json", "--plots": "plots", "--save-detections": "boxes", "--save-depth": "depth"}
    outputs = [part for option, name in names.items() for part in (option, tmp_path / name)]
    done = evaluate(*options, *outputs, "--resamples", 20, "--num-threads", 1)
    assert done.exit_code == 0, done.output
    assert "Average precision" in done.output
    assert "6 of 6 frames scored; depth known in 6, objects in 6" in done.output
    result = json.loads((tmp_path / "out" / "all.json").read_text())
    metrics = {"d1", "d2", "d3", "rel", "rmse", "log10", "sq_rel", "rmse_log"}
    assert set(result["depth"]) >= {"protocol", "images"} | metrics
    assert set(result["objects"]["Vehicle"]) >= {"count"} | metrics
    assert set(result["detection"]["Car"]["AP40"]) == {"easy", "moderate", "hard"}
    assert result["weights"]["sha256"]
    assert result["data_set"] == {"name": "synthetic", "root": str(streets), "split": "train", "problems": {}}

    data_set = open_data_set("synthetic", streets)
    matches, depths, criteria = [], [], criteria_of(MIN_IOUS)
    for index, frame in enumerate(data_set.frames):
        for line in (tmp_path / "boxes" / f"{frame.name}.txt").read_text().splitlines():
            assert len(line.split()) == 16
        found = read_detections(tmp_path / "boxes" / f"{frame.name}.txt")
        matches.append(match_image(data_set.labels(index), found, criteria))
        depth = read_depth_png(tmp_path / "depth" / f"{frame.name}.png")
        assert depth.shape == data_set[index].size
        depths.append([EIGEN.compare(data_set[index].depth, depth)])
    # The whole curve is measured: detections far below the checkpoint's threshold are there.
    lines = [line for file in (tmp_path / "boxes").iterdir() for line in file.read_text().splitlines()]
    lowest = min(float(line.split()[15]) for line in lines)
    assert 0.01 <= lowest < result["score_threshold"] / 2
    # Boxes are written with two decimals, depth with steps of 1/256 m.
    rescored = average_precision_table(precision_recall_curves(matches, criteria))
    for name, row in result["detection"].items():
        for difficulty, value in row["AP40"].items():
            assert rescored[name]["AP40"][difficulty] == (None if value is None else pytest.approx(value, abs=0.5))
    assert result["detection"]["Pedestrian"]["AP40"]["hard"] > 0
    assert depth_figures("eigen", depths, "")["rel"] == pytest.approx(result["depth"]["rel"], abs=2e-3)

    plots = {path.name for path in (tmp_path / "plots").iterdir()}
    assert {"precision_recall_pedestrian_0.5.png", "depth_rel_by_distance.png"} <= plots
    assert sum(name.startswith(("best_", "worst_")) for name in plots) == 9
    assert all(cv2.imread(str(tmp_path / "plots" / name)) is not None for name in plots)


def figures_of(path: Path) -> dict[str, Any]:
    """The JSON without what differs from run to run."""
    result = json.loads(path.read_text())
    return {name: value for name, value in result.items() if name not in ("run", "latency_ms")}


@pytest.mark.slow
def test_two_processes_give_the_figures_of_one(streets: Path, street_weights: Path, tmp_path: Path) -> None:
    options = ("--dataset", "synthetic", "--root", streets, "--weights", street_weights)
    options += ("--resamples", 20, "--num-threads", 1)
    for processes in (1, 2):
        out = tmp_path / str(processes)
        outputs = ("--json", f"{out}.json", "--report", f"{out}.html", "--save-detections", out)
        done = evaluate(*options, *outputs, "--processes", processes)
        assert done.exit_code == 0, done.output
    assert figures_of(tmp_path / "1.json") == figures_of(tmp_path / "2.json")
    assert json.loads((tmp_path / "2.json").read_text())["run"]["processes"] == 2
    # What is compared is neither nothing nor perfect.
    assert 0 < figures_of(tmp_path / "1.json")["depth"]["d1"] < 1
    assert figures_of(tmp_path / "1.json")["images"]["evaluated"] == 6
    names = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "2").iterdir()) == [f"{n:06d}.txt" for n in range(6)]
    assert all((tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes() for name in names)
    frames = [
        re.findall(r'<h3>.*frame .*</h3>|<img src="data:image/jpeg.*?"', (tmp_path / f"{n}.html").read_text())
        for n in (1, 2)
    ]
    assert frames[0] == frames[1]
    # Three frames each by worst depth and best depth, with four pictures, and by worst detection, with one.
    assert len(frames[0]) == 6 * 5 + 3 * 2


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
    names = {"--json": "all.json", "--plots": "plots", "--save-detections": "boxes", "--save-depth": "depth"}
    outputs = [part for option, name in names.items() for part in (option, tmp_path / name)]
    done = evaluate("--dataset", "synthetic", "--root", root, "--weights", street_weights, *outputs)
    assert isinstance(done.exception, UserError)
    assert str(done.exception) == f"{broken}: expected an image, found a file that cannot be decoded"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["object"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--root", "."], "evaluate: expected --dataset NAME, found none"),
        (["--dataset", "kitti-object"], "evaluate: expected --root FOLDER, found none"),
        (["--dataset", "none", "--root", "."], "unknown data set 'none': expected one of coco, kitti-depth"),
        (["--dataset", "synthetic", "--root", "no"], "no: no such folder, expected the data set synthetic"),
        (["--dataset", "synthetic", "--root", "object", "--save-depth", "full"], "found something there"),
        (["--dataset", "synthetic", "--root", "object", "--plots", "a", "--save-depth", "a"], "found it named twice"),
        (["--dataset", "synthetic", "--root", "object", "--json", "full"], "expected a file for the figures"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    streets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "old.txt").write_text("")
    (tmp_path / "object").symlink_to(streets)
    monkeypatch.chdir(tmp_path)
    done = evaluate(*arguments)
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "object"]


def test_help_teaches() -> None:
    done = evaluate("--help")
    assert done.exit_code == 0
    for word in ("tables", "--protocol", "--save-detections", "--resamples", "--processes", "--cluster"):
        assert word in done.output
