"""Detections as messages: vision_msgs for programs, markers for RViz."""

from __future__ import annotations

import math

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, PoseWithCovariance, Quaternion, Vector3
from std_msgs.msg import ColorRGBA, Header
from vision_msgs.msg import (
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    LabelInfo,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
    Point2D,
    Pose2D,
    VisionClass,
)
from visualization_msgs.msg import Marker, MarkerArray

from mp_perception.classes import class_color
from mp_perception.geometry import CameraIntrinsics
from mp_perception.prediction import Detections

#: Where xx, yy and zz stand in the 6x6 covariance of a pose.
_XX, _YY, _ZZ = 0, 7, 14
#: A marker that is not renewed disappears: a dead node must not leave objects standing.
_MARKER_LIFETIME = Duration(sec=1)
_TEXT_HEIGHT = 0.6


def detections_to_message(detections: Detections, header: Header, class_id_format: str) -> Detection2DArray:
    """Detection2DArray with `header`, unchanged, in the array and in each detection.

    Boxes are pixels of the input image.  The pose is the object's point in the camera's optical frame, metres: z its
    depth, x and y NaN without camera info (then covariance[0] is -1).  covariance[14] is the squared spread of the
    depth, [0] and [7] what follows from it for x and y; the orientation is unknown: identity, covariance 0.
    class_id_format: "name", or "index" for the number that `label_info` lists.
    """
    return Detection2DArray(
        header=header,
        detections=[_detection(detections, i, header, class_id_format) for i in range(len(detections))],
    )


def label_info(class_names: tuple[str, ...], threshold: float, header: Header) -> LabelInfo:
    """LabelInfo: the class of every number, and the score threshold in effect."""
    classes = [VisionClass(class_id=number, class_name=name) for number, name in enumerate(class_names)]
    return LabelInfo(header=header, class_map=classes, threshold=threshold)


def detections_to_markers(detections: Detections, intrinsics: CameraIntrinsics | None, header: Header) -> MarkerArray:
    """MarkerArray in the optical frame that replaces all earlier markers: one box and one text per object.

    A box is as wide and high as the object appears at its depth, and as thick as its depth is uncertain (+- one
    spread).  Objects without a position (no camera info, no depth) have none.
    """
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    for i in range(len(detections)):
        if intrinsics is not None and bool(all(map(math.isfinite, detections.position[i]))):
            markers += _markers(detections, i, intrinsics, header)
    return MarkerArray(markers=markers)


def _detection(detections: Detections, i: int, header: Header, class_id_format: str) -> Detection2D:
    x1, y1, x2, y2 = detections.boxes[i].tolist()
    class_id = detections.name(i) if class_id_format == "name" else str(int(detections.labels[i]))
    hypothesis = ObjectHypothesisWithPose(
        hypothesis=ObjectHypothesis(class_id=class_id, score=float(detections.scores[i])),
        pose=_pose(detections.position[i].tolist(), float(detections.depth_spread[i])),
    )
    return Detection2D(
        header=header,
        results=[hypothesis],
        bbox=BoundingBox2D(
            center=Pose2D(position=Point2D(x=(x1 + x2) / 2, y=(y1 + y2) / 2)), size_x=x2 - x1, size_y=y2 - y1
        ),
    )


def _pose(position: list[float], spread: float) -> PoseWithCovariance:
    x, y, z = position
    covariance = [0.0] * 36
    covariance[_ZZ] = spread**2
    if math.isnan(x) or math.isnan(y):
        covariance[_XX] = -1.0
    else:  # x and y are z times a constant
        covariance[_XX] = (x / z * spread) ** 2
        covariance[_YY] = (y / z * spread) ** 2
    return PoseWithCovariance(pose=Pose(position=Point(x=x, y=y, z=z)), covariance=covariance)


def _markers(detections: Detections, i: int, intrinsics: CameraIntrinsics, header: Header) -> list[Marker]:
    x, y, z = detections.position[i].tolist()
    x1, y1, x2, y2 = detections.boxes[i].tolist()
    height = (y2 - y1) / intrinsics.fy * z
    name = detections.name(i)
    red, green, blue = (channel / 255 for channel in class_color(name))
    box = Marker(
        header=header,
        ns="boxes",
        id=i,
        type=Marker.CUBE,
        pose=Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(w=1.0)),
        scale=Vector3(x=(x2 - x1) / intrinsics.fx * z, y=height, z=max(2 * float(detections.depth_spread[i]), 0.1)),
        color=ColorRGBA(r=red, g=green, b=blue, a=0.5),
        lifetime=_MARKER_LIFETIME,
    )
    text = Marker(
        header=header,
        ns="texts",
        id=i,
        type=Marker.TEXT_VIEW_FACING,
        pose=Pose(position=Point(x=x, y=y - height / 2 - _TEXT_HEIGHT, z=z), orientation=Quaternion(w=1.0)),
        scale=Vector3(z=_TEXT_HEIGHT),
        color=ColorRGBA(r=red, g=green, b=blue, a=1.0),
        lifetime=_MARKER_LIFETIME,
        text=f"{name} {z:.1f} m",
    )
    return [box, text]
