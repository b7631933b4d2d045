"""ROS messages: those that the node subscribes to, and those in bags."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from mp_perception.bags.message_types import bag_header, new_message
from mp_perception.bags.truth_messages import (
    boxes_3d_message,
    boxes_message,
    labels_message,
    read_boxes,
    read_boxes_3d,
    read_labels,
)
from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.kitti.labels import parse_label_line
from mp_perception.data.object_label import ObjectLabel
from mp_perception.geometry import CameraIntrinsics
from mp_perception.messages.camera_info import camera_info_message, intrinsics_of, scaled_camera_info
from mp_perception.messages.detections import read_detections
from mp_perception.messages.images import CAMERA_ENCODINGS, depth_to_array, image_message, image_to_array
from mp_perception.messages.points import points_message, read_points
from reliability.fuzzing.data_targets import LABELS, encoded, picture
from reliability.fuzzing.target import fuzz_bytes, fuzz_message

STAMP = 1_600_000_000_000_000_000
_HEADER = bag_header("camera", STAMP)
#: The size limit that is given to the parsers of images.
_MAX_PIXELS = 1_000_000


def object_labels() -> list[ObjectLabel]:
    """A car, a pedestrian and a region without labels."""
    return [parse_label_line(line, "seed") for line in LABELS.splitlines()]


def two_points() -> Any:
    """A PointCloud2 of two points."""
    points = np.array([[0.0, 0.0, 9.0, 0.5], [1.0, 0.2, 7.0, 0.1]], dtype=np.float32)
    return points_message(new_message, points, bag_header("scanner", STAMP))


def _images() -> list[Any]:
    """4x4 pixels in every encoding that cameras use, and in some that are refused."""
    data = np.arange(192, dtype=np.uint8)
    return [
        new_message("sensor_msgs/msg/Image", width=4, height=4, step=32, encoding=encoding, data=data)
        for encoding in (*CAMERA_ENCODINGS, "8UC4", "32FC3", "64FC1")
    ]


def _depth_images() -> list[Any]:
    metres = np.linspace(1, 9, 12, dtype=np.float32).reshape(3, 4)
    millimetres = image_message(new_message, (metres * 1000).astype(np.uint16), "16UC1", _HEADER)
    millimetres.is_bigendian = 1
    return [image_message(new_message, metres, "32FC1", _HEADER), millimetres]


@fuzz_message("sensor_msgs/msg/Image", _images)
def image(message: Any) -> None:
    image_to_array(message, _MAX_PIXELS)


@fuzz_message("sensor_msgs/msg/Image", _depth_images)
def depth_image(message: Any) -> None:
    depth_to_array(message, _MAX_PIXELS)


@fuzz_bytes(lambda: [encoded(".png", picture()), encoded(".jpg", picture()), encoded(".png", picture()[..., 0])])
def compressed_image(data: bytes) -> None:
    image_to_array(SimpleNamespace(format="", data=data), _MAX_PIXELS)


@fuzz_message(
    "sensor_msgs/msg/CameraInfo",
    lambda: [
        camera_info_message(new_message, CameraIntrinsics(180, 180, 152, 43, 320, 96), _HEADER),
        camera_info_message(new_message, CameraIntrinsics(180, 180, 152, 43, 320, 96), _HEADER, stereo_baseline=0.5),
    ],
)
def camera_info(message: Any) -> None:
    intrinsics_of(message, 320, 96)
    scaled_camera_info(new_message, message, 160, 48, _HEADER)


@fuzz_message("diagnostic_msgs/msg/DiagnosticArray", lambda: [labels_message(object_labels(), _HEADER)])
def truth_labels(message: Any) -> None:
    read_labels(message, "/labels")


@fuzz_message("vision_msgs/msg/Detection2DArray", lambda: [boxes_message(object_labels(), _HEADER)])
def truth_detections(message: Any) -> None:
    read_boxes(message, {"1": "Car"}, "/detections")


@fuzz_message("vision_msgs/msg/Detection2DArray", lambda: [boxes_message(object_labels()[:2], _HEADER)])
def recorded_detections(message: Any) -> None:
    read_detections(message, DEFAULT_CLASSES, "/detections")


@fuzz_message("vision_msgs/msg/Detection3DArray", lambda: [boxes_3d_message(object_labels(), _HEADER)])
def truth_detections_3d(message: Any) -> None:
    camera = CameraIntrinsics(721.5, 721.5, 609.6, 172.9, 1242, 375)
    read_boxes_3d(message, {"1": "Car"}, np.eye(4), camera, "/detections_3d")


@fuzz_message("sensor_msgs/msg/PointCloud2", lambda: [two_points()])
def point_cloud(message: Any) -> None:
    read_points(message, "/points")
