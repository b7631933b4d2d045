"""Bad input of a command is one line, and changes no file."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mp_perception.commands.main import app
from mp_perception.errors import UserError


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("predict nothing.png", "nothing.png: no such file or folder"),
        ("predict object --weights no.safetensors", "no.safetensors: no such weights file"),
        ("predict object --device cuda:77", "device 'cuda:77' is not available"),
        ("predict object --intrinsics 0 1 2 3", "--intrinsics: focal lengths and image size must be positive"),
        ("evaluate --root .", "evaluate: expected --dataset NAME, found none"),
        ("evaluate --dataset kitti-object", "evaluate: expected --root FOLDER, found none"),
        ("evaluate --dataset none --root .", "unknown data set 'none': expected one of bag, coco, kitti-depth"),
        ("evaluate --dataset synthetic --root no", "no: no such folder, expected the data set synthetic"),
        ("evaluate --dataset synthetic --root object --save-depth full", "found something there"),
        ("evaluate --dataset synthetic --root object --plots a --save-depth a", "found it named twice"),
        ("evaluate --dataset synthetic --root object --json full", "expected a file for the figures"),
        ("evaluate --dataset synthetic --root object --tracking", "expected labels that name the same object in all"),
        ("bag evaluate street --tracking", "expected labels that name the same object in all frames, found none"),
        ("bag evaluate nowhere --json out.json", "nowhere: no such bag"),
        ("bag evaluate nowhere nor_here --json out.json", "none of 2 bags can be used; the first: "),
        ("bag evaluate street --json out.json --recorded", "expected recorded outputs"),
        (
            "bag evaluate street --json out.json --depth-topic /x",
            "/x of type sensor_msgs/msg/Image or sensor_msgs/msg/CompressedImage",
        ),
        ("bag evaluate street --json out.json --weights none.safetensors", "none.safetensors: no such"),
        ("bag evaluate street --json full", "expected a file for the figures, found a folder"),
        ("benchmark --weights no.safetensors", "no.safetensors: no such weights file"),
        ("benchmark --weights resnet50", "no default weights for resnet50"),
        ("benchmark --json file/figures.json", "file/figures.json: cannot be written: "),
        ("export m.pt", "m.pt: expected a name that ends in .onnx or .xml"),
        ("export m.onnx --weights no.safetensors", "no.safetensors: no such weights file"),
        ("export m.onnx --weights resnet50", "no default weights for resnet50"),
        ("export m.onnx --precision int8", "expected --dataset and --root for --precision int8"),
        ("export m.onnx --dataset synthetic", "expected --dataset and --root together, found one of them"),
        ("export m.onnx --dataset wish --root .", "unknown data set 'wish'"),
        ("demo --frames 2 --drive nowhere", "nowhere"),
        ("demo --frames 2 --weights no.safetensors", "no.safetensors: no such weights file"),
        ("demo --frames 2 --out full", "full: expected no folder or an earlier demo's, found 'thesis.txt' in it"),
        ("demo --frames 2 --out file", "file: cannot be created: File exists"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(
    streets: Path, street_bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, message: str
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    (tmp_path / "object").symlink_to(streets)
    (tmp_path / "street").symlink_to(street_bag)
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    done = CliRunner().invoke(app, shlex.split(command))
    assert isinstance(done.exception, UserError), (done.output, done.exception)
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)
    assert done.stdout == ""
    assert contents(tmp_path) == before


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}
