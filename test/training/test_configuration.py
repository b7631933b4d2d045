"""Configurations: files, overrides on the command line, and one line for invalid values."""

from pathlib import Path

import pytest

from mp_perception.errors import UserError
from mp_perception.training.configuration import DataSource, TrainingConfiguration, read_configuration

SHIPPED = sorted((Path(__file__).resolve().parents[2] / "config" / "train").glob("*.yaml"))


def write(folder: Path, text: str) -> Path:
    path = folder / "train.yaml"
    path.write_text(text)
    return path


def test_an_empty_file_gives_all_defaults(tmp_path):
    assert read_configuration(write(tmp_path, "")) == TrainingConfiguration()


def test_values_of_the_file_and_of_the_command_line(tmp_path):
    path = write(
        tmp_path,
        "network: {input_size: [96, 320]}\n"
        "data: {training: [{dataset: kitti-object, root: kitti/object, weight: 2}]}\n"
        "optimisation: {epochs: 3, learning_rate: 0.5}\n",
    )
    configuration = read_configuration(path, ["--optimisation.learning_rate=0.25", "--seed", "7"])
    assert configuration.network.input_size == (96, 320)
    assert configuration.data.training == [DataSource("kitti-object", "kitti/object", None, 2.0)]
    assert configuration.optimisation.epochs == 3
    assert configuration.optimisation.learning_rate == 0.25
    assert configuration.seed == 7


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configurations_are_read(path):
    configuration = read_configuration(path)
    assert configuration.data.training
    assert configuration.data.validation


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("optimisation: {epoch: 3}", [], "does not accept option 'epoch'"),
        ("optimisation: {epochs: many}", [], "optimisation.epochs"),
        ("optimisation: {schedule: sudden}", [], "optimisation.schedule"),
        ("", ["--optimisation.learning_rate=fast"], "optimisation.learning_rate"),
        ("", ["--speed=9"], "unrecognized arguments: --speed=9"),
        ("a: [", [], "expected a YAML file"),
        ("optimisation: {learning_rate: .inf}", [], "learning_rate: expected a number of 0 to 100, found inf"),
        ("optimisation: {learning_rate: -0.001}", [], "learning_rate: expected a number of 0 to 100, found -0.001"),
        ("optimisation: {epochs: 1000000000}", [], "epochs: expected a number of 1 to 1e+06, found 1e+09"),
        ("optimisation: {images_per_update: {depth: -1}}", [], "images_per_update.depth: expected a number of 0 to 1e"),
        ("", ["--data.batch_size=0"], "data.batch_size: expected a number of 1 to 65536, found 0"),
        ("", ["--data.samples_per_epoch=-5"], "data.samples_per_epoch: expected a number of 1 to 1e+09, found -5"),
        ("data: {workers: -1}", [], "data.workers: expected a number of 0 to 1024, found -1"),
        (
            "data: {training: [{dataset: coco, root: a, weight: 0}]}",
            [],
            "training.0.weight: expected a number of",
        ),
        ("data: {input_sizes: [[192, 640], [100, 100]]}", [], "multiples of 32 up to 4096, found (100, 100)"),
        ("network: {input_size: [192, 1000000]}", [], "multiples of 32 up to 4096, found (192, 1000000)"),
        (
            "network: {depth_range: [.nan, 80.0]}",
            [],
            "depth_range.0: expected a number of 0 to 1e+09, found nan",
        ),
        ("[" * 5000, [], "expected a YAML file"),
        ("a: &a [1]\nb: [*a, *a]", [], "expected a YAML file without aliases (*NAME), found one"),
        ("just text", [], "train.yaml: "),
    ],
)
def test_invalid_values_are_named_in_one_line(tmp_path, text, overrides, message):
    with pytest.raises(UserError, match="train.yaml") as caught:
        read_configuration(write(tmp_path, text), overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="nothing.yaml: expected a YAML file, found"):
        read_configuration(tmp_path / "nothing.yaml")
