"""Detections as rclpy's messages; detection_messages.py beside this folder says what is in them."""

from __future__ import annotations

from functools import cache
from typing import Any

from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, LabelInfo
from visualization_msgs.msg import MarkerArray

from mp_perception import detection_messages
from mp_perception.geometry import CameraIntrinsics
from mp_perception.prediction import Detections
from mp_perception.ros.message_class import message_class


def detections_to_message(detections: Detections, header: Header, class_id_format: str) -> Detection2DArray:
    """As detection_messages.detections_to_message."""
    message: Detection2DArray = detection_messages.detections_to_message(_new, detections, header, class_id_format)
    return message


def label_info(class_names: tuple[str, ...], threshold: float, header: Header) -> LabelInfo:
    """As detection_messages.label_info."""
    message: LabelInfo = detection_messages.label_info(_new, class_names, threshold, header)
    return message


def detections_to_markers(detections: Detections, intrinsics: CameraIntrinsics | None, header: Header) -> MarkerArray:
    """As detection_messages.detections_to_markers."""
    message: MarkerArray = detection_messages.detections_to_markers(_new, detections, intrinsics, header)
    return message


_class = cache(message_class)


def _new(type_name: str, **fields: Any) -> Any:
    return _class(type_name)(**fields)
