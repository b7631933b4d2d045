"""Detections as ROS messages, whichever classes they have: rclpy's in the node, rosbags' in bags.

`vision_msgs` for programs, markers for 3D views.  `new` makes a message of a type and its fields, those that are left
out zero or empty: `new("std_msgs/msg/Header", frame_id="camera")`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mp_perception.classes import class_color
from mp_perception.geometry import CameraIntrinsics
from mp_perception.prediction import Detections

#: A message; its classes come from generators, so there is no static type.
Message = Any
NewMessage = Callable[..., Message]

#: Where xx, yy and zz stand in the 6x6 covariance of a pose.
_XX, _YY, _ZZ = 0, 7, 14
#: A marker that is not renewed disappears: a dead node must not leave objects standing.
_MARKER_SECONDS = 1
_TEXT_HEIGHT = 0.6
# visualization_msgs/Marker
_CUBE, _TEXT_VIEW_FACING, _DELETEALL = 1, 9, 3


def detections_to_message(new: NewMessage, detections: Detections, header: Message, class_id_format: str) -> Message:
    """Detection2DArray with `header`, unchanged, in the array and in each detection.

    Boxes are pixels of the input image.  The pose is the object's point in the camera's optical frame, metres: z its
    depth, x and y NaN without camera info (then covariance[0] is -1).  covariance[14] is the squared spread of the
    depth, [0] and [7] what follows from it for x and y; the orientation is unknown: identity, covariance 0.
    class_id_format: "name", or "index" for the number that `label_info` lists.
    """
    return new(
        "vision_msgs/msg/Detection2DArray",
        header=header,
        detections=[_detection(new, detections, i, header, class_id_format) for i in range(len(detections))],
    )


def label_info(new: NewMessage, class_names: tuple[str, ...], threshold: float, header: Message) -> Message:
    """LabelInfo: the class of every number, and the score threshold in effect."""
    classes = [
        new("vision_msgs/msg/VisionClass", class_id=number, class_name=name) for number, name in enumerate(class_names)
    ]
    return new("vision_msgs/msg/LabelInfo", header=header, class_map=classes, threshold=threshold)


def detections_to_markers(
    new: NewMessage, detections: Detections, intrinsics: CameraIntrinsics | None, header: Message
) -> Message:
    """MarkerArray in the optical frame that replaces all earlier markers: one box and one text per object.

    A box is as wide and high as the object appears at its depth, and as thick as its depth is uncertain (+- one
    spread).  Objects without a position (no camera info, no depth) have none.
    """
    markers = [new("visualization_msgs/msg/Marker", header=header, action=_DELETEALL)]
    for i in range(len(detections)):
        if intrinsics is not None and bool(all(map(math.isfinite, detections.position[i]))):
            markers += _markers(new, detections, i, intrinsics, header)
    return new("visualization_msgs/msg/MarkerArray", markers=markers)


def _detection(new: NewMessage, detections: Detections, i: int, header: Message, class_id_format: str) -> Message:
    x1, y1, x2, y2 = detections.boxes[i].tolist()
    class_id = detections.name(i) if class_id_format == "name" else str(int(detections.labels[i]))
    hypothesis = new(
        "vision_msgs/msg/ObjectHypothesisWithPose",
        hypothesis=new("vision_msgs/msg/ObjectHypothesis", class_id=class_id, score=float(detections.scores[i])),
        pose=_pose_with_covariance(new, detections.position[i].tolist(), float(detections.depth_spread[i])),
    )
    centre = new("vision_msgs/msg/Point2D", x=(x1 + x2) / 2, y=(y1 + y2) / 2)
    return new(
        "vision_msgs/msg/Detection2D",
        header=header,
        results=[hypothesis],
        bbox=new(
            "vision_msgs/msg/BoundingBox2D",
            center=new("vision_msgs/msg/Pose2D", position=centre),
            size_x=x2 - x1,
            size_y=y2 - y1,
        ),
    )


def _pose_with_covariance(new: NewMessage, position: list[float], spread: float) -> Message:
    x, y, z = position
    covariance = np.zeros(36)
    covariance[_ZZ] = spread**2
    if math.isnan(x) or math.isnan(y):
        covariance[_XX] = -1.0
    else:  # x and y are z times a constant
        covariance[_XX] = (x / z * spread) ** 2
        covariance[_YY] = (y / z * spread) ** 2
    return new("geometry_msgs/msg/PoseWithCovariance", pose=_pose(new, x, y, z), covariance=covariance)


def _markers(
    new: NewMessage, detections: Detections, i: int, intrinsics: CameraIntrinsics, header: Message
) -> list[Message]:
    x, y, z = detections.position[i].tolist()
    x1, y1, x2, y2 = detections.boxes[i].tolist()
    height = (y2 - y1) / intrinsics.fy * z
    name = detections.name(i)
    red, green, blue = (channel / 255 for channel in class_color(name))
    common = {
        "header": header,
        "id": i,
        "lifetime": new("builtin_interfaces/msg/Duration", sec=_MARKER_SECONDS),
    }
    box = new(
        "visualization_msgs/msg/Marker",
        ns="boxes",
        type=_CUBE,
        pose=_pose(new, x, y, z),
        scale=new(
            "geometry_msgs/msg/Vector3",
            x=(x2 - x1) / intrinsics.fx * z,
            y=height,
            z=max(2 * float(detections.depth_spread[i]), 0.1),
        ),
        color=new("std_msgs/msg/ColorRGBA", r=red, g=green, b=blue, a=0.5),
        **common,
    )
    text = new(
        "visualization_msgs/msg/Marker",
        ns="texts",
        type=_TEXT_VIEW_FACING,
        pose=_pose(new, x, y - height / 2 - _TEXT_HEIGHT, z),
        scale=new("geometry_msgs/msg/Vector3", z=_TEXT_HEIGHT),
        color=new("std_msgs/msg/ColorRGBA", r=red, g=green, b=blue, a=1.0),
        text=f"{name} {z:.1f} m",
        **common,
    )
    return [box, text]


def _pose(new: NewMessage, x: float, y: float, z: float) -> Message:
    return new(
        "geometry_msgs/msg/Pose",
        position=new("geometry_msgs/msg/Point", x=x, y=y, z=z),
        orientation=new("geometry_msgs/msg/Quaternion", w=1.0),
    )
