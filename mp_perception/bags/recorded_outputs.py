"""The node's detections in a bag as Detections: they are scored as they were published."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mp_perception.bags.messages import Message
from mp_perception.errors import UserError
from mp_perception.prediction import Detections

#: Where zz stands in the 6x6 covariance of a pose.
_ZZ = 14
#: No pixel and no score is larger; what is infinite or no number is neither.
_LARGEST_NUMBER = 1e9


def detections_of(message: Message, class_names: Sequence[str], where: str) -> Detections:
    """The objects of a Detection2DArray that our node published, with boxes and depths as it found them.

    Classes are named, or numbered as class_names.  Raises UserError for an object that is none of the node's.
    """
    class_numbers = {str(i): i for i in range(len(class_names))} | {name: i for i, name in enumerate(class_names)}
    objects = []
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
        if not all(abs(value) <= _LARGEST_NUMBER for value in (*edges, score)):
            found = f"{box.size_x:g}x{box.size_y:g} at {x:g}, {y:g} with {score:g}"
            raise UserError(f"{where}: object {number}: expected a box and a score, found {found}")
        position, spread = result.pose.pose.position, result.pose.covariance[_ZZ]
        objects.append(
            (
                edges,
                score,
                class_numbers[class_id],
                np.sqrt(spread) if spread >= 0 else np.nan,
                (position.x, position.y, position.z),
            )
        )
    objects.sort(key=lambda entry: -entry[1])
    boxes, scores, labels, spreads, positions = zip(*objects, strict=True) if objects else ((), (), (), (), ())
    places = np.array(positions, dtype=np.float32).reshape(-1, 3)
    return Detections(
        boxes=np.array(boxes, dtype=np.float32).reshape(-1, 4),
        scores=np.array(scores, dtype=np.float32),
        labels=np.array(labels, dtype=np.int64),
        depth=places[:, 2],
        depth_spread=np.array(spreads, dtype=np.float32),
        valid_share=np.full(len(objects), np.nan, dtype=np.float32),
        position=places,
        class_names=tuple(class_names),
    )
