"""Messages of every type, and vision_msgs against the definitions that are built and the official type hash."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mp_perception.bags.message_types import VISION_MSGS, new_message, type_store

DEFINITIONS = Path(__file__).resolve().parents[2] / "environment" / "vision_msgs" / "msg"


def test_the_table_equals_the_files_that_are_built() -> None:
    assert {path.stem: path.read_text() for path in DEFINITIONS.glob("*.msg")} == VISION_MSGS


def test_the_type_hash_is_the_official_one() -> None:
    expected = "RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968"
    assert type_store().hash_rihs01("vision_msgs/msg/Detection2DArray") == expected


def test_fields_that_are_not_given_are_zero_or_empty() -> None:
    marker = new_message("visualization_msgs/msg/Marker", id=7)
    assert (marker.id, marker.ns, marker.frame_locked, marker.scale.z) == (7, "", False, 0.0)
    assert (marker.header.stamp.sec, marker.points, marker.texture.data.dtype) == (0, [], np.uint8)
    assert new_message("geometry_msgs/msg/PoseWithCovariance").covariance.tolist() == [0.0] * 36


def test_a_message_of_every_type_can_be_written_and_read() -> None:
    for name in sorted(type_store().fielddefs):
        data = type_store().serialize_cdr(new_message(name), name)
        read = type_store().deserialize_cdr(data, name)
        assert bytes(type_store().serialize_cdr(read, name)) == bytes(data), name
