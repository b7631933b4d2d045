"""Ground truth as messages, and read back: labels, boxes in the image, boxes in space.

`vision_msgs` has no fields for truncation and occlusion, which decide what counts.  Labels therefore have a topic of
their own: a DiagnosticArray, one status per label, whose message is the label's line in KITTI's format with every
digit.  If a bag has that topic, it is the ground truth; the detection arrays are for programs that know only these, and
are read if a bag has no such topic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mp_perception.arrays import Matrix
from mp_perception.bags.message_types import new_message
from mp_perception.classes import KITTI_TYPES
from mp_perception.data.boxes_3d import box_corners
from mp_perception.data.kitti.labels import format_label_line, parse_label_line
from mp_perception.data.kitti.tracklets import TrackedBox, tracked_labels
from mp_perception.data.object_label import ObjectLabel
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics
from mp_perception.messages.detections import detection_3d_message, detection_message, hypothesis_message
from mp_perception.messages.header import Message, stamp_of
from mp_perception.messages.poses import quaternion, rotation_matrix

#: Labels by the ids of their detections.
IdentifiedLabels = list[tuple[str, ObjectLabel]]

#: Maximum number of objects in a message.
MAX_OBJECTS = 10_000

#: Axes of a frame with x forward, y left, z up, in those of a camera's optical frame.
_FORWARD_LEFT_UP = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])

_TYPES = {name.lower(): name for name in KITTI_TYPES}


def labels_message(labels: Sequence[ObjectLabel], header: Message) -> Message:
    """DiagnosticArray of an image's labels; hardware_id is the object's identity.

    header: its frame is the one of the 3D boxes (rectified camera 0).
    """
    statuses = [
        new_message(
            "diagnostic_msgs/msg/DiagnosticStatus",
            name=label.class_name,
            message=format_label_line(label, repr),
            hardware_id="" if label.identity is None else str(label.identity),
        )
        for label in labels
    ]
    return new_message("diagnostic_msgs/msg/DiagnosticArray", header=header, status=statuses)


def read_labels(message: Message, where: str) -> list[ObjectLabel]:
    """The labels of a message that `labels_message` made, equal in every digit.

    where: begins the text of the UserError that a wrong line raises.
    """
    _check_count(len(message.status), where)
    labels = []
    for number, status in enumerate(message.status):
        label = parse_label_line(status.message, f"{where}: status {number}")
        # Other programs may have other words there.
        identified = status.hardware_id.isdecimal() and len(status.hardware_id) < 10
        labels.append(replace(label, identity=int(status.hardware_id) if identified else None))
    return labels


def boxes_message(labels: Sequence[ObjectLabel], header: Message) -> Message:
    """Detection2DArray of an image's labels, ignored regions too: class, score 1, box in pixels, an id.

    header: the image's.  Objects with a box in `boxes_3d_message` have the same id there.
    """
    detections = []
    for number, label in enumerate(labels):
        hypothesis = _hypothesis(label.class_name, np.full(3, math.nan), np.eye(3))
        detections.append(detection_message(new_message, header, label.box, hypothesis, _object_id(header, number)))
    return new_message("vision_msgs/msg/Detection2DArray", header=header, detections=detections)


def boxes_3d_message(labels: Sequence[ObjectLabel], header: Message) -> Message:
    """Detection3DArray of the labels that have a 3D box.  header: its frame is the one of the 3D boxes.

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
        hypothesis = _hypothesis(label.class_name, centre, rotation)
        size, object_id = (length, width, height), _object_id(header, number)
        detections.append(detection_3d_message(new_message, header, size, hypothesis, object_id))
    return new_message("vision_msgs/msg/Detection3DArray", header=header, detections=detections)


def class_name(class_id: str, class_map: Mapping[str, str]) -> str:
    """The class of a hypothesis: for a number its name in class_map, for KITTI's types KITTI's own spelling."""
    name = class_map.get(class_id, class_id)
    return _TYPES.get(name.lower(), name)


def read_boxes(message: Message, class_map: Mapping[str, str], where: str) -> IdentifiedLabels:
    """(id, label) of the objects of a Detection2DArray: class of the best hypothesis and box, the rest unknown.

    Raises UserError for an object without a hypothesis or a valid box.
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


def read_boxes_3d(
    message: Message, class_map: Mapping[str, str], to_camera: Matrix, intrinsics: CameraIntrinsics, where: str
) -> IdentifiedLabels:
    """(id, label) of the objects of a Detection3DArray that the image shows; their 2D box spans the projected corners.

    to_camera: (4, 4), from the message's frame to the camera's optical frame, which is that of the labels' 3D boxes.
    Boxes are taken as upright to the camera, as KITTI's are; occlusion is unknown.
    Raises UserError for an object without a hypothesis, pose or size.
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


def join_boxes(flat: IdentifiedLabels, solid: IdentifiedLabels) -> list[ObjectLabel]:
    """The labels of the boxes in the image, each with the 3D box that has its id (if that is not empty)."""
    by_id = {identity: label for identity, label in solid if identity and label.box_3d is not None}
    return [
        replace(by_id[identity], class_name=label.class_name, box=label.box) if identity in by_id else label
        for identity, label in flat
    ]


def _object_id(header: Message, number: int) -> str:
    """An id of one object in one image: labels do not identify objects across images."""
    return f"{stamp_of(header)}-{number}"


def _hypothesis(class_id: str, position: Matrix, rotation: Matrix) -> Message:
    orientation = quaternion(rotation).tolist()
    return hypothesis_message(new_message, class_id, 1.0, position.tolist(), np.zeros((6, 6)), orientation)


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
    # Which of the box's axes is upright, along its length, and across it: x is the length unless it is upright.
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
