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
        ("optimisation: {learning_rate: .inf}", [], "optimisation.learning_rate: expected a finite number, found inf"),
        ("network: {depth_range: [.nan, 80.0]}", [], "network.depth_range.0: expected a finite number, found nan"),
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
