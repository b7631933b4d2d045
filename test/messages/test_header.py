"""Headers, in memory and serialised; and the same messages from both kinds of message classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.serialization import serialize_message

from mp_perception.bags import message_types
from mp_perception.geometry import CameraIntrinsics
from mp_perception.messages.camera_info import camera_info_message
from mp_perception.messages.header import NewMessage, new_header, read_serialized_header, stamp_of
from mp_perception.messages.images import image_message
from mp_perception.messages.points import points_message
from mp_perception.messages.poses import transforms_message
from mp_perception.ros import message_class

STAMP = 1317042272_345808896


def test_stamps_keep_every_nanosecond(new: NewMessage, sent: Callable[[Any, str], Any]) -> None:
    header = sent(new_header(new, "camera", STAMP), "std_msgs/msg/Header")
    assert (header.stamp.sec, header.stamp.nanosec, header.frame_id) == (1317042272, 345808896, "camera")
    assert stamp_of(header) == STAMP


def test_the_header_of_a_serialised_message_is_read_alone() -> None:
    message = message_types.new_message(
        "sensor_msgs/msg/Image", header=new_header(message_types.new_message, "left", STAMP)
    )
    store = message_types.type_store()
    for little_endian in (True, False):
        data = bytes(store.serialize_cdr(message, "sensor_msgs/msg/Image", little_endian=little_endian))
        assert read_serialized_header(data) == (STAMP, "left")
        assert read_serialized_header(data[:21]) == (STAMP, "left")
        assert read_serialized_header(data[:18]) is None
    assert read_serialized_header(b"\x28\xb5\x2f\xfd" + bytes(40)) is None


def messages(new: NewMessage) -> list[tuple[str, Any]]:
    header = new_header(new, "camera", STAMP)
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    points = np.arange(8, dtype=np.float32).reshape(2, 4)
    camera = CameraIntrinsics(50, 60, 31, 15, 64, 32)
    return [
        ("sensor_msgs/msg/Image", image_message(new, image, "rgb8", header)),
        ("sensor_msgs/msg/CameraInfo", camera_info_message(new, camera, header, 0.5)),
        ("sensor_msgs/msg/PointCloud2", points_message(new, points, header)),
        ("tf2_msgs/msg/TFMessage", transforms_message(new, [("base", "camera", np.eye(4))], STAMP)),
    ]


def test_both_kinds_of_classes_give_the_same_messages() -> None:
    store = message_types.type_store()
    for (name, ours), (_, theirs) in zip(
        messages(message_class.new_message), messages(message_types.new_message), strict=True
    ):
        # Both read by one library, because the bytes between aligned fields are arbitrary.
        published = store.deserialize_cdr(bytes(serialize_message(ours)), name)
        assert bytes(store.serialize_cdr(published, name)) == bytes(store.serialize_cdr(theirs, name)), name
