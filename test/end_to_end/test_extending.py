"""The package that docs/extending.md shows, written as it stands there, installed, and used like ours."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mp_perception.data.data_sets import open_data_set
from mp_perception.errors import UserError
from mp_perception.extensions import extension_names, load_extension

PAGE = Path(__file__).resolve().parents[2] / "docs" / "extending.md"
CONFIGURATION = """
network: {backbone: mnasnet_0_5, input_size: [64, 96]}
data:
  training: [{dataset: my_frames, root: streets}]
  validation: [{dataset: my_frames, root: streets}]
  batch_size: 2
  samples_per_epoch: 4
  workers: 0
optimisation: {epochs: 1}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that holds the page's package as pip would install it."""
    site = tmp_path_factory.mktemp("site")
    (site / "my_perception").mkdir()
    (site / "my_perception" / "__init__.py").touch()
    page = PAGE.read_text()
    for path, code in re.findall(r"```python\n# (my_perception/\S+)\n(.*?)```", page, re.DOTALL):
        (site / path).write_text(code)
    (description,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    project = tomllib.loads(description)["project"]
    record = site / f"{project['name']}-{project['version']}.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = [
        f"[{group}]\n" + "\n".join(f"{name} = {value}" for name, value in points.items())
        for group, points in project["entry-points"].items()
    ]
    (record / "entry_points.txt").write_text("\n".join(groups))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        yield site


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's data set, four images with a box each."""
    root = tmp_path_factory.mktemp("data") / "streets"
    (root / "images").mkdir(parents=True)
    random = np.random.default_rng(0)
    for i in range(4):
        cv2.imwrite(str(root / "images" / f"{i}.png"), random.integers(0, 256, (64, 96, 3), dtype=np.uint8))
    boxes = {f"{i}": [["Car", 10, 10, 60, 50], ["Pedestrian", 70, 20, 80, 50]] for i in range(3)}
    (root / "boxes.json").write_text(json.dumps(boxes))
    return root


def test_the_names_are_known_and_loaded_when_asked_for(installed: Path, streets: Path) -> None:
    assert extension_names("backbones") == ["mnasnet_0_5"]
    assert extension_names("runtimes") == ["opencv"]
    assert load_extension("backbones", "mobilenet_v2") is None
    data_set = open_data_set("my_frames", streets)
    assert data_set[0].boxes.tolist() == [[10, 10, 60, 50], [70, 20, 80, 50]]
    assert data_set.labelled_classes.tolist() == [name in ("Car", "Pedestrian") for name in data_set.class_names]
    assert len(data_set[3].boxes) == 0
    with pytest.raises(UserError, match=r"unknown data set 'mine': expected one of .*my_frames"):
        open_data_set("mine", streets)


def test_an_extension_that_fails_to_import_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = tmp_path / "broken-1.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (record / "entry_points.txt").write_text("[mp_perception.data_sets]\nfrail = no_such_module:Frames\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"^broken: extension 'frail' \(no_such_module:Frames\) .*ModuleNotFoundError"):
        open_data_set("frail", tmp_path)


def environment(installed: Path, variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Of a process that finds the package."""
    return {**variables, "PYTHONPATH": f"{installed}{os.pathsep}{variables.get('PYTHONPATH', '')}"}


@pytest.fixture(scope="module")
def run(installed: Path, streets: Path) -> Callable[..., str]:
    """Runs mp_perception beside the data set; its output."""

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "mp_perception.commands.main", *arguments],
            env=environment(installed),
            cwd=streets.parent,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def trained(run: Callable[..., str], streets: Path) -> Path:
    """A folder with toy.onnx and its checkpoint, of a network with the page's backbone trained on its data set."""
    (streets.parent / "training.yaml").write_text(CONFIGURATION)
    run("train", "--config", "training.yaml", "--data-root", ".", "--out", "trained")
    run("export", "toy.onnx", "--weights", "trained/last.safetensors")
    return streets.parent


@pytest.mark.extended
def test_its_runtime_computes_what_ours_does(run: Callable[..., str], trained: Path) -> None:
    image = "streets/images/0.png"
    assert "opencv on cpu, fp32 (as requested)" in run(
        "predict", image, "--weights", "toy.onnx", "--runtime", "opencv", "--out", "opencv"
    )
    run("predict", image, "--weights", "trained/last.safetensors", "--out", "torch")
    folders = [trained / "torch", trained / "opencv"]
    ours, theirs = (json.loads((folder / "0.json").read_text()) for folder in folders)
    assert len(ours["detections"]) == len(theirs["detections"])
    depths = [cv2.imread(str(next(folder.glob("0*depth*.png"))), cv2.IMREAD_UNCHANGED) for folder in folders]
    assert depths[0].shape == depths[1].shape
    assert np.abs(depths[0].astype(int) - depths[1].astype(int)).max() <= 2


@pytest.mark.extended
@pytest.mark.dds
def test_the_node_runs_with_them(
    installed: Path, trained: Path, dds_environment: dict[str, str], start_process: Any
) -> None:
    parameters = ["weights:=toy.onnx", "runtime:=opencv", "backbone:=mnasnet_0_5"]
    node = start_process(
        [sys.executable, "-m", "mp_perception.ros.perception_node", "--ros-args"]
        + [word for parameter in parameters for word in ("-p", parameter)],
        env=environment(installed, dds_environment),
        cwd=trained,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = []
    for line in node.stderr:
        lines.append(line)
        if "active: looking at" in line:
            break
    log = "".join(lines)
    assert "active: looking at" in log, log
    assert "opencv" in log
    node.send_signal(signal.SIGINT)
    assert node.wait(20) == 0
