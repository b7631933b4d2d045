"""`mp_perception export` as a user calls it: what it writes, prints and refuses."""

from __future__ import annotations

import pytest

from mp_perception.inference.predictor import Predictor


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["m.pt"], "m.pt: expected a name that ends in .onnx or .xml"),
        (["m.onnx", "--weights", "no.safetensors"], "no.safetensors: no such weights file"),
        (["m.onnx", "--precision", "int8"], "expected --dataset NAME and --root FOLDER for --precision int8"),
        (["m.onnx", "--dataset", "synthetic"], "expected --dataset NAME with --root FOLDER, found one of them"),
        (["m.onnx", "--dataset", "wish", "--root", "."], "unknown data set 'wish'"),
        (["m.onnx", "--input-size", "100", "640"], "--input-size: expected an input size"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(mp_perception, street_weights, tmp_path, arguments, message) -> None:
    weights = [] if "--weights" in arguments else ["--weights", street_weights]
    done = mp_perception("export", *arguments, *weights, cwd=tmp_path)
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_help_teaches(mp_perception, tmp_path) -> None:
    done = mp_perception("export", "--help", cwd=tmp_path)
    assert done.returncode == 0
    for word in ("Example", "int8", "calibrate", "--validation-split", ".onnx"):
        assert word in done.stdout


@pytest.mark.slow
def test_an_eight_bit_model_is_written_scored_and_used(mp_perception, streets, street_weights, tmp_path) -> None:
    """Calibrated and scored on the streets it was trained on, it finds about what its network finds."""
    (streets / "ImageSets").mkdir(exist_ok=True)
    (streets / "ImageSets" / "some.txt").write_text("000000\n000003\n")
    arguments = ["--weights", street_weights, "--precision", "int8", "--dataset", "synthetic", "--root", streets]
    done = mp_perception("export", "fast.xml", *arguments, "--validation-split", "some", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"fast.xml", "fast.bin"}
    for text in ("fast.xml: int8", "Differences from PyTorch", "Accuracy on 2 images", "openvino, int8", "d1"):
        assert text in done.stdout
    image = next((streets / "training" / "image_2").iterdir())
    done = mp_perception("predict", image, "--weights", "fast.xml", "--num-threads", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "network run by openvino on cpu, int8 (the only one for .xml files)" in done.stdout


@pytest.mark.slow
def test_without_a_data_set_streets_are_drawn(mp_perception, street_weights, tmp_path) -> None:
    arguments = ["--weights", street_weights, "--input-size", "96", "320"]
    done = mp_perception("export", "small.onnx", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "onnxruntime" in done.stdout
    predictor = Predictor.load(weights=tmp_path / "small.onnx")
    assert predictor.description.input_size == (96, 320)
