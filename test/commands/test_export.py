"""`mp_perception export` as a user calls it: what it writes and prints."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from mp_perception.commands.main import app
from mp_perception.inference.predictor import Predictor


@pytest.mark.slow
def test_an_int8_model_is_written_evaluated_and_used(streets, street_weights, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (streets / "ImageSets").mkdir(exist_ok=True)
    (streets / "ImageSets" / "some.txt").write_text("000000\n000003\n")
    arguments = ["--weights", str(street_weights), "--precision", "int8", "--dataset", "synthetic"]
    arguments += ["--root", str(streets), "--frames", "3", "--validation-split", "some"]
    result = CliRunner().invoke(app, ["export", "fast.xml", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"fast.xml", "fast.bin"}
    for text in ("fast.xml: int8", "Differences from PyTorch", "Accuracy on 2 images", "openvino, int8", "d1"):
        assert text in result.stdout
    image = str(next((streets / "training" / "image_2").iterdir()))
    result = CliRunner().invoke(app, ["predict", image, "--weights", "fast.xml", "--num-threads", "1"])
    assert result.exit_code == 0
    assert "network run by openvino on cpu, int8 (the only one for .xml files)" in result.stdout


@pytest.mark.extended
def test_without_a_data_set_synthetic_scenes_are_used(mp_perception, street_weights, tmp_path) -> None:
    """In a process of its own, as a user calls it."""
    done = mp_perception("export", "small.onnx", "--weights", street_weights, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "onnxruntime" in done.stdout
    predictor = Predictor.load(weights=tmp_path / "small.onnx")
    assert predictor.description.input_size == (192, 640)
