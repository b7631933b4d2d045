"""Parsers of messages that are fuzzed: those of the node's topics, and those of bags.

Each is a function of bytes and a folder of its own, and returns or raises UserError (targets.py).  Imports are inside
the functions, so that a process loads only what its parser needs.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np

#: Sizes of what a message declares: the limit that the fuzzed functions are given where they take one.
MAX_PIXELS = 1_000_000
#: Before the pixels of an image message: width, height, step, is_bigendian, length of the encoding's name.
IMAGE_HEAD = struct.Struct("<IIIBB")


def _image_message(data: bytes) -> SimpleNamespace:
    head = data[: IMAGE_HEAD.size].ljust(IMAGE_HEAD.size, b"\0")
    width, height, step, is_bigendian, length = IMAGE_HEAD.unpack(head)
    rest = data[IMAGE_HEAD.size :]
    return SimpleNamespace(
        width=width,
        height=height,
        step=step,
        is_bigendian=is_bigendian,
        encoding=rest[:length].decode("utf-8", "replace"),
        data=rest[length:],
    )


def image(data: bytes, folder: Path) -> None:
    from mp_perception.image_messages import image_to_array

    image_to_array(_image_message(data), MAX_PIXELS)


def depth_image(data: bytes, folder: Path) -> None:
    from mp_perception.image_messages import depth_to_array

    depth_to_array(_image_message(data), MAX_PIXELS)


def other_image(data: bytes, folder: Path) -> None:
    """rclpy's class, and whatever encoding cv_bridge may know."""
    from sensor_msgs.msg import Image

    from mp_perception.ros.conversions import image_to_array

    fields = vars(_image_message(data))
    message = Image(**{name: value for name, value in fields.items() if name != "data"})
    message.data.frombytes(fields["data"])
    image_to_array(message, MAX_PIXELS)


def compressed_image(data: bytes, folder: Path) -> None:
    from mp_perception.image_messages import compressed_to_array

    compressed_to_array(SimpleNamespace(format="", data=data), MAX_PIXELS)


def camera_info(data: bytes, folder: Path) -> None:
    from rclpy.serialization import deserialize_message
    from sensor_msgs.msg import CameraInfo
    from std_msgs.msg import Header

    from mp_perception.camera_messages import intrinsics_of
    from mp_perception.ros.camera import scaled_camera_info

    if len(data) < 4 + (data[3] & 3 if len(data) > 3 else 0):
        return  # Fast CDR 2.3.3 crashes where the padding that the head names is not there (docs/reliability.md)
    try:
        message = deserialize_message(data, CameraInfo)
    except Exception:  # no message: the middleware's affair
        return
    intrinsics_of(message, 320, 96)
    scaled_camera_info(message, 160, 48, Header())


def bag_message(type_name: str, read: Callable[[object], object]) -> Callable[[bytes, Path], None]:
    def parse(data: bytes, folder: Path) -> None:
        from mp_perception.bags.message_index import read_header
        from mp_perception.bags.message_types import type_store

        read_header(data)
        try:
            message = type_store().deserialize_cdr(data, type_name)
        except Exception:  # BagReader.decode says so; what it gives is what matters here
            return
        read(message)

    return parse


def read_truth_labels(message: object) -> None:
    from mp_perception.bags.truth_messages import labels_of

    labels_of(message, "/labels")


def read_truth_detections(message: object) -> None:
    from mp_perception.bags.truth_messages import labels_of_detections

    labels_of_detections(message, {"1": "Car"}, "/detections")


def read_recorded_detections(message: object) -> None:
    from mp_perception.bags.recorded_outputs import detections_of
    from mp_perception.classes import DEFAULT_CLASSES

    detections_of(message, DEFAULT_CLASSES, "/detections")


def read_truth_detections_3d(message: object) -> None:
    from mp_perception.bags.truth_messages import labels_of_detections_3d
    from mp_perception.geometry import CameraIntrinsics

    camera = CameraIntrinsics(721.5, 721.5, 609.6, 172.9, 1242, 375)
    labels_of_detections_3d(message, {"1": "Car"}, np.eye(4), camera, "/detections_3d")


def read_point_cloud(message: object) -> None:
    from mp_perception.bags.point_clouds import points_of

    points_of(message, "/points")
