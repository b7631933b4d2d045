"""Ground truth as messages, and read back: labels, boxes in the image, boxes in space.

`vision_msgs` has no fields for the rest of a label (truncation, occlusion, which decide what counts), so labels travel
on a topic of their own: a DiagnosticArray, one status per label, whose message is the label's line in KITTI's format
with every digit.  If a bag has that topic, it is the ground truth; the detection arrays are for programs that know only
these, and are read if a bag has no such topic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mp_perception.bags.messages import Message, header, new_message, quaternion, rotation_matrix
from mp_perception.classes import KITTI_TYPES
from mp_perception.data.boxes_3d import box_corners
from mp_perception.data.kitti.labels import format_label_line, parse_label_line
from mp_perception.data.kitti.tracklets import TrackedBox, tracked_labels
from mp_perception.data.object_label import ObjectLabel
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics

Matrix = NDArray[np.float64]

#: More objects than this in one message are no labels of an image.
MAX_OBJECTS = 10_000

#: Axes of a frame with x forward, y left, z up, in those of a camera's optical frame.
_FORWARD_LEFT_UP = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])

_TYPES = {name.lower(): name for name in KITTI_TYPES}


def labels_message(labels: Sequence[ObjectLabel], frame_id: str, stamp_ns: int) -> Message:
    """DiagnosticArray of an image's labels; frame_id: the frame of their locations (rectified camera 0)."""
    statuses = [
        new_message(
            "diagnostic_msgs/msg/DiagnosticStatus",
            level=0,
            name=label.class_name,
            message=format_label_line(label, repr),
            hardware_id="",
            values=[],
        )
        for label in labels
    ]
    return new_message("diagnostic_msgs/msg/DiagnosticArray", header=header(frame_id, stamp_ns), status=statuses)


def labels_of(message: Message, where: str) -> list[ObjectLabel]:
    """The labels of a message that labels_message made, equal in every digit.

    where begins the message of the UserError that a line raises which is no label.
    """
    _check_count(len(message.status), where)
    return [
        parse_label_line(status.message, f"{where}: status {number}") for number, status in enumerate(message.status)
    ]


def detections_message(labels: Sequence[ObjectLabel], frame_id: str, stamp_ns: int) -> Message:
    """Detection2DArray of an image's labels, ignored regions too: class, score 1, box in pixels, an id of its own.

    frame_id: the image's.  Objects with a box in detections_3d_message have the same id there.
    """
    detections = []
    for number, label in enumerate(labels):
        left, top, right, bottom = label.box
        position = new_message("vision_msgs/msg/Point2D", x=(left + right) / 2, y=(top + bottom) / 2)
        detections.append(
            new_message(
                "vision_msgs/msg/Detection2D",
                header=header(frame_id, stamp_ns),
                results=[_hypothesis(label.class_name, np.full(3, math.nan), np.eye(3))],
                bbox=new_message(
                    "vision_msgs/msg/BoundingBox2D",
                    center=new_message("vision_msgs/msg/Pose2D", position=position, theta=0.0),
                    size_x=right - left,
                    size_y=bottom - top,
                ),
                id=_object_id(stamp_ns, number),
            )
        )
    return new_message("vision_msgs/msg/Detection2DArray", header=header(frame_id, stamp_ns), detections=detections)


def detections_3d_message(labels: Sequence[ObjectLabel], frame_id: str, stamp_ns: int) -> Message:
    """Detection3DArray of the labels that have a box in space; frame_id: the frame of their locations.

    A box's own axes: x along its length, y across it to the left, z up.
    """
    detections = []
    for number, label in enumerate(labels):
        box = label.box_3d
        if box is None:
            continue
        height, width, length = box.dimensions
        centre = box_corners(box).mean(axis=0)
        along = np.array([math.cos(box.rotation_y), 0, -math.sin(box.rotation_y)])
        up = np.array([0.0, -1.0, 0.0])
        rotation = np.stack([along, np.cross(up, along), up], axis=1)
        size = new_message("geometry_msgs/msg/Vector3", x=length, y=width, z=height)
        detections.append(
            new_message(
                "vision_msgs/msg/Detection3D",
                header=header(frame_id, stamp_ns),
                results=[_hypothesis(label.class_name, centre, rotation)],
                bbox=new_message("vision_msgs/msg/BoundingBox3D", center=_pose(centre, rotation), size=size),
                id=_object_id(stamp_ns, number),
            )
        )
    return new_message("vision_msgs/msg/Detection3DArray", header=header(frame_id, stamp_ns), detections=detections)


def label_info_message(class_names: Sequence[str], stamp_ns: int) -> Message:
    """LabelInfo of the classes that are labelled: whatever else an image shows is unknown."""
    classes = [
        new_message("vision_msgs/msg/VisionClass", class_id=number, class_name=name)
        for number, name in enumerate(class_names)
    ]
    return new_message("vision_msgs/msg/LabelInfo", header=header("", stamp_ns), class_map=classes, threshold=0.0)


def class_name(class_id: str, class_map: Mapping[str, str]) -> str:
    """The class that a hypothesis means: of a number the name in class_map, of KITTI's types KITTI's own spelling."""
    name = class_map.get(class_id, class_id)
    return _TYPES.get(name.lower(), name)


def labels_of_detections(message: Message, class_map: Mapping[str, str], where: str) -> list[tuple[str, ObjectLabel]]:
    """(id, label) of the objects of a Detection2DArray: class of the best hypothesis and box, the rest unknown.

    Raises UserError for an object without hypothesis or with a box that is none.
    """
    _check_count(len(message.detections), where)
    labels = []
    for number, detection in enumerate(message.detections):
        box = detection.bbox
        x, y, width, height = box.center.position.x, box.center.position.y, box.size_x, box.size_y
        if not (np.isfinite([x, y, width, height]).all() and min(width, height) >= 0):
            raise UserError(f"{where}: object {number}: expected a box, found {width:g}x{height:g} at {x:g}, {y:g}")
        # Centre and size have been rounded: KITTI's two decimals come back exactly, others to a billionth of a pixel.
        edges = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        left, top, right, bottom = (round(edge, 9) for edge in edges)
        label = ObjectLabel(_best_class(detection, class_map, f"{where}: object {number}"), (left, top, right, bottom))
        labels.append((detection.id, label))
    return labels


def labels_of_detections_3d(
    message: Message,
    class_map: Mapping[str, str],
    to_camera: Matrix,
    intrinsics: CameraIntrinsics,
    where: str,
) -> list[tuple[str, ObjectLabel]]:
    """(id, label) of the objects of a Detection3DArray that the image shows; their 2D box spans the projected corners.

    to_camera: (4, 4), from the message's frame to the camera's optical frame, in which the labels' locations are.
    Boxes are taken as standing upright to the camera, as KITTI's do; occlusion is unknown.
    Raises UserError for an object without hypothesis, pose or size.
    """
    _check_count(len(message.detections), where)
    axes = np.eye(4)
    axes[:3, :3] = _FORWARD_LEFT_UP
    labels = []
    for number, detection in enumerate(message.detections):
        place = f"{where}: object {number}"
        box = _tracked_box(detection, _best_class(detection, class_map, place), to_camera, place)
        labels += [(detection.id, label) for label in tracked_labels([box], axes, np.eye(4), intrinsics)]
    return labels


def join_boxes(flat: Sequence[tuple[str, ObjectLabel]], solid: Sequence[tuple[str, ObjectLabel]]) -> list[ObjectLabel]:
    """The labels of the boxes in the image, each with the box in space that has its id (if that is not empty)."""
    by_id = {identity: label for identity, label in solid if identity}
    joined = []
    for identity, label in flat:
        other = by_id.get(identity)
        if other is not None and other.box_3d is not None:
            label = replace(other, class_name=label.class_name, box=label.box)
        joined.append(label)
    return joined


def _object_id(stamp_ns: int, number: int) -> str:
    """An id of one object in one image: KITTI's labels say nothing of who is who in the next image."""
    return f"{stamp_ns}-{number}"


def _hypothesis(class_id: str, position: Matrix, rotation: Matrix) -> Message:
    return new_message(
        "vision_msgs/msg/ObjectHypothesisWithPose",
        hypothesis=new_message("vision_msgs/msg/ObjectHypothesis", class_id=class_id, score=1.0),
        pose=new_message(
            "geometry_msgs/msg/PoseWithCovariance", pose=_pose(position, rotation), covariance=np.zeros(36)
        ),
    )


def _pose(position: Matrix, rotation: Matrix) -> Message:
    x, y, z = (float(value) for value in position)
    qx, qy, qz, qw = (float(value) for value in quaternion(rotation))
    return new_message(
        "geometry_msgs/msg/Pose",
        position=new_message("geometry_msgs/msg/Point", x=x, y=y, z=z),
        orientation=new_message("geometry_msgs/msg/Quaternion", x=qx, y=qy, z=qz, w=qw),
    )


def _best_class(detection: Message, class_map: Mapping[str, str], where: str) -> str:
    if not detection.results:
        raise UserError(f"{where}: expected a hypothesis of its class, found none")
    best = max(detection.results, key=lambda result: result.hypothesis.score)
    return class_name(best.hypothesis.class_id, class_map)


def _tracked_box(detection: Message, name: str, to_camera: Matrix, where: str) -> TrackedBox:
    """The box in a frame at the camera with x forward, y left, z up."""
    centre, size = detection.bbox.center.position, np.array([getattr(detection.bbox.size, axis) for axis in "xyz"])
    rotation = rotation_matrix(detection.bbox.center.orientation)
    position = np.array([centre.x, centre.y, centre.z, 1.0])
    if rotation is None or not np.isfinite(position).all() or not (np.isfinite(size).all() and size.min() > 0):
        raise UserError(
            f"{where}: expected a pose and a size above 0, found {size.tolist()} at {position[:3].tolist()}"
        )
    axes = _FORWARD_LEFT_UP.T @ to_camera[:3, :3] @ rotation
    middle = _FORWARD_LEFT_UP.T @ (to_camera @ position)[:3]
    # Which of the box's axes stands upright, lies along it, and across it: x is the length unless it is upright.
    upright = int(np.argmax(np.abs(axes[2])))
    along = 1 if upright == 0 else 0
    across = 3 - upright - along
    height, width, length = (float(size[axis]) for axis in (upright, across, along))
    return TrackedBox(
        class_name=name,
        dimensions=(height, width, length),
        location=(float(middle[0]), float(middle[1]), float(middle[2]) - height / 2),
        yaw=math.atan2(axes[1, along], axes[0, along]),
    )


def _check_count(count: int, where: str) -> None:
    if count > MAX_OBJECTS:
        raise UserError(f"{where}: expected at most {MAX_OBJECTS} objects, found {count}")
