"""`mp_perception evaluate` as a user calls it: figures, files, several processes, bad input."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mp_perception.data.data_sets import open_data_set
from mp_perception.data.depth_png import read_depth_png
from mp_perception.data.kitti.labels import read_labels
from mp_perception.evaluation.detection_metrics import KittiDetectionScorer, average_precision_table
from mp_perception.evaluation.protocols import EigenProtocol
from mp_perception.prediction import Detections

CLASSES = ("Car", "Van", "Truck", "Pedestrian", "Cyclist")


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in (sys.executable, *command)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def evaluate(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run("-m", "mp_perception.commands.main", "evaluate", *arguments, cwd=cwd)


def read_detections(path: Path) -> Detections:
    labels = read_labels(path)
    boxes = np.array([label.box for label in labels], np.float32).reshape(-1, 4)
    unknown = np.full(len(labels), np.nan, np.float32)
    return Detections(
        boxes,
        np.array([line.split()[15] for line in path.read_text().splitlines()], np.float32),
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
    outputs = ("--json", "out/all.json", "--plots", "plots", "--save-detections", "boxes", "--save-depth", "depth")
    done = evaluate(*options, *outputs, "--resamples", 20, "--num-threads", 1, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Average precision" in done.stdout
    result = json.loads((tmp_path / "out" / "all.json").read_text())
    assert set(result["depth"]) >= {"protocol", "images", "d1", "d2", "d3", "rel", "rmse", "log10"}
    assert set(result["objects"]["Vehicle"]) >= {"d1", "d2", "d3", "rel", "rmse", "log10", "count"}
    assert set(result["detection"]["Car"]["AP40"]) == {"easy", "moderate", "hard"}
    assert result["weights"]["sha256"]

    data_set = open_data_set("synthetic", streets)
    scorer, protocol = KittiDetectionScorer(), EigenProtocol("")
    for index, frame in enumerate(data_set.frames):
        for line in (tmp_path / "boxes" / f"{frame.name}.txt").read_text().splitlines():
            assert len(line.split()) == 16
        scorer.add(frame.name, data_set.labels(index), read_detections(tmp_path / "boxes" / f"{frame.name}.txt"))
        depth = read_depth_png(tmp_path / "depth" / f"{frame.name}.png")
        assert depth.shape == data_set[index].size
        protocol.add(data_set[index].depth, depth)
    # The whole curve is measured: detections far below the checkpoint's threshold are there.
    lines = [line for file in (tmp_path / "boxes").iterdir() for line in file.read_text().splitlines()]
    lowest = min(float(line.split()[15]) for line in lines)
    assert 0.01 <= lowest < result["score_threshold"] / 2
    # Boxes are written with two decimals, depth with steps of 1/256 m.
    rescored = average_precision_table(scorer.curves())
    for name, row in result["detection"].items():
        for difficulty, value in row["AP40"].items():
            assert rescored[name]["AP40"][difficulty] == (None if value is None else pytest.approx(value, abs=0.5))
    assert result["detection"]["Pedestrian"]["AP40"]["hard"] > 0
    assert protocol.result()["rel"] == pytest.approx(result["depth"]["rel"], abs=2e-3)

    plots = {path.name for path in (tmp_path / "plots").iterdir()}
    assert {"precision_recall_pedestrian_0.5.png", "depth_rel_by_distance.png"} <= plots
    assert sum(name.startswith(("best_", "worst_")) for name in plots) == 6
    assert all(cv2.imread(str(tmp_path / "plots" / name)) is not None for name in plots)


def without_run(path: Path) -> dict[str, Any]:
    result = json.loads(path.read_text())
    del result["run"]
    return result


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["eigen", "paper"])
def test_two_processes_give_the_figures_of_one(
    streets: Path, street_weights: Path, tmp_path: Path, protocol: str
) -> None:
    split = tmp_path / "five.txt"
    # An odd number: the processes' shares differ in size.
    split.write_text("".join(f"{number:06d}\n" for number in range(5)))
    options = ("--dataset", "synthetic", "--root", streets, "--split", split, "--weights", street_weights)
    options += ("--protocol", protocol, "--resamples", 20, "--num-threads", 1)
    one = evaluate(*options, "--json", "one.json", "--report", "one.html", "--save-detections", "one", cwd=tmp_path)
    assert one.returncode == 0, one.stderr
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    command = ("-m", "mp_perception.commands.main", "evaluate", *options)
    results = ("--json", "two.json", "--report", "two.html", "--save-detections", "two")
    two = run(*torchrun, *command, *results, cwd=tmp_path)
    assert two.returncode == 0, two.stderr
    assert without_run(tmp_path / "one.json") == without_run(tmp_path / "two.json")
    assert json.loads((tmp_path / "two.json").read_text())["run"]["processes"] == 2
    # What is compared is neither nothing nor perfect.
    assert 0 < without_run(tmp_path / "one.json")["depth"]["d1"] < 1
    assert without_run(tmp_path / "one.json")["images"]["evaluated"] == 5
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "two").iterdir()) == [f"{n:06d}.txt" for n in range(5)]
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in names)
    # The last lines name the seconds and the report.
    printed = [done.stdout.splitlines()[:-2] for done in (one, two)]
    assert printed[0] == printed[1]
    frames = [
        re.findall(r'<h3>.*frame .*</h3>|<img src=".*?"', (tmp_path / name).read_text())
        for name in ("one.html", "two.html")
    ]
    assert frames[0] == frames[1]
    # Of five frames three are best and two worst, each with five pictures.
    assert len(frames[0]) == 5 * 6


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
    outputs = ("--json", "all.json", "--save-detections", "boxes", "--save-depth", "depth", "--plots", "plots")
    done = evaluate("--dataset", "synthetic", "--root", root, "--weights", street_weights, *outputs, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines() == [
        f"error: {broken}: expected an image, found a file that cannot be decoded"
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["object"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--root", "."], "evaluate: expected --dataset NAME, found none"),
        (["--dataset", "kitti-object"], "evaluate: expected --root FOLDER, found none"),
        (["--dataset", "none", "--root", "."], "unknown data set 'none': expected one of coco, kitti-depth"),
        (["--dataset", "synthetic", "--root", "no"], "no: no such folder, expected the data set synthetic"),
        (["--dataset", "synthetic", "--root", ".", "--save-depth", "full"], "found something there"),
        (["--dataset", "synthetic", "--root", ".", "--plots", "a", "--save-depth", "a"], "found it named twice"),
        (["--dataset", "synthetic", "--root", ".", "--json", "full"], "expected a file for the figures"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "old.txt").write_text("")
    done = evaluate(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]


def test_help_teaches(tmp_path: Path) -> None:
    done = evaluate("--help", cwd=tmp_path)
    assert done.returncode == 0
    for word in ("tables", "--protocol", "--save-detections", "--resamples"):
        assert word in done.stdout
