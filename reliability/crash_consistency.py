"""`make crash-consistency`: commands that are killed while they write leave complete files, and run again.

Each command runs once to its end.  Then, round after round, it is killed at one of its file changes (interrupted.py);
every visible file must be complete, and the same command, uninterrupted, must succeed.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Annotated

import onnxruntime
import torch
import typer
from PIL import Image

from mp_perception.bags.reading import BagReader
from mp_perception.geometry import CameraIntrinsics
from mp_perception.inference.runtimes.openvino_runtime import read_network
from mp_perception.network.checkpoint import read_checkpoint, write_checkpoint
from mp_perception.network.multitask import MultiTaskNetwork, describe_network
from mp_perception.synthetic.drive import write_object_set
from reliability.small_network import write_small_network

CHECKOUT = Path(__file__).resolve().parent.parent
_RECIPE = """
network: {input_size: [64, 96], focal_length: 110.0}
data:
  training: [{dataset: synthetic, root: streets}]
  validation: [{dataset: synthetic, root: streets}]
  batch_size: 2
  samples_per_epoch: 2
  workers: 0
optimisation: {epochs: 2, average_decay: 0.5}
"""


_STREETS = "--dataset synthetic --root streets --weights small.onnx"
COMMANDS = {
    "predict": "predict images --weights small.onnx --out out",
    "evaluate": f"evaluate {_STREETS} --json figures.json --save-detections boxes --resamples 2",
    "bag": "bag from-synthetic streets bag",
    "bag (sqlite3)": "bag from-synthetic streets bag --storage sqlite3",
    "train": "train --config recipe.yaml --out trained",
    "export": "export net.onnx --weights net.safetensors",
    "export (OpenVINO)": "export net.xml --weights net.safetensors",
}
#: Commands that replace old results, so each round starts with some.
_REPLACING = ("predict", "export", "export (OpenVINO)")


def main(
    rounds: Annotated[int, typer.Option(help="Kills of each command.")] = 5,
    commands: Annotated[list[str] | None, typer.Argument(help="Commands; all by default.", show_default=False)] = None,
) -> None:
    """Kill commands while they write; exit code 1 if a file is incomplete or a command does not run again."""
    failed = False
    for name in commands or COMMANDS:
        with tempfile.TemporaryDirectory(prefix="crash_consistency.") as folder:
            try:
                result = interrupt(name, Path(folder), rounds)
            except AssertionError as error:
                result, failed = f"failed: {error}", True
        print(f"{name}: {result}", flush=True)
    sys.exit(1 if failed else 0)


def interrupt(name: str, folder: Path, rounds: int) -> str:
    """What happened; raises AssertionError for an incomplete file or a command that does not run again."""
    arguments = COMMANDS[name].split()
    inputs, complete = folder / "inputs", folder / "complete"
    inputs.mkdir()
    _write_inputs(name, inputs)
    shutil.copytree(inputs, complete)
    changes = int(_run_to_end(complete, arguments).rpartition("file changes: ")[2])
    assert not (incomplete := incomplete_files(complete)), incomplete
    random = Random(1)
    killed = 0
    for number in range(rounds):
        place = folder / f"round{number}"
        shutil.copytree(complete if name in _REPLACING else inputs, place)
        delay = random.choice((0.0, 0.0, 0.0005, 0.005))
        killed += _run(place, random.randint(1, changes), delay, arguments).returncode == -signal.SIGKILL
        assert not (incomplete := incomplete_files(place)), f"round {number}: {incomplete}"
        if name not in _REPLACING:
            _remove_results(place, inputs)
        _run_to_end(place, arguments)
        assert not (incomplete := incomplete_files(place)), f"after round {number}: {incomplete}"
        shutil.rmtree(place)
    return f"killed {killed} times at one of {changes} file changes: all files were complete, and it ran again"


def incomplete_files(folder: Path) -> list[str]:
    """Files that cannot be read to their end; not hidden ones, under whose names results are written."""
    found = []
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        try:
            if path.is_file() and not hidden:
                _CHECKS.get(path.suffix, Path.read_bytes)(path)
        except Exception as error:
            found.append(f"{path.relative_to(folder)}: {type(error).__name__}: {error}")
    return found


def _check_bag(path: Path) -> None:
    with BagReader(path.parent) as reader:
        assert reader.message_count == sum(1 for _ in reader.messages()) > 0


#: Suffix -> function that raises an exception for an incomplete file.
_CHECKS: dict[str, Callable[[Path], object]] = {
    ".json": lambda path: json.loads(path.read_text()),
    ".png": lambda path: Image.open(path).load(),
    ".safetensors": read_checkpoint,
    ".ckpt": lambda path: torch.load(path, weights_only=True),
    ".onnx": lambda path: onnxruntime.InferenceSession(path),
    ".xml": read_network,
    ".mcap": _check_bag,
    ".db3": _check_bag,
}


def _run(folder: Path, number: int, delay: float, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reliability.interrupted", str(number), str(delay), *arguments]
    environment = {"PYTHONPATH": str(CHECKOUT), "PATH": "/usr/bin:/bin", "HOME": "/tmp"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900, check=False
    )


def _run_to_end(folder: Path, arguments: list[str]) -> str:
    """Its output."""
    done = _run(folder, 0, 0.0, arguments)
    assert done.returncode == 0, f"{folder.name}: {done.stderr[-2000:]}"
    return done.stdout


def _remove_results(folder: Path, inputs: Path) -> None:
    """Removes the visible files of an earlier run."""
    for path in folder.iterdir():
        if not path.name.startswith(".") and not (inputs / path.name).exists():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def _write_inputs(name: str, folder: Path) -> None:
    """Writes the files that a command reads."""
    write_small_network(folder)
    if name == "predict":
        (folder / "images").mkdir()
        for number in range(3):
            Image.new("L", (64, 48), 40 * number).save(folder / "images" / f"{number}.png")
    elif name.startswith("export"):
        network = MultiTaskNetwork(describe_network("mobilenet_v2", input_size=(64, 96)))
        write_checkpoint(folder / "net.safetensors", network.eval())
    else:
        write_object_set(folder / "streets", 4, seed=3, camera=CameraIntrinsics(60, 60, 47.5, 31.5, 96, 64), workers=1)
        (folder / "recipe.yaml").write_text(_RECIPE)


if __name__ == "__main__":
    typer.run(main)
