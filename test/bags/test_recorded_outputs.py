"""The node's detections read back from messages that may be anybody's."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mp_perception.bags.messages import Message, new_message
from mp_perception.bags.recorded_outputs import detections_of
from mp_perception.errors import UserError

CLASSES = ("Car", "Van", "2")


def message(*objects: tuple[str, float, tuple[float, float, float, float]]) -> Message:
    """Detection2DArray of (class_id, score, (x, y, width, height))."""
    return new_message(
        "vision_msgs/msg/Detection2DArray",
        detections=[
            new_message(
                "vision_msgs/msg/Detection2D",
                results=[
                    new_message(
                        "vision_msgs/msg/ObjectHypothesisWithPose",
                        hypothesis=new_message("vision_msgs/msg/ObjectHypothesis", class_id=class_id, score=score),
                    )
                ],
                bbox=new_message(
                    "vision_msgs/msg/BoundingBox2D",
                    center=new_message(
                        "vision_msgs/msg/Pose2D", position=new_message("vision_msgs/msg/Point2D", x=x, y=y)
                    ),
                    size_x=width,
                    size_y=height,
                ),
            )
            for class_id, score, (x, y, width, height) in objects
        ],
    )


def test_classes_by_name_and_by_number_best_first() -> None:
    box = (10.0, 20.0, 4.0, 6.0)
    found = detections_of(message(("1", 0.3, box), ("Car", 0.9, box), ("2", 0.5, box)), CLASSES, "bag: /detections")
    assert found.labels.tolist() == [0, 2, 1]
    assert found.scores.tolist() == pytest.approx([0.9, 0.5, 0.3])
    np.testing.assert_array_equal(found.boxes, [[8, 17, 12, 23]] * 3)


@pytest.mark.parametrize(
    ("detection", "expected"),
    [
        (("Car", 0.5, (math.nan, 1.0, 1.0, 1.0)), "expected a box and a score, found 1x1 at nan, 1 with 0.5"),
        (("Car", 0.5, (1.0, 1.0, 1.0, math.inf)), "expected a box and a score, found 1xinf at 1, 1 with 0.5"),
        (("Car", 0.5, (1.0, 1e300, 1.0, 1.0)), "expected a box and a score"),
        (("Car", 0.5, (1.0, math.nan, 1.0, 1.0)), "expected a box and a score, found 1x1 at 1, nan with 0.5"),
        (("Car", math.nan, (1.0, 1.0, 1.0, 1.0)), "expected a box and a score, found 1x1 at 1, 1 with nan"),
        (("Tram", 0.5, (1.0, 1.0, 1.0, 1.0)), "expected one of Car, Van, 2, found 'Tram'"),
        (("3", 0.5, (1.0, 1.0, 1.0, 1.0)), "expected one of Car, Van, 2, found '3'"),
        (("9" * 5000, 0.5, (1.0, 1.0, 1.0, 1.0)), "expected one of Car, Van, 2, found '999"),
    ],
)
def test_what_no_node_of_ours_publishes_is_named(
    detection: tuple[str, float, tuple[float, float, float, float]], expected: str
) -> None:
    fine = ("Car", 0.5, (1.0, 1.0, 1.0, 1.0))
    with pytest.raises(UserError, match="^bag: /detections: object 1: ") as raised:
        detections_of(message(fine, detection), CLASSES, "bag: /detections")
    assert expected in str(raised.value)
    assert len(str(raised.value)) < 200
