"""ROS messages: those that the node subscribes to, and those in bags."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from mp_perception.bags.message_types import bag_header, new_message, type_store
from mp_perception.bags.truth_messages import read_boxes, read_boxes_3d, read_labels
from mp_perception.geometry import CameraIntrinsics
from mp_perception.lens_distortion import COEFFICIENTS, LensDistortion
from mp_perception.messages.camera_info import camera_info_message, intrinsics_of, pinhole_error, scaled_camera_info
from mp_perception.messages.detections import read_detections
from mp_perception.messages.frame_tree import TRANSFORMS_TYPE
from mp_perception.messages.images import CAMERA_ENCODINGS, depth_to_array, image_to_array
from mp_perception.messages.points import read_points
from mp_perception.messages.poses import transforms_message
from mp_perception.ros.transforms import Transforms
from reliability.fuzzing.seed_files import encoded, picture, recorded_messages
from reliability.fuzzing.target import fuzz_bytes, fuzz_message

#: The size limit that is given to the parsers of images.
_MAX_PIXELS = 1_000_000
_CLASSES = ("Car", "Pedestrian", "DontCare")


def _images(*encodings: str) -> list[bytes]:
    """Images of 4x4 pixels, serialised."""
    data = np.arange(192, dtype=np.uint8)
    fields = {"width": 4, "height": 4, "step": 32, "data": data}
    images = [new_message("sensor_msgs/msg/Image", encoding=encoding, **fields) for encoding in encodings]
    return [bytes(type_store().serialize_cdr(image, "sensor_msgs/msg/Image")) for image in images]


@fuzz_message("sensor_msgs/msg/Image", lambda: _images(*CAMERA_ENCODINGS, "8UC4", "32FC3", "64FC1"))
def image(message: Any) -> None:
    """Images of all encodings, some of which are not accepted."""
    image_to_array(message, _MAX_PIXELS)


@fuzz_message("sensor_msgs/msg/Image", lambda: _images("32FC1", "16UC1"))
def depth_image(message: Any) -> None:
    """Depth images in metres and in millimetres."""
    depth_to_array(message, _MAX_PIXELS)


@fuzz_bytes(lambda: [encoded(".png", picture()), encoded(".jpg", picture()), encoded(".png", picture()[..., 0])])
def compressed_image(data: bytes) -> None:
    """The data of a CompressedImage."""
    image_to_array(SimpleNamespace(format="", data=data), _MAX_PIXELS)


def _camera_infos() -> list[bytes]:
    """Camera info of rectified images, and of raw ones by each distortion model, serialised."""
    header, infos = bag_header("camera", 0), []
    for model, lengths in COEFFICIENTS.items():
        lens = LensDistortion(model, tuple(np.linspace(-0.1, 0.1, lengths[-1]).tolist()))
        camera = CameraIntrinsics(721.5, 721.5, 609.6, 172.9, 1242, 375, lens)
        infos.append(camera_info_message(new_message, camera, header))
    raw = [bytes(type_store().serialize_cdr(info, "sensor_msgs/msg/CameraInfo")) for info in infos]
    return raw + recorded_messages("sensor_msgs/msg/CameraInfo")


@fuzz_message("sensor_msgs/msg/CameraInfo", _camera_infos)
def camera_info(message: Any) -> None:
    """Camera info, and everything that is computed with it."""
    camera = intrinsics_of(message, message.width, message.height)
    corners = np.array([[0.5, 0.5], [camera.width - 0.5, camera.height - 0.5]])
    camera.project(camera.unproject(corners, np.ones(2)))
    pinhole_error(message, camera)
    scaled_camera_info(new_message, message, 160, 48, bag_header("camera", 0))


@fuzz_message("diagnostic_msgs/msg/DiagnosticArray")
def truth_labels(message: Any) -> None:
    """KITTI's labels in a bag."""
    read_labels(message, "/labels")


@fuzz_message("vision_msgs/msg/Detection2DArray")
def truth_detections(message: Any) -> None:
    """2D boxes as ground truth."""
    read_boxes(message, {"1": "Car"}, "/detections")


@fuzz_message("vision_msgs/msg/Detection2DArray")
def recorded_detections(message: Any) -> None:
    """2D boxes as the node publishes them."""
    read_detections(message, _CLASSES, "/detections")


@fuzz_message("vision_msgs/msg/Detection3DArray")
def truth_detections_3d(message: Any) -> None:
    """3D boxes as ground truth."""
    camera = CameraIntrinsics(721.5, 721.5, 609.6, 172.9, 1242, 375)
    read_boxes_3d(message, {"1": "Car"}, np.eye(4), camera, "/detections_3d")


def _transforms() -> list[bytes]:
    """A robot with its camera, serialised."""
    pairs = [("odom", "base", np.eye(4)), ("base", "camera", np.eye(4))]
    return [bytes(type_store().serialize_cdr(transforms_message(new_message, pairs, 10**9), TRANSFORMS_TYPE))]


@fuzz_message(TRANSFORMS_TYPE, _transforms)
def transforms(message: Any) -> None:
    """Transforms, moving and static, as the node looks them up."""
    known = Transforms(lambda text: None)
    known.take(message)
    known.take_static(message)
    known.lookup("odom", "camera", 10**9)


@fuzz_message("sensor_msgs/msg/PointCloud2")
def point_cloud(message: Any) -> None:
    """The points of a lidar."""
    read_points(message, "/points")
