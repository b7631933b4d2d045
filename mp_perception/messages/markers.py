"""visualization_msgs: detections as markers for 3D views."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mp_perception.classes import class_color
from mp_perception.geometry import CameraIntrinsics, seen_sizes
from mp_perception.messages.header import Message, NewMessage
from mp_perception.messages.poses import pose_message
from mp_perception.prediction import Detections

#: Lifetime, seconds: the objects of a node that has stopped disappear.
_LIFETIME = 1
_TEXT_HEIGHT = 0.6
#: Minimum thickness of a box, metres.
_MIN_THICKNESS = 0.1
# visualization_msgs/Marker
_CUBE, _TEXT_VIEW_FACING, _DELETEALL = 1, 9, 3


def markers_message(
    new: NewMessage, detections: Detections, intrinsics: CameraIntrinsics | None, header: Message
) -> Message:
    """MarkerArray in the optical frame that replaces all earlier markers: a box and a text per object.

    A box is as wide and high as the object appears at its depth, and two standard deviations of its depth thick.
    Objects without a position (without camera info or depth) are left out.
    """
    markers = [new("visualization_msgs/msg/Marker", header=header, action=_DELETEALL)]
    if intrinsics is not None:
        sizes = seen_sizes(detections.boxes, detections.depth, intrinsics)
        for i in np.flatnonzero(np.isfinite(detections.position).all(axis=1) & np.isfinite(sizes).all(axis=1)):
            markers += _object_markers(new, detections, int(i), sizes[i].tolist(), header)
    return new("visualization_msgs/msg/MarkerArray", markers=markers)


def _object_markers(
    new: NewMessage, detections: Detections, i: int, size: Sequence[float], header: Message
) -> list[Message]:
    x, y, z = detections.position[i].tolist()
    width, height = size
    thickness = max(2 * float(detections.depth_std[i]), _MIN_THICKNESS)
    name = detections.name(i)
    red, green, blue = (channel / 255 for channel in class_color(name))
    common = {"header": header, "id": i, "lifetime": new("builtin_interfaces/msg/Duration", sec=_LIFETIME)}
    box = new(
        "visualization_msgs/msg/Marker",
        ns="boxes",
        type=_CUBE,
        pose=pose_message(new, (x, y, z)),
        scale=new("geometry_msgs/msg/Vector3", x=width, y=height, z=thickness),
        color=new("std_msgs/msg/ColorRGBA", r=red, g=green, b=blue, a=0.5),
        **common,
    )
    text = new(
        "visualization_msgs/msg/Marker",
        ns="texts",
        type=_TEXT_VIEW_FACING,
        pose=pose_message(new, (x, y - height / 2 - _TEXT_HEIGHT, z)),
        scale=new("geometry_msgs/msg/Vector3", z=_TEXT_HEIGHT),
        color=new("std_msgs/msg/ColorRGBA", r=red, g=green, b=blue, a=1.0),
        text=f"{name} {z:.1f} m",
        **common,
    )
    return [box, text]
