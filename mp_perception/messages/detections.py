"""vision_msgs: detections to messages and back."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mp_perception.errors import UserError
from mp_perception.messages.header import Message, NewMessage
from mp_perception.messages.poses import pose_message
from mp_perception.prediction import Detections

#: Positions of the variances of x, y and z in the 6x6 covariance of a pose.
_XX, _YY, _ZZ = 0, 7, 14
#: Limit of pixels and scores that are read; infinity and NaN are above it.
_MAX_VALUE = 1e9


def detections_message(new: NewMessage, detections: Detections, header: Message, class_id_format: str) -> Message:
    """Detection2DArray; `header`, unchanged, is that of the array and of each detection.

    Boxes are pixels of the input image.  The pose is the object's point in the camera's optical frame, metres: z is
    its depth, x and y are NaN without camera info (then covariance[0] is -1).  covariance[14] is the variance of the
    depth, [0] and [7] follow from it for x and y; the orientation is unknown: identity, covariance 0.

    Args:
        class_id_format: "name", or "index" for the number that `label_info_message` lists.
    """
    messages = []
    for i in range(len(detections)):
        class_id = detections.name(i) if class_id_format == "name" else str(int(detections.labels[i]))
        pose = _pose_with_covariance(new, detections.position[i].tolist(), float(detections.depth_std[i]))
        hypothesis = hypothesis_message(new, class_id, float(detections.scores[i]), pose)
        messages.append(detection_message(new, header, detections.boxes[i].tolist(), hypothesis))
    return new("vision_msgs/msg/Detection2DArray", header=header, detections=messages)


def label_info_message(new: NewMessage, class_names: Sequence[str], threshold: float, header: Message) -> Message:
    """LabelInfo: the class of every number, and the score threshold in effect."""
    classes = [
        new("vision_msgs/msg/VisionClass", class_id=number, class_name=name) for number, name in enumerate(class_names)
    ]
    return new("vision_msgs/msg/LabelInfo", header=header, class_map=classes, threshold=threshold)


def hypothesis_message(new: NewMessage, class_id: str, score: float, pose: Message) -> Message:
    """ObjectHypothesisWithPose.  pose: PoseWithCovariance."""
    return new(
        "vision_msgs/msg/ObjectHypothesisWithPose",
        hypothesis=new("vision_msgs/msg/ObjectHypothesis", class_id=class_id, score=score),
        pose=pose,
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


def read_detections(message: Message, class_names: Sequence[str], where: str) -> Detections:
    """Detections of a Detection2DArray that `detections_message` made, highest score first.

    Args:
        class_names: the classes that the message names, or numbers by their position here.
        where: begins the text of errors.

    Raises:
        UserError: an object without a hypothesis, of another class, or with a box or score that is not a number.
    """
    class_numbers = {str(i): i for i in range(len(class_names))} | {name: i for i, name in enumerate(class_names)}
    boxes, scores, labels, deviations, positions = [], [], [], [], []
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
    )
    return detections[np.argsort(-np.array(scores), kind="stable")]


def _pose_with_covariance(new: NewMessage, position: Sequence[float], deviation: float) -> Message:
    """position: x, y, z, metres; x and y may be NaN.  deviation: standard deviation of z, metres."""
    x, y, z = position
    covariance = np.zeros(36)
    covariance[_ZZ] = deviation**2
    if math.isnan(x) or math.isnan(y):
        covariance[_XX] = -1.0
    else:  # x and y are z times a constant
        covariance[_XX] = (x / z * deviation) ** 2
        covariance[_YY] = (y / z * deviation) ** 2
    return new("geometry_msgs/msg/PoseWithCovariance", pose=pose_message(new, position), covariance=covariance)
