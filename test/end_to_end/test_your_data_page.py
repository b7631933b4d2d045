"""docs/your_data.md: its commands lead from a recording to a model, in their order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mp_perception.commands.main import app
from mp_perception.files import share_folder

PAGE = Path(__file__).resolve().parents[2] / "docs" / "your_data.md"

#: Less of it than on the page, with the same code.
SHORTER = {
    "synthetic": ["--workers", "1", "--size", "320x96"],
    "train": ["--data.samples_per_epoch=4", "--optimisation.epochs=1", "--data.workers=1"],
}


@pytest.mark.extended
@pytest.mark.timeout(1200)
def test_the_walk_from_a_recording_to_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = PAGE.read_text()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").symlink_to(share_folder() / "weights")
    (configuration,) = re.findall(r"```yaml\n# street_training.yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "street_training.yaml").write_text(configuration)
    commands = [shlex.split(line)[1:] for line in re.findall(r"^    (mp_perception .*)$", text, re.MULTILINE)]
    assert [command[0] for command in commands] == [
        "synthetic",
        "bag",
        "bag",
        "data",
        "data",
        "train",
        "evaluate",
        "export",
    ]
    outputs = []
    for command in commands:
        result = CliRunner().invoke(app, [*command, *SHORTER.get(command[0], [])], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        outputs.append(result.output)
    assert "24 frames with depth: expected 100 or more" in outputs[3]
    assert "refuse" not in outputs[3]
    assert "6 images, 6 depth maps" in outputs[4]
    for name in ("street_frames/annotations.json", "street.html", "street_weights/best.onnx"):
        assert (tmp_path / name).is_file(), name
