"""Detections as vision_msgs and as markers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from mp_perception.geometry import CameraIntrinsics
from mp_perception.prediction import Detections
from mp_perception.ros.detection_messages import detections_to_markers, detections_to_message, label_info

HEADER = Header(stamp=Time(sec=1317042272, nanosec=345808896), frame_id="camera_left")
CAMERA = CameraIntrinsics(fx=700, fy=700, cx=600, cy=180, width=1242, height=375)
NAN = math.nan


def detections() -> Detections:
    """A car at (2, 1, 20) metres, a pedestrian without known x and y, a cyclist without depth."""
    return Detections(
        boxes=np.array([[600, 150, 740, 290], [10, 20, 40, 110], [0, 0, 5, 9]], dtype=np.float32),
        scores=np.array([0.9, 0.5, 0.25], dtype=np.float32),
        labels=np.array([0, 3, 4]),
        depth=np.array([20, 7, NAN], dtype=np.float32),
        depth_spread=np.array([0.5, 2, NAN], dtype=np.float32),
        valid_share=np.array([1, 1, 0], dtype=np.float32),
        position=np.array([[2, 1, 20], [NAN, NAN, 7], [NAN, NAN, NAN]], dtype=np.float32),
        class_names=("Car", "Van", "Truck", "Pedestrian", "Cyclist"),
    )


def test_fields_of_the_message() -> None:
    message = detections_to_message(detections(), HEADER, "name")
    assert message.header == HEADER
    assert [d.header for d in message.detections] == [HEADER] * 3
    car, pedestrian, cyclist = message.detections
    assert (car.bbox.center.position.x, car.bbox.center.position.y) == (670, 220)
    assert (car.bbox.size_x, car.bbox.size_y, car.bbox.center.theta, car.id) == (140, 140, 0, "")
    assert [d.results[0].hypothesis.class_id for d in message.detections] == ["Car", "Pedestrian", "Cyclist"]
    assert car.results[0].hypothesis.score == pytest.approx(0.9)
    pose = car.results[0].pose
    assert (pose.pose.position.x, pose.pose.position.y, pose.pose.position.z) == (2, 1, 20)
    assert (pose.pose.orientation.x, pose.pose.orientation.w) == (0, 1)
    assert pose.covariance[14] == 0.25
    assert pose.covariance[0] == pytest.approx(0.05**2)  # x is z / 10, so is its spread
    assert pose.covariance[7] == pytest.approx(0.025**2)
    assert not np.any(np.reshape(pose.covariance, (6, 6))[3:])
    assert pedestrian.results[0].pose.pose.position.z == 7
    assert math.isnan(pedestrian.results[0].pose.pose.position.x)
    assert (pedestrian.results[0].pose.covariance[0], pedestrian.results[0].pose.covariance[14]) == (-1, 4)
    assert math.isnan(cyclist.results[0].pose.pose.position.z)
    assert cyclist.results[0].pose.covariance[0] == -1


def test_numbers_instead_of_names_agree_with_label_info() -> None:
    message = detections_to_message(detections(), HEADER, "index")
    info = label_info(detections().class_names, 0.25, HEADER)
    names = {entry.class_id: entry.class_name for entry in info.class_map}
    assert [names[int(d.results[0].hypothesis.class_id)] for d in message.detections] == [
        "Car", "Pedestrian", "Cyclist",
    ]  # fmt: skip
    assert info.threshold == 0.25


def test_nothing_found() -> None:
    nothing = detections()[np.zeros(3, dtype=bool)]
    assert detections_to_message(nothing, HEADER, "name").detections == []
    assert len(detections_to_markers(nothing, CAMERA, HEADER).markers) == 1


def test_markers_stand_where_the_objects_are() -> None:
    markers = detections_to_markers(detections(), CAMERA, HEADER).markers
    assert markers[0].action == Marker.DELETEALL
    assert [marker.type for marker in markers[1:]] == [Marker.CUBE, Marker.TEXT_VIEW_FACING]
    box, text = markers[1:]
    assert (box.pose.position.x, box.pose.position.y, box.pose.position.z) == (2, 1, 20)
    assert (box.scale.x, box.scale.y, box.scale.z) == pytest.approx((140 / 700 * 20, 140 / 700 * 20, 1.0))
    assert text.text == "Car 20.0 m"
    assert text.pose.position.y < box.pose.position.y - box.scale.y / 2  # y points down
    assert {marker.header.frame_id for marker in markers} == {"camera_left"}


def test_no_markers_without_a_camera() -> None:
    markers = detections_to_markers(detections(), None, HEADER).markers
    assert [marker.action for marker in markers] == [Marker.DELETEALL]
