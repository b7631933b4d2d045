"""Detections as vision_msgs and as markers, and read back from messages of any origin."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mp_perception.bags.message_types import new_message
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics
from mp_perception.messages.detections import (
    detection_message,
    detections_3d_message,
    detections_message,
    hypothesis_message,
    label_info_message,
    read_detections,
)
from mp_perception.messages.header import Message, NewMessage, new_header
from mp_perception.messages.markers import markers_message
from mp_perception.prediction import Detections

CAMERA = CameraIntrinsics(fx=700, fy=700, cx=600, cy=180, width=1242, height=375)
ARRAY = "vision_msgs/msg/Detection2DArray"
NAN = math.nan


def detections() -> Detections:
    """A car at about (2, 1, 20) metres, a pedestrian without known x and y, a cyclist without depth."""
    return Detections(
        boxes=np.array([[600, 150, 740, 290], [10, 20, 40, 110], [0, 0, 5, 9]], dtype=np.float32),
        scores=np.array([0.9, 0.5, 0.25], dtype=np.float32),
        labels=np.array([0, 3, 4]),
        depth=np.array([20, 7, NAN], dtype=np.float32),
        depth_std=np.array([0.5, 2, NAN], dtype=np.float32),
        valid_fraction=np.array([1, 1, 0], dtype=np.float32),
        position=np.array([[2, 1, 20], [NAN, NAN, 7], [NAN, NAN, NAN]], dtype=np.float32),
        class_names=("Car", "Van", "Truck", "Pedestrian", "Cyclist"),
    )


def header(new: NewMessage) -> Message:
    return new_header(new, "camera_left", 1317042272_345808896)


def test_fields_of_the_message(new: NewMessage, sent: Callable[[Any, str], Any]) -> None:
    message = sent(detections_message(new, detections(), CAMERA, header(new), "name"), ARRAY)
    assert message.header == header(new)
    assert [d.header for d in message.detections] == [header(new)] * 3
    car, pedestrian, cyclist = message.detections
    assert (car.bbox.center.position.x, car.bbox.center.position.y) == (670, 220)
    assert (car.bbox.size_x, car.bbox.size_y, car.bbox.center.theta, car.id) == (140, 140, 0, "")
    assert [d.results[0].hypothesis.class_id for d in message.detections] == ["Car", "Pedestrian", "Cyclist"]
    assert car.results[0].hypothesis.score == pytest.approx(0.9)
    pose = car.results[0].pose
    assert (pose.pose.position.x, pose.pose.position.y, pose.pose.position.z) == (2, 1, 20)
    assert (pose.pose.orientation.x, pose.pose.orientation.w) == (0, 1)
    # 0.5 m along the ray (0.1, 0.057, 1) through the middle of the box; 7 % of 140 pixels across, at 20 m.
    ray, across = np.array([(670 - 600.5) / 700, (220 - 180.5) / 700, 1]), 0.07 * 140 / 700 * 20
    expected = np.zeros((6, 6))
    expected[:3, :3] = 0.25 * np.outer(ray, ray) + np.diag([across**2, across**2, 0])
    np.testing.assert_allclose(np.reshape(pose.covariance, (6, 6)), expected, rtol=1e-6)
    assert pedestrian.results[0].pose.pose.position.z == 7
    assert math.isnan(pedestrian.results[0].pose.pose.position.x)
    assert (pedestrian.results[0].pose.covariance[0], pedestrian.results[0].pose.covariance[14]) == (-1, 4)
    assert math.isnan(cyclist.results[0].pose.pose.position.z)
    assert cyclist.results[0].pose.covariance[0] == -1


def test_detections_have_the_ids_of_their_tracks(new: NewMessage, sent: Callable[[Any, str], Any]) -> None:
    followed = replace(detections(), ids=np.array([2**40, 0, 7]))
    message = sent(detections_message(new, followed, CAMERA, header(new), "name"), ARRAY)
    assert [d.id for d in message.detections] == [str(2**40), "", "7"]


def test_without_a_camera_the_depth_alone_is_known(new: NewMessage) -> None:
    unknown = detections()
    unknown.position[:, :2] = NAN
    car = detections_message(new, unknown, None, header(new), "name").detections[0].results[0].pose
    assert car.covariance[0] == -1
    assert car.covariance[14] == 0.25
    assert np.count_nonzero(car.covariance) == 2


def test_objects_in_space(new: NewMessage, sent: Callable[[Any, str], Any]) -> None:
    message = sent(detections_3d_message(new, detections(), CAMERA, header(new), "index"), f"{ARRAY[:-7]}3DArray")
    assert message.header == header(new)
    (car,) = message.detections  # the others have no position
    assert (car.header, car.id, car.results[0].hypothesis.class_id) == (header(new), "", "0")
    assert car.results[0].hypothesis.score == pytest.approx(0.9)
    # The centre of a car lies 1.3 m behind its surface, on the same ray: (2, 1, 20) * 21.3 / 20.
    for pose in (car.bbox.center, car.results[0].pose.pose):
        assert (pose.position.x, pose.position.y, pose.position.z) == pytest.approx((2.13, 1.065, 21.3))
        assert (pose.orientation.x, pose.orientation.w) == (0, 1)
    assert (car.bbox.size.x, car.bbox.size.y, car.bbox.size.z) == pytest.approx((4, 4, 3.9), rel=1e-6)
    covariance = np.reshape(car.results[0].pose.covariance, (6, 6))
    flat = detections_message(new, detections(), CAMERA, header(new), "name").detections[0].results[0].pose.covariance
    np.testing.assert_array_equal(covariance[:3, :3], np.reshape(flat, (6, 6))[:3, :3])
    assert np.diag(covariance)[3:] == pytest.approx(math.pi**2 / 3)
    assert np.linalg.eigvalsh(covariance).min() > 0


def test_an_object_of_another_class_is_as_deep_as_wide(new: NewMessage) -> None:
    tram = replace(detections(), class_names=("Tram", "Van", "Truck", "Pedestrian", "Cyclist"))
    (found,) = detections_3d_message(new, tram, CAMERA, header(new), "name").detections
    assert found.bbox.size.z == pytest.approx(found.bbox.size.x)
    assert found.bbox.center.position.z == pytest.approx(20 + found.bbox.size.x / 2)


@pytest.mark.parametrize("class_id_format", ["name", "index"])
def test_a_published_array_is_read_as_it_was(
    new: NewMessage, sent: Callable[[Any, str], Any], class_id_format: str
) -> None:
    before = detections()
    message = sent(detections_message(new, before, CAMERA, header(new), class_id_format), ARRAY)
    after = read_detections(message, before.class_names, "/detections")
    for name in ("boxes", "scores", "labels", "depth", "depth_std", "position"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name), name)
    assert after.class_names == before.class_names


def test_numbers_instead_of_names_agree_with_label_info(new: NewMessage, sent: Callable[[Any, str], Any]) -> None:
    message = detections_message(new, detections(), CAMERA, header(new), "index")
    info = sent(label_info_message(new, detections().class_names, 0.25, header(new)), "vision_msgs/msg/LabelInfo")
    names = {entry.class_id: entry.class_name for entry in info.class_map}
    assert [names[int(d.results[0].hypothesis.class_id)] for d in message.detections] == [
        "Car", "Pedestrian", "Cyclist",
    ]  # fmt: skip
    assert info.threshold == 0.25


def test_nothing_found(new: NewMessage) -> None:
    nothing = detections()[np.zeros(3, dtype=bool)]
    message = detections_message(new, nothing, CAMERA, header(new), "name")
    assert message.detections == []
    assert detections_3d_message(new, nothing, CAMERA, header(new), "name").detections == []
    assert len(read_detections(message, ("Car",), "/detections")) == 0
    assert len(markers_message(new, nothing, CAMERA, header(new)).markers) == 1


def test_markers_are_where_the_objects_are(new: NewMessage, sent: Callable[[Any, str], Any]) -> None:
    message = markers_message(new, detections(), CAMERA, header(new))
    delete, box, text = sent(message, "visualization_msgs/msg/MarkerArray").markers
    assert (delete.action, box.type, text.type) == (delete.DELETEALL, box.CUBE, text.TEXT_VIEW_FACING)
    assert (box.pose.position.x, box.pose.position.y, box.pose.position.z) == (2, 1, 20)
    assert (box.scale.x, box.scale.y, box.scale.z) == pytest.approx((140 / 700 * 20, 140 / 700 * 20, 1.0))
    assert text.text == "Car 20.0 m"
    assert text.pose.position.y < box.pose.position.y - box.scale.y / 2  # y points down
    assert {marker.header.frame_id for marker in (delete, box, text)} == {"camera_left"}


def test_no_markers_without_a_camera(new: NewMessage) -> None:
    (delete,) = markers_message(new, detections(), None, header(new)).markers
    assert delete.action == delete.DELETEALL


Object = tuple[str, float, tuple[float, float, float, float]]


def array(*objects: Object) -> Message:
    """Detection2DArray of (class_id, score, (x, y, width, height))."""
    messages = []
    for class_id, score, (x, y, width, height) in objects:
        hypothesis = hypothesis_message(new_message, class_id, score, (0, 0, 0), np.zeros((6, 6)))
        message = detection_message(new_message, header(new_message), (0, 0, 1, 1), hypothesis)
        message.bbox.center.position.x, message.bbox.center.position.y = x, y
        message.bbox.size_x, message.bbox.size_y = width, height
        messages.append(message)
    return new_message(ARRAY, detections=messages)


def test_classes_by_name_and_by_number_best_first() -> None:
    box = (10.0, 20.0, 4.0, 6.0)
    found = read_detections(array(("1", 0.3, box), ("Car", 0.9, box), ("2", 0.5, box)), ("Car", "Van", "2"), "/d")
    assert found.labels.tolist() == [0, 2, 1]
    assert found.scores.tolist() == pytest.approx([0.9, 0.5, 0.3])
    np.testing.assert_array_equal(found.boxes, [[8, 17, 12, 23]] * 3)


@pytest.mark.parametrize(
    ("detection", "expected"),
    [
        (("Car", 0.5, (math.nan, 1.0, 1.0, 1.0)), "expected a box and a score, found 1x1 at nan, 1 with 0.5"),
        (("Car", 0.5, (1.0, 1.0, 1.0, math.inf)), "expected a box and a score, found 1xinf at 1, 1 with 0.5"),
        (("Car", 0.5, (1.0, 1e300, 1.0, 1.0)), "expected a box and a score"),
        (("Car", math.nan, (1.0, 1.0, 1.0, 1.0)), "expected a box and a score, found 1x1 at 1, 1 with nan"),
        (("Tram", 0.5, (1.0, 1.0, 1.0, 1.0)), "expected one of Car, Van, 2, found 'Tram'"),
        (("3", 0.5, (1.0, 1.0, 1.0, 1.0)), "expected one of Car, Van, 2, found '3'"),
        (("9" * 5000, 0.5, (1.0, 1.0, 1.0, 1.0)), "expected one of Car, Van, 2, found '999"),
    ],
)
def test_invalid_detections_are_named(detection: Object, expected: str) -> None:
    fine = ("Car", 0.5, (1.0, 1.0, 1.0, 1.0))
    with pytest.raises(UserError, match="^/d: object 1: ") as raised:
        read_detections(array(fine, detection), ("Car", "Van", "2"), "/d")
    assert expected in str(raised.value)
    assert len(str(raised.value)) < 200


def test_an_object_without_hypothesis_is_named() -> None:
    message = array(("Car", 0.5, (1.0, 1.0, 1.0, 1.0)))
    message.detections[0].results = []
    with pytest.raises(UserError, match="^/d: object 0: expected a hypothesis, found none"):
        read_detections(message, ("Car",), "/d")
