"""`mp_perception adapt`: from a recording to weights and report, also after a kill; unusable input is named."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from mp_perception.commands.adapt import NOT_BETTER
from mp_perception.commands.main import app
from mp_perception.data.depth_png import read_depth_png, write_depth_png
from mp_perception.errors import UserError
from mp_perception.inference.predictor import Predictor
from mp_perception.model.checkpoint_description import AdaptedCamera
from mp_perception.network.checkpoint import build_network, read_checkpoint, write_checkpoint
from mp_perception.network.multitask import describe_network

WIDTH, HEIGHT, COUNT = 192, 64, 30


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Boxes before a wall, other ones in each frame: the brighter, the nearer."""
    root = tmp_path_factory.mktemp("data") / "recording"
    (root / "image").mkdir(parents=True)
    random = np.random.default_rng(3)
    for number in range(COUNT):
        texture = cv2.resize(random.integers(20, 70, (8, 24)).astype(np.float32), (WIDTH, HEIGHT))
        depth = np.full((HEIGHT, WIDTH), 5, np.float32)
        for distance in sorted(random.uniform(1, 4, 6), reverse=True):
            (x, y), (w, h) = random.uniform((0, 0), (WIDTH, HEIGHT)).astype(int), random.integers(14, 40, 2)
            texture[y : y + h, x : x + w] = 240 - 35 * distance
            depth[y : y + h, x : x + w] = distance
        cv2.imwrite(str(root / "image" / f"{number:03}.png"), np.repeat(texture.astype(np.uint8)[..., None], 3, axis=2))
        write_depth_png(root / "depth" / f"{number:03}.png", depth)
    (root / "calib.txt").write_text(f"fx 150\nfy 150\ncx 95.5\ncy 31.5\nwidth {WIDTH}\nheight {HEIGHT}\n")
    return root


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network with a small input; like the default weights, its detection reads the decoder's maps."""
    torch.manual_seed(0)
    sources = ("decoder", "decoder", "backbone", "extra")
    description = describe_network("mobilenet_v2", "pyramid", "depthwise", sources, input_size=(64, 192))
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    write_checkpoint(path, build_network(replace(description, training_focal_length=110.0, score_threshold=0.9)))
    return path


def adapt(*arguments: str | Path) -> tuple[int, str]:
    """Runs the command in this process: exit code and output, or the error."""
    result = CliRunner().invoke(app, ["adapt", *map(str, arguments)])
    error = str(result.exception) if isinstance(result.exception, UserError) else ""
    return 2 if error else result.exit_code, error or result.output


@pytest.fixture(scope="module")
def adapted(recording: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("adapted") / "my_camera"
    code, text = adapt(recording, "--out", out, "--weights", weights, "--samples", 60)
    assert code in (0, NOT_BETTER), text
    page = (out / "report.html").read_text()
    assert ("NOT better" in page) == (code == NOT_BETTER)
    return out


@pytest.mark.extended
@pytest.mark.timeout(1200)
def test_weights_know_their_camera_and_its_depth(adapted: Path, recording: Path) -> None:
    for name in ("weights.safetensors", "weights.onnx"):
        predictor = Predictor.load(weights=adapted / name)
        found = predictor.description
        assert found.camera == AdaptedCamera(WIDTH, HEIGHT, 150.0)
        assert (found.depth_range, found.max_depth, found.input_size) == ((0.2, 5.0), None, (64, 192))
        assert found.training_focal_length == pytest.approx(150)
        assert found.score_threshold == 0.9
        assert 0 < found.depth_error < 1
        depth = predictor.predict(cv2.imread(str(recording / "image" / "000.png"))).depth
        errors = np.abs(depth / read_depth_png(recording / "depth" / "000.png") - 1)
        assert errors.mean() < 0.5  # a seen frame; before, the untrained network's depth is 9 m everywhere
        predictor.close()


@pytest.mark.extended
@pytest.mark.timeout(1200)
def test_the_report_is_complete_in_itself(adapted: Path) -> None:
    page = (adapted / "report.html").read_text()
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    for words in (
        "23 frames for the training, 6 held out",
        "weights before",
        "fixed depth map",
        "adapted weights",
    ):
        assert words in page
    for heading in ("Worst frame", "Middle frame", "Best frame", "By region of the image", "By true distance"):
        assert heading in page
    assert "expected 100 or more for good results" in page  # a finding of the checks


@pytest.mark.extended
@pytest.mark.timeout(1200)
def test_the_same_command_goes_on_and_another_is_refused(adapted: Path, recording: Path, weights: Path) -> None:
    before = (adapted / "training" / "last.safetensors").stat().st_mtime_ns
    (adapted / "weights.onnx").unlink()
    code, text = adapt(recording, "--out", adapted, "--weights", weights, "--samples", 60)
    assert code in (0, NOT_BETTER), text
    assert (adapted / "weights.onnx").is_file()
    assert (adapted / "training" / "last.safetensors").stat().st_mtime_ns == before
    code, text = adapt(recording, "--out", adapted, "--weights", weights, "--samples", 66)
    assert (code, text) == (
        2,
        f"{adapted}: expected a new folder, or one of the same command, found another adaptation",
    )


@pytest.mark.extended
@pytest.mark.timeout(1200)
def test_detections_are_exactly_the_old_ones(adapted: Path, recording: Path, weights: Path) -> None:
    """Also with another score threshold: the class logits and box offsets are equal, the depth is not."""
    images = torch.from_numpy(cv2.imread(str(recording / "image" / "000.png"))).permute(2, 0, 1)[None]
    with torch.no_grad():
        before, after = (read_checkpoint(path)(images) for path in (weights, adapted / "weights.safetensors"))
    assert torch.equal(before.class_logits, after.class_logits)
    assert torch.equal(before.box_offsets, after.box_offsets)
    assert not torch.allclose(before.depth, after.depth)


@pytest.mark.dds
@pytest.mark.extended
@pytest.mark.timeout(1200)
def test_the_live_node_has_the_figures_of_the_report(
    adapted: Path, dds_environment: dict[str, str], tmp_path: Path
) -> None:
    """The held-out part as a bag, played to a node: every figure is that of the exported model, to the last digit."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mp_perception.commands.main", "bag", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=dds_environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    run("from-recording", str(adapted / "recording"), "held_out", "--split", "held_out")
    weights = ("--weights", str(adapted / "weights.onnx"))
    run("evaluate", "held_out", *weights, "--json", "offline.json")
    replay = run("replay-evaluate", "held_out", *weights, "--rate", "0.1", "--json", "live.json")
    assert "perception_node: 6 received, 6 processed" in replay.stdout
    offline, live = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("offline", "live"))
    for name in ("depth", "beyond", "detected", "objects", "score_threshold"):
        assert live[name] == offline[name], name
    metrics = Predictor.load(weights=adapted / "weights.onnx").description.metrics
    everywhere = live["depth"]["by_distance"][-1]
    assert everywhere["images"] == 6
    # The report is of PyTorch in fp32, the node may compute in bf16.
    assert [everywhere[name] for name in ("rel", "d1")] == pytest.approx([metrics["rel"], metrics["d1"]], abs=0.01)


@pytest.mark.extended
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("kill", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_an_interrupted_run_goes_on_where_it_was(
    adapted: Path, recording: Path, weights: Path, tmp_path: Path, start_process, kill: int, code: int
) -> None:
    """Epochs are not repeated, and the weights are those of a run that was not interrupted."""
    out = tmp_path / "killed"
    options = [recording, "--out", out, "--weights", weights, "--samples", "60"]
    process = start_process([sys.executable, "-m", "mp_perception.commands.main", "adapt", *options])
    deadline = time.monotonic() + 250
    while not (out / "training" / "last.ckpt").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, kill)
    assert process.wait(60) == code
    assert not (out / "weights.safetensors").exists()
    done = subprocess.run(
        [sys.executable, "-m", "mp_perception.commands.main", "adapt", *options], capture_output=True, text=True
    )
    assert done.returncode in (0, NOT_BETTER), done.stderr
    assert "epoch 5 of 5, step " in done.stderr
    assert "epoch 1 of 5" not in done.stderr
    whole, resumed = (read_checkpoint(folder / "weights.safetensors").state_dict() for folder in (adapted, out))
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "expected either bags"),
        (["--images", "x"], "expected --images, --depth and --intrinsics together"),
        (["missing_bag"], "missing_bag"),
        (["missing_bag", "--weights", "none.safetensors"], "none.safetensors: no such weights file"),
    ],
)
def test_wrong_arguments_are_named(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, text = adapt(*arguments)
    assert code == 2, text
    assert words in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda root: [path.unlink() for path in sorted((root / "depth").iterdir())[10:]], "at least 20 frames"),
        (lambda root: [path.unlink() for path in (root / "depth").iterdir()], "depth"),
        (
            lambda root: [
                write_depth_png(path, np.full((HEIGHT, WIDTH), 3, np.float32)) for path in (root / "depth").iterdir()
            ],
            "all depths are 3.00 m",
        ),
        (lambda root: (root / "calib.txt").unlink(), "calib.txt"),
    ],
)
def test_recordings_that_teach_nothing_are_refused(change, words: str, recording: Path, tmp_path: Path) -> None:
    root = tmp_path / "recording"
    subprocess.run(["cp", "-r", recording, root], check=True)
    change(root)
    code, text = adapt(root, "--out", tmp_path / "out")
    assert code == 2, text
    assert words in text
    assert not list((tmp_path / "out").rglob("*"))
