"""vision_msgs: detections to messages and back."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mp_perception.classes import typical_extent
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics, box_centres, seen_sizes
from mp_perception.messages.header import Message, NewMessage
from mp_perception.messages.poses import pose_message
from mp_perception.prediction import Detections
from mp_perception.tracking.tracks import Tracks

#: Positions of the variances in the 6x6 covariance of a pose: of x, of z, and of the rotations.
_XX, _ZZ, _ROTATIONS = 0, 14, (21, 28, 35)
#: Standard deviation of a box's centre as a fraction of its width and height: 0.07 and 0.06 for 323 detections of the
#: default weights in KITTI's validation images.
_CENTRE_ERROR = 0.07
#: Variance of an angle of which nothing is known: uniform over the circle.
UNKNOWN_ANGLE = math.pi**2 / 3
#: Limit of pixels and scores that are read; infinity and NaN are above it.
_MAX_VALUE = 1e9


def detections_message(
    new: NewMessage,
    detections: Detections,
    intrinsics: CameraIntrinsics | None,
    header: Message,
    class_id_format: str,
) -> Message:
    """Detection2DArray; `header`, unchanged, is that of the array and of each detection.

    Boxes are pixels of the input image.  The pose is the object's point in the camera's optical frame, metres: z is
    its depth, x and y are NaN without camera info.  The upper left 3x3 of its covariance is that of the position, from
    the errors of the depth and of the box's centre; without x and y covariance[0] is -1, and [14] alone is known.  The
    orientation is unknown: identity, covariance 0.

    Args:
        intrinsics: of the image; None if unknown.
        class_id_format: "name", or "index" for the number that `label_info_message` lists.
    """
    covariances, ids = _covariances(detections, intrinsics), _id_texts(detections)
    messages = []
    for i in range(len(detections)):
        name, score = class_id(detections, i, class_id_format), float(detections.scores[i])
        hypothesis = hypothesis_message(new, name, score, detections.position[i].tolist(), covariances[i])
        messages.append(detection_message(new, header, detections.boxes[i].tolist(), hypothesis, ids[i]))
    return new("vision_msgs/msg/Detection2DArray", header=header, detections=messages)


def detections_3d_message(
    new: NewMessage,
    detections: Detections,
    intrinsics: CameraIntrinsics,
    header: Message,
    class_id_format: str,
) -> Message:
    """Detection3DArray of the objects with a depth, in the camera's optical frame, metres.

    The centre lies behind the visible surface, on the same ray, by the typical distance for the class.  The box's axes
    are the camera's: x and y are as wide and high as the object appears, z is the typical length of its class (its
    width for other classes).  The orientation is unknown: identity, with the variance of any angle.

    Args:
        intrinsics: of the image.
        class_id_format: as for `detections_message`.
    """
    covariances, ids = _covariances(detections, intrinsics), _id_texts(detections)
    covariances.reshape(-1, 36)[:, _ROTATIONS] = UNKNOWN_ANGLE
    sizes = seen_sizes(detections.boxes, detections.depth, intrinsics)
    messages = []
    for i in np.flatnonzero(np.isfinite(detections.position).all(axis=1) & np.isfinite(sizes).all(axis=1)).tolist():
        centre, size = object_extent(detections.name(i), detections.position[i].astype(np.float64), sizes[i])
        name, score = class_id(detections, i, class_id_format), float(detections.scores[i])
        hypothesis = hypothesis_message(new, name, score, centre.tolist(), covariances[i])
        messages.append(detection_3d_message(new, header, size.tolist(), hypothesis, ids[i]))
    return new("vision_msgs/msg/Detection3DArray", header=header, detections=messages)


def object_extent(
    class_name: str, surface: NDArray[np.float64], seen_size: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre (3,) and size (3,) of an object in the camera's optical frame, metres, as in `detections_3d_message`.

    Args:
        class_name: of the object.
        surface: (3,) position of its visible surface, metres.
        seen_size: (2,) width and height that it shows there, metres.
    """
    width, height = seen_size.tolist()
    length, to_centre = typical_extent(class_name) or (width, width / 2)
    return surface * (1 + to_centre / surface[2]), np.array([width, height, length])


def label_info_message(new: NewMessage, class_names: Sequence[str], threshold: float, header: Message) -> Message:
    """LabelInfo: the class of every number, and the score threshold in effect."""
    classes = [
        new("vision_msgs/msg/VisionClass", class_id=number, class_name=name) for number, name in enumerate(class_names)
    ]
    return new("vision_msgs/msg/LabelInfo", header=header, class_map=classes, threshold=threshold)


def class_id(objects: Detections | Tracks, i: int, class_id_format: str) -> str:
    """The class of object number `i`.  class_id_format: as for `detections_message`."""
    return objects.name(i) if class_id_format == "name" else str(int(objects.labels[i]))


def hypothesis_message(
    new: NewMessage,
    class_id: str,
    score: float,
    position: Sequence[float],
    covariance: NDArray[np.float64],
    orientation: Sequence[float] = (0, 0, 0, 1),
) -> Message:
    """ObjectHypothesisWithPose.

    position: x, y, z, metres; x and y may be NaN.  covariance: (6, 6).  orientation: unit quaternion x, y, z, w.
    """
    pose = pose_message(new, position, orientation)
    return new(
        "vision_msgs/msg/ObjectHypothesisWithPose",
        hypothesis=new("vision_msgs/msg/ObjectHypothesis", class_id=class_id, score=score),
        pose=new("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=covariance.ravel()),
    )


def detection_message(
    new: NewMessage, header: Message, box: Sequence[float], hypothesis: Message, object_id: str = ""
) -> Message:
    """Detection2D of a box x1 y1 x2 y2, pixels, with one hypothesis."""
    x1, y1, x2, y2 = box
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
        id=object_id,
    )


def detection_3d_message(
    new: NewMessage, header: Message, size: Sequence[float], hypothesis: Message, object_id: str
) -> Message:
    """Detection3D of a box of this size, metres, whose centre is the pose of its one hypothesis."""
    x, y, z = size
    box = new(
        "vision_msgs/msg/BoundingBox3D",
        center=hypothesis.pose.pose,
        size=new("geometry_msgs/msg/Vector3", x=x, y=y, z=z),
    )
    return new("vision_msgs/msg/Detection3D", header=header, results=[hypothesis], bbox=box, id=object_id)


def read_detections(message: Message, class_names: Sequence[str], where: str) -> Detections:
    """Detections of a Detection2DArray that `detections_message` made, highest score first.

    Args:
        class_names: the classes that the message names, or numbers by their position here.
        where: begins the text of errors.

    Raises:
        UserError: an object without a hypothesis, of another class, or with a box or score that is not a number.
    """
    class_numbers = {str(i): i for i in range(len(class_names))} | {name: i for i, name in enumerate(class_names)}
    boxes, scores, labels, deviations, positions, ids = [], [], [], [], [], []
    for number, detection in enumerate(message.detections):
        if not detection.results:
            raise UserError(f"{where}: object {number}: expected a hypothesis, found none")
        result, box = detection.results[0], detection.bbox
        class_id, score = result.hypothesis.class_id, result.hypothesis.score
        if class_id not in class_numbers:
            names = ", ".join(class_names)
            raise UserError(f"{where}: object {number}: expected one of {names}, found {class_id[:80]!r}")
        x, y, half_width, half_height = box.center.position.x, box.center.position.y, box.size_x / 2, box.size_y / 2
        edges = (x - half_width, y - half_height, x + half_width, y + half_height)
        if not all(abs(value) <= _MAX_VALUE for value in (*edges, score)):
            found = f"{box.size_x:g}x{box.size_y:g} at {x:g}, {y:g} with {score:g}"
            raise UserError(f"{where}: object {number}: expected a box and a score, found {found}")
        position, variance = result.pose.pose.position, result.pose.covariance[_ZZ]
        boxes.append(edges)
        scores.append(score)
        labels.append(class_numbers[class_id])
        deviations.append(np.sqrt(variance) if variance >= 0 else np.nan)
        positions.append((position.x, position.y, position.z))
        ids.append(int(detection.id) if detection.id.isdecimal() and len(detection.id) < 19 else 0)
    position_array = np.array(positions, dtype=np.float32).reshape(-1, 3)
    detections = Detections(
        boxes=np.array(boxes, dtype=np.float32).reshape(-1, 4),
        scores=np.array(scores, dtype=np.float32),
        labels=np.array(labels, dtype=np.int64),
        depth=position_array[:, 2],
        depth_std=np.array(deviations, dtype=np.float32),
        valid_fraction=np.full(len(boxes), np.nan, dtype=np.float32),
        position=position_array,
        class_names=tuple(class_names),
        ids=np.array(ids, dtype=np.int64),
    )
    return detections[np.argsort(-np.array(scores), kind="stable")]


def _id_texts(detections: Detections) -> list[str]:
    numbers = [0] * len(detections) if detections.ids is None else detections.ids.tolist()
    return [str(number) if number else "" for number in numbers]


def _covariances(detections: Detections, intrinsics: CameraIntrinsics | None) -> NDArray[np.float64]:
    """(N, 6, 6) of the poses, square metres; where x and y are unknown [0, 0] is -1."""
    covariances = np.zeros((len(detections), 6, 6))
    covariances[:, 2, 2] = detections.depth_std.astype(np.float64) ** 2
    if intrinsics is not None:
        sides = detections.boxes[:, 2:] - detections.boxes[:, :2]
        covariances[:, :3, :3] = intrinsics.position_covariance(
            box_centres(detections.boxes), detections.depth, detections.depth_std, _CENTRE_ERROR * sides
        )
    unknown = ~np.isfinite(detections.position[:, :2]).all(axis=1)
    covariances[unknown, :2] = 0
    covariances[unknown, :, :2] = 0
    covariances.reshape(-1, 36)[unknown, _XX] = -1
    return covariances
