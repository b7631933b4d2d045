"""The parameter table: its checks, and the files that are made from it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

from mp_perception.errors import UserError
from mp_perception.inference.prediction_settings import PredictionSettings
from mp_perception.network.multitask import describe_network
from mp_perception.ros.declared_parameters import with_limits
from mp_perception.ros.parameter_files import DOCUMENTATION_FILE, YAML_FILE, documentation_text, yaml_text
from mp_perception.ros.parameters import PARAMETERS, NodeParameters, ros_value, value_of_argument

CHECKOUT = Path(__file__).resolve().parents[2]

values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=3),
    st.lists(st.integers(), max_size=3), st.lists(st.text(max_size=3), max_size=3), st.lists(st.floats(), max_size=3),
)  # fmt: skip


def test_the_files_are_those_of_the_table() -> None:
    page = (CHECKOUT / DOCUMENTATION_FILE).read_text(encoding="utf-8")
    assert documentation_text(page) == page, "run python -m mp_perception.ros.parameter_files"
    text = (CHECKOUT / YAML_FILE).read_text(encoding="utf-8")
    assert yaml_text() == text, "run python -m mp_perception.ros.parameter_files"


def test_the_yaml_file_contains_every_default() -> None:
    table = yaml.safe_load(yaml_text())["/**"]["ros__parameters"]
    assert table == {row.name: ros_value(row.default) for row in PARAMETERS.values()}
    assert NodeParameters.checked(table) == NodeParameters()


def test_the_documentation_names_every_parameter_once() -> None:
    page = (CHECKOUT / DOCUMENTATION_FILE).read_text(encoding="utf-8")
    rows = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| `")]
    assert rows == [f"`{name}`" for name in PARAMETERS]


def test_run_time_parameters_are_those_of_the_interface() -> None:
    fixed = {
        "backbone", "weights", "device", "runtime", "precision", "num_threads", "input_size", "input_pixels",
        "process_every_frame", "image_transport", "autostart", "diagnostics_period", "odom_frame",
    }  # fmt: skip
    assert fixed == {name for name, row in PARAMETERS.items() if not row.metadata["run_time"]}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("backbone", ["resnet50"], ["vgg16", "", 1, None]),
        ("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:12"], ["cuda:", "gpu", "cuda:x", "cuda:0 ", ""]),
        ("num_threads", [0, 256], [-1, 257, 1.0, True]),
        ("input_size", [[0, 0], [192, 640], [32, 4096]], [[192], [100, 640], [0, 640], [-32, 32], [8192, 32], "x"]),
        ("input_size", [], [[32.0, 32.0], [True, True], 32, None, []]),
        ("input_pixels", [0, 1024, 122880, 2**24], [-1, 1023, 2**24 + 1, 122880.0]),
        ("score_threshold", [-1.0, -1, 0, 1, 0.5], [-0.5, 1.1, math.nan, math.inf, "0.5", True, None]),
        ("max_detections", [1, 1000], [0, 1001, 10.0]),
        ("classes", [[""], ["Car", "Van"], []], ["Car", [1]]),
        ("min_depth", [-1.0, 0.5], [0.0, -2.0, 1001.0, math.inf, math.nan]),
        ("max_age", [0, 0.0, 60], [-0.1, 61.0, math.nan]),
        ("focal_scaling", [True, False], [1, "true", None]),
        ("max_image_pixels", [1], [0, 2**31]),
        ("weights", ["", "a.safetensors"], ["a\0b", 5]),
    ],
)  # fmt: skip
def test_ranges(name: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        NodeParameters.checked({name: value})
    for value in bad:
        with pytest.raises(UserError) as caught:
            NodeParameters.checked({name: value})
        assert str(caught.value).startswith(f"{name}: expected ")
        assert str(caught.value).endswith(f"found {value!r}")


@given(st.sampled_from(sorted(PARAMETERS)), values)
def test_any_value_gets_the_type_of_the_table_or_is_refused(name: str, value: Any) -> None:
    try:
        parameters = NodeParameters.checked({name: value})
    except UserError:
        return
    taken = getattr(parameters, name)
    default = getattr(NodeParameters(), name)
    assert type(taken) is type(default)
    assert replace(parameters, **{name: default}) == NodeParameters()


@pytest.mark.parametrize("row", PARAMETERS.values(), ids=lambda row: row.name)
def test_the_limits_of_a_number_enclose_what_is_accepted(row: Any) -> None:
    limits = row.metadata["range"].limits
    assert (limits is not None) == (type(row.default) in (int, float))
    for value in limits or ():
        NodeParameters.checked({row.name: value})
    for value in (limits[0] - 1, limits[1] + 1) if limits else ():
        with pytest.raises(UserError):
            NodeParameters.checked({row.name: value})


def test_limits_are_in_the_description_of_a_parameter() -> None:
    plain = ParameterDescriptor(name="max_age", description="age")
    limited = with_limits("max_age", plain)
    assert limited.floating_point_range == [FloatingPointRange(from_value=0.0, to_value=60.0)]
    assert limited.description == "age"
    assert list(plain.floating_point_range) == []
    assert with_limits("max_detections", plain).integer_range == [IntegerRange(from_value=1, to_value=1000)]
    for name in ("weights", "use_sim_time", "qos_overrides./image.subscription.depth"):
        assert with_limits(name, plain) is plain


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("max_age", "1", 1.0),
        ("score_threshold", "0.25", 0.25),
        ("classes", "[Car, Van]", ["Car", "Van"]),
        ("input_size", "[192, 640]", [192, 640]),
        ("focal_scaling", "false", False),
        ("weights", "1.0", "1.0"),
    ],
)
def test_arguments_are_read_by_the_type_of_the_parameter(name: str, text: str, value: Any) -> None:
    found = value_of_argument(name, text)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("name", "text"), [("max_age", "old"), ("classes", "Car"), ("classes", "[Car"), ("max_age", "61")]
)
def test_arguments_of_another_type_or_range_are_refused(name: str, text: str) -> None:
    with pytest.raises(UserError, match=f"^{name}: expected .*, found "):
        value_of_argument(name, text)


def test_depth_limits_must_be_a_range() -> None:
    with pytest.raises(UserError, match=r"min_depth: expected less than max_depth \(5\), found 10"):
        NodeParameters.checked({"min_depth": 10.0, "max_depth": 5.0})


def test_defaults_come_from_the_checkpoint() -> None:
    description = describe_network("mobilenet_v2")
    parameters = NodeParameters()
    parameters.check_against(description)
    assert parameters.prediction_settings() == PredictionSettings()
    assert parameters.depth_range(description) == description.depth_range
    assert parameters.effective_score_threshold(description) == description.score_threshold
    given = NodeParameters.checked({"score_threshold": 0, "max_depth": 20, "classes": ["Car"]})
    assert given.depth_range(description) == (description.depth_range[0], 20.0)
    assert given.effective_score_threshold(description) == 0.0
    assert given.prediction_settings() == PredictionSettings(score_threshold=0.0, max_depth=20.0, classes=("Car",))


@pytest.mark.parametrize(
    ("values", "words"), [({"classes": ["Car", "Tree"]}, "found 'Tree'"), ({"min_depth": 100.0}, "found 100 to 80")]
)
def test_values_that_do_not_match_the_checkpoint_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        NodeParameters.checked(values).check_against(describe_network("mobilenet_v2"))
