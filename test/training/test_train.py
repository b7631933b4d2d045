"""`mp_perception train`: weights that load, a curve that continues after a kill, several processes, invalid input."""

import errno
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from mp_perception.commands.main import app
from mp_perception.data.data_sets import open_data_set
from mp_perception.errors import UserError
from mp_perception.evaluation.figures import headline_figures
from mp_perception.evaluation.scoring import evaluate
from mp_perception.geometry import CameraIntrinsics
from mp_perception.inference.predictor import Predictor
from mp_perception.network.checkpoint import read_checkpoint
from mp_perception.synthetic.drive import write_object_set
from mp_perception.training.trainer import CompleteCheckpointIO

pytestmark = pytest.mark.slow

CONFIGURATION = """
network: {input_size: [64, 192], focal_length: 110.0}
data:
  training: [{dataset: synthetic, root: streets}]
  validation: [{dataset: synthetic, root: streets}]
  batch_size: 4
  samples_per_epoch: 8
  workers: 0
optimisation: {epochs: 3, average_decay: 0.5}
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_object_set(folder / "streets", 6, seed=3, camera=CameraIntrinsics(220, 220, 191, 60, 384, 128), workers=2)
    (folder / "train.yaml").write_text(CONFIGURATION)
    return folder


#: Arguments of Python, or of torchrun, before those of the command.
COMMAND = ["-m", "mp_perception.commands.main", "train"]


def train(*arguments: str, folder: Path) -> Result:
    """Runs the command in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return CliRunner().invoke(app, ["train", *arguments])


def curve(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "validation.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(data) -> Path:
    """A training that is not interrupted."""
    done = train("--config", "train.yaml", "--out", "whole", folder=data)
    assert done.exit_code == 0, done.output[-2000:]
    return data / "whole"


def test_a_log_holds_the_progress_and_nothing_of_the_libraries(data):
    command = [sys.executable, *COMMAND, "--config", "train.yaml", "--out", "quiet", "--data.validation=[]"]
    done = subprocess.run(command, cwd=data, capture_output=True, text=True, timeout=280, check=True)
    lines = done.stderr.splitlines()
    assert len(lines) >= 3
    assert all(re.fullmatch(r"epoch \d of 3, step \d of 6: loss [\d.]+, [\d.]+ minutes left", line) for line in lines)


def test_without_validation_the_last_averaged_weights_are_written(data, whole):
    done = train("--config", "train.yaml", "--out", "unvalidated", "--data.validation=[]", folder=data)
    assert done.exit_code == 0, done.output[-2000:]
    assert not (data / "unvalidated" / "best.safetensors").exists()
    assert "weights: unvalidated/last.safetensors" in done.output
    written, expected = (read_checkpoint(data / name / "last.safetensors") for name in ("unvalidated", "whole"))
    for (name, value), other in zip(written.state_dict().items(), expected.state_dict().values(), strict=True):
        torch.testing.assert_close(value, other, msg=name)


def test_weights_are_files_that_the_predictor_loads(whole):
    assert [line["epoch"] for line in curve(whole)] == [1, 2, 3]
    for name in ("best", "last"):
        predictor = Predictor.load(weights=whole / f"{name}.safetensors")
        assert predictor.description.training_focal_length == 110
        assert "score" in predictor.description.metrics
        assert np.isfinite(predictor.predict(np.zeros((128, 384, 3), np.uint8)).depth).all()
    assert (whole / "configuration.yaml").is_file()
    assert cv2.imread(str(whole / "curve.png")).shape == (700, 800, 3)
    assert any((whole / "tensorboard").iterdir())


def test_the_written_weights_are_those_that_were_validated(data, whole):
    """With averaged weights there are two sets of them; the file must hold the one whose figures stand beside it."""
    predictor = Predictor.load(weights=whole / "last.safetensors")
    figures = headline_figures(evaluate(predictor, open_data_set("synthetic", data / "streets")))
    written = predictor.description.metrics
    assert written["epoch"] == 3
    for name in ("d1", "rmse"):
        assert figures[name] == pytest.approx(written[f"0-synthetic/{name}"], abs=2e-5)


def test_a_killed_training_ends_with_the_same_weights(data, whole, start_process):
    """Bit for bit, and also with samples from a loading process, which begins before the epoch is restored."""
    options = ["--config", "train.yaml", "--out", "killed", "--data.workers=1"]
    process = start_process(
        [sys.executable, *COMMAND, *options],
        cwd=data,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    out = data / "killed"
    deadline = time.monotonic() + 200
    while not (out / "last.ckpt").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    seen = len(curve(out))
    assert 1 <= seen <= 3
    done = train(*options, "--resume", folder=data)
    assert done.exit_code == 0, done.output[-2000:]
    assert {line["epoch"]: line for line in curve(out)} == {line["epoch"]: line for line in curve(whole)}
    written, expected = (read_checkpoint(folder / "last.safetensors").state_dict() for folder in (out, whole))
    assert all(torch.equal(value, expected[name]) for name, value in written.items())


@pytest.mark.extended
def test_two_processes_see_the_same_samples_and_reach_the_same_figures(data, whole, start_process):
    """The total batch is the same; figures differ only because batch norm and losses see half of a batch each."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--master_port=29517"]
    training = start_process(
        [*launcher, *COMMAND, "--config", "train.yaml", "--out", "two"], cwd=data, stderr=subprocess.PIPE, text=True
    )
    _, errors = training.communicate(timeout=280)
    assert training.returncode == 0, errors[-3000:]
    one, two = curve(whole)[-1], curve(data / "two")[-1]
    assert one.keys() == two.keys()
    assert two["score"] == pytest.approx(one["score"], abs=0.1)
    assert Predictor.load(weights=data / "two" / "best.safetensors").description.backbone == "mobilenet_v2"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", None])
def test_a_damaged_checkpoint_is_not_resumed(data, tmp_path, content):
    if content is None:
        torch.save({"state_dict": {}}, tmp_path / "last.ckpt")
    else:
        (tmp_path / "last.ckpt").write_bytes(content)
    done = train("--config", "train.yaml", "--out", str(tmp_path), "--resume", folder=data)
    assert isinstance(done.exception, UserError)
    assert re.fullmatch(r".*last\.ckpt: expected a checkpoint of a training, found\b.*", str(done.exception))


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    CompleteCheckpointIO().save_checkpoint({"step": 1}, path)

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UserError, match="No space left on device"):
        CompleteCheckpointIO().save_checkpoint({"step": 2}, path)
    assert torch.load(path) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "no.yaml"], "no.yaml: expected a YAML file, found"),
        (["--config", "train.yaml", "--resume", "--out", "new"], "last.ckpt: nothing to resume"),
        (["--config", "train.yaml", "--data-root", "nowhere"], "nowhere/streets: no such folder"),
        (["--config", "train.yaml", "--network.backbone=vgg"], "unknown backbone 'vgg'"),
        (["--config", "train.yaml", "--out", "streets"], "streets: expected a new or empty folder"),
        (["--config", "train.yaml", "--data.batch_size=100"], "data.samples_per_epoch 8: expected at least 100"),
        (["--config", "train.yaml", "--losses.depth=wish"], "unknown depth loss 'wish'"),
    ],
)
def test_invalid_input_is_a_user_error_and_nothing_is_written(data, arguments, message):
    before = {path.name for path in data.iterdir()}
    done = train(*arguments, folder=data)
    assert isinstance(done.exception, UserError), done.output[-2000:]
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)
    assert {path.name for path in data.iterdir()} == before


@pytest.mark.extended
def test_the_two_stage_peer_trains_and_is_scored_by_the_same_commands(data):
    two_stage = "decoder: none, head: faster_rcnn, levels: [{stride: 32, source: backbone, shapes: [[64.0, 64.0]]}]"
    (data / "peer.yaml").write_text(CONFIGURATION.replace("network: {", f"network: {{{two_stage}, "))
    done = train("--config", "peer.yaml", "--out", "peer", "--optimisation.epochs=1", folder=data)
    assert done.exit_code == 0, done.output[-2000:]
    weights = Predictor.load(weights=data / "peer" / "last.safetensors")
    assert weights.description.head == "faster_rcnn"
    figures = headline_figures(evaluate(weights, open_data_set("synthetic", data / "streets")))
    [line] = curve(data / "peer")
    assert figures["AP40-Car"] == pytest.approx(line["0-synthetic/AP40-Car"], abs=1e-5)
    assert "d1" not in figures  # it does not estimate depth
