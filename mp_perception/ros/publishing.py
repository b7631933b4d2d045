"""The node's outputs: each is computed and published only while it has a subscriber."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, Detection3DArray, LabelInfo
from visualization_msgs.msg import MarkerArray

from mp_perception.geometry import CameraIntrinsics
from mp_perception.messages.camera_info import scaled_camera_info
from mp_perception.messages.detections import detections_3d_message, detections_message, label_info_message
from mp_perception.messages.header import Message
from mp_perception.messages.images import depth_message, image_message, jpeg_message
from mp_perception.messages.markers import markers_message, track_markers_message
from mp_perception.messages.points import depth_points_message
from mp_perception.messages.tracks import track_states_message, tracks_message
from mp_perception.prediction import Prediction
from mp_perception.ros.message_class import new_message
from mp_perception.ros.parameters import NodeParameters
from mp_perception.ros.qos import LARGE_OUTPUT, LATCHED, OUTPUT
from mp_perception.ros.tracking import TrackedObjects
from mp_perception.visualization.depth_colors import color_depth
from mp_perception.visualization.overlay import draw_overlay
from mp_perception.visualization.track_overlay import draw_tracks

#: JPEG's, of pictures for people.
_JPEG_QUALITY = 90


@dataclass(frozen=True)
class ProcessedFrame:
    """One image and its prediction, from which the outputs are made.

    header: of the image; every output has it unchanged.  image: RGB (H, W, 3).
    camera_info, intrinsics: of that image; both None without usable camera info.
    depth_range: effective (minimum, maximum), metres, for the colours.
    tracked: None without tracking.
    """

    header: Header
    image: NDArray[np.uint8]
    prediction: Prediction
    camera_info: CameraInfo | None
    intrinsics: CameraIntrinsics | None
    parameters: NodeParameters
    depth_range: tuple[float, float]
    tracked: TrackedObjects | None

    @property
    def depth(self) -> NDArray[np.float32]:
        """Depth in metres, at the resolution of the parameter `depth_resolution`."""
        network = self.parameters.depth_resolution == "network"
        return self.prediction.network_depth if network else self.prediction.depth

    @cached_property
    def overlay(self) -> NDArray[np.uint8]:
        """RGB (H, W, 3): the image with the tracks, or without tracking with the detections."""
        if self.tracked is None:
            return draw_overlay(self.image, self.prediction)
        canvas = self.image.copy()
        draw_tracks(canvas, self.tracked.tracks, self.intrinsics)
        return canvas

    @cached_property
    def colored_depth(self) -> NDArray[np.uint8]:
        """RGB (h, w, 3), of the size of `depth`."""
        return color_depth(self.depth, *self.depth_range)


def _detections(frame: ProcessedFrame) -> Message:
    detections, class_id_format = frame.prediction.detections, frame.parameters.class_id_format
    return detections_message(new_message, detections, frame.intrinsics, frame.header, class_id_format)


def _detections_3d(frame: ProcessedFrame) -> Message | None:
    if frame.intrinsics is None:
        return None
    detections, class_id_format = frame.prediction.detections, frame.parameters.class_id_format
    return detections_3d_message(new_message, detections, frame.intrinsics, frame.header, class_id_format)


def _depth(frame: ProcessedFrame) -> Message:
    return depth_message(new_message, frame.depth, frame.parameters.depth_encoding, frame.header)


def _depth_camera_info(frame: ProcessedFrame) -> Message | None:
    if frame.camera_info is None:
        return None
    height, width = frame.depth.shape
    return scaled_camera_info(new_message, frame.camera_info, width, height, frame.header)


def _overlay(frame: ProcessedFrame) -> Message:
    return image_message(new_message, frame.overlay, "rgb8", frame.header)


def _compressed_overlay(frame: ProcessedFrame) -> Message:
    return jpeg_message(new_message, frame.overlay, _JPEG_QUALITY, frame.header)


def _colored_depth(frame: ProcessedFrame) -> Message:
    return image_message(new_message, frame.colored_depth, "rgb8", frame.header)


def _compressed_colored_depth(frame: ProcessedFrame) -> Message:
    return jpeg_message(new_message, frame.colored_depth, _JPEG_QUALITY, frame.header)


def _markers(frame: ProcessedFrame) -> Message:
    return markers_message(new_message, frame.prediction.detections, frame.intrinsics, frame.header)


def _points(frame: ProcessedFrame) -> Message | None:
    if not frame.parameters.publish_point_cloud or frame.intrinsics is None:
        return None
    depth = frame.depth
    height, width = depth.shape
    image = frame.image
    if image.shape[:2] != depth.shape:
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return depth_points_message(new_message, depth, image, frame.intrinsics.scaled(width, height), frame.header)


def _tracks(frame: ProcessedFrame) -> Message | None:
    if frame.tracked is None or frame.intrinsics is None:
        return None
    tracked, class_id_format = frame.tracked, frame.parameters.class_id_format
    return tracks_message(new_message, tracked.tracks, frame.intrinsics, tracked.header, class_id_format)


def _track_states(frame: ProcessedFrame) -> Message | None:
    if frame.tracked is None or frame.intrinsics is None:
        return None
    return track_states_message(new_message, frame.tracked.tracks, frame.tracked.header)


def _track_markers(frame: ProcessedFrame) -> Message | None:
    if frame.tracked is None or frame.intrinsics is None:
        return None
    return track_markers_message(new_message, frame.tracked.tracks, frame.intrinsics, frame.tracked.header)


@dataclass(frozen=True)
class Output:
    """A topic, its type and quality of service.  make: its message for a frame, or None if it has none."""

    topic: str
    message_type: type[Any]
    qos: QoSProfile
    make: Callable[[ProcessedFrame], Any | None]


#: The outputs that are made from every frame.
OUTPUTS = (
    Output("detections", Detection2DArray, OUTPUT, _detections),
    Output("detections_3d", Detection3DArray, OUTPUT, _detections_3d),
    Output("depth/image", Image, LARGE_OUTPUT, _depth),
    Output("depth/camera_info", CameraInfo, LARGE_OUTPUT, _depth_camera_info),
    Output("overlay", Image, LARGE_OUTPUT, _overlay),
    Output("overlay/compressed", CompressedImage, LARGE_OUTPUT, _compressed_overlay),
    Output("depth/image_colored", Image, LARGE_OUTPUT, _colored_depth),
    Output("depth/image_colored/compressed", CompressedImage, LARGE_OUTPUT, _compressed_colored_depth),
    Output("markers", MarkerArray, OUTPUT, _markers),
    Output("points", PointCloud2, LARGE_OUTPUT, _points),
    Output("tracks", Detection3DArray, OUTPUT, _tracks),
    Output("tracks/states", PointCloud2, OUTPUT, _track_states),
    Output("tracks/markers", MarkerArray, OUTPUT, _track_markers),
)


class OutputPublishers:
    """The publishers of all outputs, from configuration to cleanup."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publishers: list[tuple[Output, Publisher[Any]]] = [
            (output, node.create_publisher(output.message_type, output.topic, output.qos)) for output in OUTPUTS
        ]
        self._label_info = node.create_publisher(LabelInfo, "label_info", LATCHED)

    def publish(self, frame: ProcessedFrame) -> list[str]:
        """Make and publish the outputs that have subscribers; returns their topics."""
        published = []
        for output, publisher in self._publishers:
            if publisher.get_subscription_count() == 0:
                continue
            message = output.make(frame)
            if message is not None:
                publisher.publish(message)
                published.append(output.topic)
        return published

    def publish_label_info(self, class_names: tuple[str, ...], threshold: float) -> None:
        """Publish the class map and the threshold, for later subscribers as well."""
        self._label_info.publish(label_info_message(new_message, class_names, threshold, Header()))

    def destroy(self) -> None:
        """Remove the publishers."""
        for _, publisher in self._publishers:
            self._node.destroy_publisher(publisher)
        self._node.destroy_publisher(self._label_info)
