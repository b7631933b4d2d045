"""`make no-data-lost`: commands killed while they change files leave complete files, old or new, and run again.

Each command runs once to its end.  Then, round after round, it is killed at one of its changes of files
(interrupted.py) in a folder that holds the old results; every file that can be seen there must be whole, and the same
command, uninterrupted, must end well.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated

import cv2
import numpy as np
import typer

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


@dataclass(frozen=True)
class Command:
    """arguments: of mp_perception.  again: what goes on after a crash, if not the same.  keeps_old: it may write over
    old results."""

    arguments: tuple[str, ...]
    again: tuple[str, ...] = ()
    keeps_old: bool = True


_STREETS = ("--dataset", "synthetic", "--root", "streets", "--weights", "small.onnx")
COMMANDS = {
    "predict": Command(("predict", "images", "--weights", "small.onnx", "--out", "out")),
    "evaluate": Command(
        ("evaluate", *_STREETS, "--json", "figures.json", "--save-detections", "boxes", "--resamples", "2"),
        keeps_old=False,
    ),
    "bag": Command(("bag", "from-synthetic", "streets", "bag"), keeps_old=False),
    "bag (sqlite3)": Command(("bag", "from-synthetic", "streets", "bag", "--storage", "sqlite3"), keeps_old=False),
    "train": Command(
        ("train", "--config", "recipe.yaml", "--out", "trained"),
        ("train", "--config", "recipe.yaml", "--out", "trained", "--resume"),
        keeps_old=False,
    ),
    "export": Command(("export", "net.onnx", "--weights", "net.safetensors")),
    "export (OpenVINO)": Command(("export", "net.xml", "--weights", "net.safetensors")),
}


def main(
    rounds: Annotated[int, typer.Option(help="Kills of each command.")] = 5,
    out: Annotated[Path, typer.Option(help="Folder of no_data_lost.json.")] = Path("reliability_report"),
    commands: Annotated[list[str] | None, typer.Argument(help="Some commands only.")] = None,
) -> None:
    """Kill commands while they write; exit code 1 if a broken file was seen."""
    out.mkdir(parents=True, exist_ok=True)
    results = {}
    for name in commands or COMMANDS:
        with tempfile.TemporaryDirectory(prefix="no_data_lost.") as folder:
            try:
                results[name] = interrupt(name, Path(folder), rounds)
            except AssertionError as error:
                results[name] = f"failed: {error}"
        print(f"{name}: {results[name]}", flush=True)
        (out / "no_data_lost.json").write_text(json.dumps(results, indent=1))
    sys.exit(1 if any(result.startswith("failed") for result in results.values()) else 0)


def interrupt(name: str, folder: Path, rounds: int, seed: int = 1) -> str:
    """What happened in so many rounds; raises AssertionError for a broken file or a command that does not run again."""
    command = COMMANDS[name]
    inputs, complete = folder / "inputs", folder / "complete"
    inputs.mkdir()
    _prepare(name, inputs)
    shutil.copytree(inputs, complete)
    done = _run(complete, 0, 0.0, command.arguments)
    assert done.returncode == 0, done.stderr[-2000:]
    match = re.search(r"changes of files: (\d+)", done.stdout)
    assert match is not None
    changes = int(match[1])
    broken = broken_files(complete)
    assert not broken, broken
    random = Random(seed)
    killed = old = new = 0
    for number in range(rounds):
        place = folder / f"round{number}"
        shutil.copytree(complete if command.keeps_old else inputs, place)
        before = _outputs(place, inputs)
        result = _run(place, random.randint(1, changes), random.choice((0.0, 0.0, 0.0005, 0.005)), command.arguments)
        killed += result.returncode == -9
        broken = broken_files(place)
        assert not broken, f"{name}, round {number}: {broken}"
        after = _outputs(place, inputs)
        old += sum(after.get(path) == time for path, time in before.items())
        new += sum(before.get(path) != time for path, time in after.items())
        can_resume = command.again and (place / "trained" / "last.ckpt").exists()
        if not command.keeps_old and not can_resume:
            for path in ("figures.json", "boxes", "bag", "trained"):  # what the command says is in its way
                _remove(place / path)
        again = _run(place, 0, 0.0, command.again if can_resume else command.arguments)
        assert again.returncode == 0, f"{name}, round {number}: {again.stderr[-2000:]}"
        assert not broken_files(place)
        shutil.rmtree(place)
    return (
        f"killed {killed} times at one of {changes} changes of files: {old} old and {new} new files seen, all whole;"
        " it ran to its end afterwards each time"
    )


def visible_files(folder: Path) -> list[Path]:
    """Files that a user sees: none of those in the making, whose names begin with a dot."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def _outputs(folder: Path, inputs: Path) -> dict[Path, int]:
    """The visible files that a command wrote, and when."""
    return {
        path: path.stat().st_mtime_ns
        for path in visible_files(folder)
        if not (inputs / path.relative_to(folder)).exists()
    }


def broken_files(folder: Path) -> list[str]:
    """The files that are not whole."""
    broken = []
    for path in visible_files(folder):
        check = _CHECKS.get(path.suffix)
        try:
            if check is not None:
                check(path)
        except Exception as error:
            broken.append(f"{path.relative_to(folder)}: {type(error).__name__}: {error}")
    return broken


def _check_picture(path: Path) -> None:
    assert path.read_bytes().endswith(b"IEND\xaeB`\x82")
    assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED) is not None


def _check_checkpoint(path: Path) -> None:
    from mp_perception.network.checkpoint import read_checkpoint

    read_checkpoint(path)


def _check_resumable(path: Path) -> None:
    import torch

    torch.load(path, weights_only=True)


def _check_onnx(path: Path) -> None:
    import onnxruntime

    onnxruntime.InferenceSession(str(path))


def _check_openvino(path: Path) -> None:
    import openvino

    openvino.Core().read_model(path)


def _check_bag(path: Path) -> None:
    from mp_perception.bags.reading import BagReader

    with BagReader(path.parent) as reader:
        assert reader.message_count == sum(1 for _ in reader.messages()) > 0


def _check_labels(path: Path) -> None:
    from mp_perception.data.kitti.labels import read_labels

    read_labels(path)
    assert path.read_bytes()[-1:] in (b"", b"\n")


#: Ending of a file -> what raises an exception if it is not whole.
_CHECKS: dict[str, Callable[[Path], object]] = {
    ".json": lambda path: json.loads(path.read_text()),
    ".png": _check_picture,
    ".safetensors": _check_checkpoint,
    ".ckpt": _check_resumable,
    ".onnx": _check_onnx,
    ".xml": _check_openvino,
    ".mcap": _check_bag,
    ".db3": _check_bag,
}


def _run(folder: Path, number: int, delay: float, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reliability.interrupted", str(number), str(delay), *arguments]
    environment = {"PYTHONPATH": str(Path(__file__).resolve().parent.parent), "PATH": "/usr/bin:/bin", "HOME": "/tmp"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900, check=False
    )


def _prepare(name: str, folder: Path) -> None:
    """The files that a command reads, in a folder."""
    from mp_perception.geometry import CameraIntrinsics
    from mp_perception.synthetic.drive import write_object_set
    from reliability.fuzzing.seeds import SEEDS

    (folder / "small.onnx").write_bytes(SEEDS["onnx_model"]()[0])
    if name == "predict":
        (folder / "images").mkdir()
        for number in range(3):
            image = np.full((48, 64, 3), 40 * number, dtype=np.uint8)
            cv2.imwrite(str(folder / "images" / f"{number}.png"), image)
    elif name.startswith("export"):
        from mp_perception.network.checkpoint import write_checkpoint
        from mp_perception.network.multitask import MultiTaskNetwork, describe_network

        network = MultiTaskNetwork(describe_network("mobilenet_v2", input_size=(64, 96)))
        write_checkpoint(folder / "net.safetensors", network.eval())
    else:
        write_object_set(folder / "streets", 4, seed=3, camera=CameraIntrinsics(60, 60, 47.5, 31.5, 96, 64), workers=1)
        (folder / "recipe.yaml").write_text(_RECIPE)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


if __name__ == "__main__":
    typer.run(main)
