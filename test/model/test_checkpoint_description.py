"""The description's JSON: round trip, and one line for every invalid value."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mp_perception.errors import UserError
from mp_perception.model.checkpoint_description import (
    BACKBONE_NAMES,
    AdaptedCamera,
    CheckpointDescription,
    DetectionLevel,
)

DESCRIPTION = CheckpointDescription(
    backbone="mobilenet_v2",
    decoder="deconvolution",
    head="plain",
    levels=(DetectionLevel(8, "decoder", ((20.0, 20.0), (12.5, 30.0))), DetectionLevel(64, "extra", ((160.0, 160.0),))),
    class_names=("Car", "Pedestrian"),
    input_size=(192, 640),
    pixel_mean=(127.5, 127.5, 127.5),
    pixel_std=(127.5, 127.5, 127.5),
    training_focal_length=369.4,
    camera=AdaptedCamera(640, 480, 525.0),
    metrics={"d1": 0.9},
)


def test_json_round_trip():
    assert CheckpointDescription.from_json(DESCRIPTION.to_json(), "w.safetensors") == DESCRIPTION


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format_version", 2, "format version 1, found 2"),
        ("backbone", 7, "a text in backbone"),
        ("class_names", [], "1 to 1000 classes, found 0"),
        ("class_names", ["Car", "Car"], "named once"),
        ("input_size", [100, 640], "multiples of 32"),
        ("input_size", [192, 64000], "up to 4096"),
        ("input_size", [192], "not enough values"),
        ("depth_range", [5, 1], "minimum < maximum"),
        ("depth_range", [1, float("inf")], "minimum < maximum"),
        ("max_depth", 81, "a max_depth in the depth_range or none, found 81"),
        ("max_depth", 1, "a max_depth in the depth_range or none, found 1"),
        ("depth_bound", "square", "logarithmic or none"),
        ("pixel_std", [1, 0, 1], "positive pixel_std"),
        ("pixel_mean", [1, 2], "3 numbers in pixel_mean"),
        ("training_focal_length", -3, "positive training_focal_length"),
        ("score_threshold", 1.5, "score_threshold of 0 to 1"),
        ("levels", [{"stride": 12, "source": "backbone", "shapes": [[1, 1]]}], "power of two"),
        ("levels", [{"stride": 64, "source": "backbone", "shapes": [[1, 1]]}], "extra above stride 32"),
        ("levels", [{"stride": 8, "source": "backbone", "shapes": [[1, 1]] * 65}], "at most 64"),
        ("levels", [{"stride": 8, "source": "backbone", "shapes": [[1, -1]]}], "default boxes of 0 to"),
        ("levels", [{"stride": 8, "source": "backbone"}], "lacks 'shapes'"),
        ("levels", "many", "a list"),
        ("camera", 7, "an object in camera"),
        ("camera", {"width": 640, "height": 0, "focal_length": 500}, "a camera with an image size"),
        ("camera", {"width": 640, "height": 480, "focal_length": 0}, "a camera with a positive focal length"),
        ("camera", {"width": 640, "height": 480}, "lacks 'focal_length'"),
    ],
)
def test_every_invalid_value_is_named_in_one_line(key, value, message):
    values = json.loads(DESCRIPTION.to_json())
    values[key] = value
    with pytest.raises(UserError, match=message) as caught:
        CheckpointDescription.from_json(json.dumps(values), "w.safetensors")
    assert str(caught.value).startswith("w.safetensors: ")
    assert "\n" not in str(caught.value)


def test_the_maximum_depth_is_that_of_the_range_unless_it_is_given():
    assert DESCRIPTION.valid_depth_range == (1, 80)
    limited = replace(DESCRIPTION, depth_range=(1, 160), max_depth=80)
    assert limited.valid_depth_range == (1, 80)
    assert CheckpointDescription.from_json(limited.to_json(), "w") == limited
    first = json.loads(DESCRIPTION.to_json())
    del first["max_depth"]  # checkpoints from before it existed
    assert CheckpointDescription.from_json(json.dumps(first), "w") == DESCRIPTION


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"format_version": 1}', "[" * 100000])
def test_text_that_is_not_a_description_is_refused(text):
    with pytest.raises(UserError, match="w: not a usable checkpoint description"):
        CheckpointDescription.from_json(text, "w")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(sorted(json.loads(DESCRIPTION.to_json()))), json_values)
def test_any_json_value_anywhere_gives_a_description_or_a_user_error(key, value):
    values = json.loads(DESCRIPTION.to_json())
    values[key] = value
    try:
        read = CheckpointDescription.from_json(json.dumps(values), "w")
    except UserError:
        return
    assert read.format_version == 1


def test_names_known_without_torch_are_the_registered_ones():
    from mp_perception.network.backbones import BACKBONES

    assert set(BACKBONE_NAMES) == set(BACKBONES)
    assert replace(DESCRIPTION, backbone=BACKBONE_NAMES[0]).backbone in BACKBONES
