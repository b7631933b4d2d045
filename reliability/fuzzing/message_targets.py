"""ROS messages: those that the node subscribes to, and those in bags."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from mp_perception.bags.messages import camera_info_message, image_message, new_message, point_cloud_message
from mp_perception.bags.point_clouds import points_of
from mp_perception.bags.recorded_outputs import detections_of
from mp_perception.bags.truth_messages import (
    detections_3d_message,
    detections_message,
    labels_message,
    labels_of,
    labels_of_detections,
    labels_of_detections_3d,
)
from mp_perception.camera_messages import intrinsics_of
from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.kitti.labels import parse_label_line
from mp_perception.data.object_label import ObjectLabel
from mp_perception.geometry import CameraIntrinsics
from mp_perception.image_messages import CAMERA_ENCODINGS, compressed_to_array, depth_to_array
from mp_perception.ros.conversions import image_to_array
from reliability.fuzzing.data_targets import LABELS, encoded, picture
from reliability.fuzzing.target import fuzz_bytes, fuzz_message

STAMP = 1_600_000_000_000_000_000
#: The size limit that is given to the parsers of images.
_MAX_PIXELS = 1_000_000


def object_labels() -> list[ObjectLabel]:
    """A car, a pedestrian and a region without labels."""
    return [parse_label_line(line, "seed") for line in LABELS.splitlines()]


def two_points() -> Any:
    """A PointCloud2 of two points."""
    points = np.array([[0.0, 0.0, 9.0, 0.5], [1.0, 0.2, 7.0, 0.1]], dtype=np.float32)
    return point_cloud_message(points, "scanner", STAMP)


def _images() -> list[Any]:
    """4x4 pixels in every encoding that cameras use, and in some that only cv_bridge reads."""
    data = np.arange(192, dtype=np.uint8)
    return [
        new_message("sensor_msgs/msg/Image", width=4, height=4, step=32, encoding=encoding, data=data)
        for encoding in (*CAMERA_ENCODINGS, "8UC4", "32FC3", "64FC1")
    ]


def _depth_images() -> list[Any]:
    metres = np.linspace(1, 9, 12, dtype=np.float32).reshape(3, 4)
    millimetres = image_message((metres * 1000).astype(np.uint16), "16UC1", "camera", STAMP)
    millimetres.is_bigendian = 1
    return [image_message(metres, "32FC1", "camera", STAMP), millimetres]


@fuzz_message("sensor_msgs/msg/Image", _images)
def image(message: Any) -> None:
    image_to_array(message, _MAX_PIXELS)


@fuzz_message("sensor_msgs/msg/Image", _depth_images)
def depth_image(message: Any) -> None:
    depth_to_array(message, _MAX_PIXELS)


@fuzz_bytes(lambda: [encoded(".png", picture()), encoded(".jpg", picture()), encoded(".png", picture()[..., 0])])
def compressed_image(data: bytes) -> None:
    compressed_to_array(SimpleNamespace(format="", data=data), _MAX_PIXELS)


@fuzz_message(
    "sensor_msgs/msg/CameraInfo",
    lambda: [
        camera_info_message(CameraIntrinsics(180, 180, 152, 43, 320, 96), "camera", STAMP),
        camera_info_message(CameraIntrinsics(180, 180, 152, 43, 320, 96), "camera", STAMP, stereo_baseline=0.5),
    ],
)
def camera_info(message: Any) -> None:
    intrinsics_of(message, 320, 96)


@fuzz_message("diagnostic_msgs/msg/DiagnosticArray", lambda: [labels_message(object_labels(), "camera", STAMP)])
def truth_labels(message: Any) -> None:
    labels_of(message, "/labels")


@fuzz_message("vision_msgs/msg/Detection2DArray", lambda: [detections_message(object_labels(), "camera", STAMP)])
def truth_detections(message: Any) -> None:
    labels_of_detections(message, {"1": "Car"}, "/detections")


@fuzz_message("vision_msgs/msg/Detection2DArray", lambda: [detections_message(object_labels()[:2], "camera", STAMP)])
def recorded_detections(message: Any) -> None:
    detections_of(message, DEFAULT_CLASSES, "/detections")


@fuzz_message("vision_msgs/msg/Detection3DArray", lambda: [detections_3d_message(object_labels(), "camera", STAMP)])
def truth_detections_3d(message: Any) -> None:
    camera = CameraIntrinsics(721.5, 721.5, 609.6, 172.9, 1242, 375)
    labels_of_detections_3d(message, {"1": "Car"}, np.eye(4), camera, "/detections_3d")


@fuzz_message("sensor_msgs/msg/PointCloud2", lambda: [two_points()])
def point_cloud(message: Any) -> None:
    points_of(message, "/points")
