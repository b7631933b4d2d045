"""Labels as messages and back: every digit of KITTI's, and what detection arrays contain."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mp_perception.bags.message_types import bag_header, new_message, type_store
from mp_perception.bags.truth_messages import (
    MAX_OBJECTS,
    boxes_3d_message,
    boxes_message,
    class_name,
    join_boxes,
    labels_message,
    read_boxes,
    read_boxes_3d,
    read_labels,
)
from mp_perception.data.object_label import IGNORED_REGION, Box3D, ObjectLabel
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics

CAMERA = CameraIntrinsics(700.0, 700.0, 620.0, 180.0, 1242, 375)

numbers = st.floats(-1e4, 1e4)
sizes = st.floats(0.1, 30)
angles = st.floats(-math.pi, math.pi)
places = st.tuples(numbers, numbers, st.floats(-999, 1e4))


@st.composite
def object_labels(draw: st.DrawFn) -> ObjectLabel:
    left, right = sorted((draw(numbers), draw(numbers)))
    top, bottom = sorted((draw(numbers), draw(numbers)))
    return ObjectLabel(
        class_name=draw(st.sampled_from(["Car", "Van", "Pedestrian", IGNORED_REGION, "Misc"])),
        box=(left, top, right, bottom),
        truncation=draw(st.none() | st.floats(0, 1)),
        occlusion=draw(st.none() | st.integers(0, 3)),
        box_3d=draw(st.none() | st.builds(Box3D, places, st.tuples(sizes, sizes, sizes), angles)),
    )


def sent(message: object, type_name: str) -> object:
    """The message as it comes out of a bag."""
    store = type_store()
    return store.deserialize_cdr(store.serialize_cdr(message, type_name), type_name)


@settings(deadline=None)
@given(st.lists(object_labels(), max_size=4))
def test_labels_survive_in_every_digit(labels: list[ObjectLabel]) -> None:
    message = sent(labels_message(labels, bag_header("camera_gray_left", 5)), "diagnostic_msgs/msg/DiagnosticArray")
    assert read_labels(message, "/labels") == labels
    assert [status.name for status in message.status] == [label.class_name for label in labels]  # type: ignore[attr-defined]


def test_an_invalid_label_is_named() -> None:
    message = labels_message([ObjectLabel("Car", (0, 0, 1, 1))], bag_header("camera", 5))
    message.status[0].message = "Car 0 0"
    with pytest.raises(UserError, match="/labels: status 0: expected 15 columns"):
        read_labels(message, "/labels")


# KITTI writes two decimals: a box of exactly the minimum height must stay one.
@settings(deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 130_000)] * 4), max_size=5))
def test_boxes_with_two_decimals_come_back_exactly(edges: list[tuple[int, ...]]) -> None:
    labels = []
    for x1, y1, x2, y2 in edges:
        (left, right), (top, bottom) = sorted((x1 / 100, x2 / 100)), sorted((y1 / 100, y2 / 100))
        labels.append(ObjectLabel("Car", (left, top, right, bottom)))
    message = sent(boxes_message(labels, bag_header("camera", 5)), "vision_msgs/msg/Detection2DArray")
    assert [label for _, label in read_boxes(message, {}, "/d")] == labels


def test_detections_have_class_score_and_box() -> None:
    labels = [ObjectLabel(IGNORED_REGION, (1, 2, 3, 4)), ObjectLabel("Tram", (10, 20, 40, 30))]
    message = boxes_message(labels, bag_header("camera", 5_000_000_007))
    assert (message.header.frame_id, message.header.stamp.nanosec) == ("camera", 7)
    first, second = message.detections
    assert (first.results[0].hypothesis.class_id, first.results[0].hypothesis.score) == (IGNORED_REGION, 1.0)
    box = second.bbox
    assert (box.center.position.x, box.center.position.y, box.size_x, box.size_y) == (25, 25, 30, 10)
    assert len({first.id, second.id}) == 2


def car(x: float, z: float, rotation_y: float) -> ObjectLabel:
    return ObjectLabel("Car", (600, 100, 700, 200), 0, 1, Box3D((x, 1.65, z), (1.5, 1.6, 4.0), rotation_y))


def test_a_3d_box_has_the_place_of_its_label() -> None:
    message = boxes_3d_message(
        [ObjectLabel(IGNORED_REGION, (0, 0, 1, 1)), car(2, 20, math.pi / 2)], bag_header("camera", 5)
    )
    (detection,) = message.detections
    centre, size = detection.bbox.center.position, detection.bbox.size
    assert (centre.x, centre.y, centre.z) == pytest.approx((2, 1.65 - 0.75, 20))
    assert (size.x, size.y, size.z) == (4.0, 1.6, 1.5)


@pytest.mark.parametrize("rotation_y", [-3.0, -1.5707, 0.0, 0.4, 2.2])
@pytest.mark.parametrize(("x", "z"), [(0.0, 15.0), (-6.0, 30.0), (4.0, 12.0)])
def test_a_3d_box_gives_the_label_back(x: float, z: float, rotation_y: float) -> None:
    label = car(x, z, rotation_y)
    before = label.box_3d
    assert before is not None
    message = sent(boxes_3d_message([label], bag_header("camera", 5)), "vision_msgs/msg/Detection3DArray")
    ((identity, after),) = read_boxes_3d(message, {}, np.eye(4), CAMERA, "/d3")
    assert identity
    assert after.box_3d is not None
    assert after.box_3d.dimensions == pytest.approx(before.dimensions)
    assert after.box_3d.bottom_centre == pytest.approx(before.bottom_centre)
    assert math.cos(after.box_3d.rotation_y - rotation_y) == pytest.approx(1)
    # The 2D box spans the corners: independent of the code, by the box's own geometry.
    along, across = (
        np.array([math.cos(rotation_y), 0, -math.sin(rotation_y)]),
        np.array([math.sin(rotation_y), 0, math.cos(rotation_y)]),
    )
    corners = [
        np.array(before.bottom_centre) + l * along * 2.0 + w * across * 0.8 - [0, h * 1.5, 0]
        for l in (-1, 1)  # noqa: E741
        for w in (-1, 1)
        for h in (0, 1)
    ]
    u = [CAMERA.fx * c[0] / c[2] + CAMERA.cx + 0.5 for c in corners]
    v = [CAMERA.fy * c[1] / c[2] + CAMERA.cy + 0.5 for c in corners]
    inside = (max(min(u), 0), max(min(v), 0), min(max(u), 1242), min(max(v), 375))
    assert after.box == pytest.approx(inside)
    assert after.occlusion is None


def test_a_box_in_the_scanners_frame_is_brought_to_the_camera() -> None:
    # Scanner: x forward, y left, z up, 1 m above the camera.  A car 20 m ahead, 2 m left, length along x.
    pose = new_message(
        "geometry_msgs/msg/Pose",
        position=new_message("geometry_msgs/msg/Point", x=20.0, y=2.0, z=-1.5),
        orientation=new_message("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
    )
    message = boxes_3d_message([car(0, 10, 0)], bag_header("scanner", 5))
    message.detections[0].bbox.center = pose
    to_camera = np.array([[0.0, -1, 0, 0], [0, 0, -1, -1], [1, 0, 0, 0], [0, 0, 0, 1]])
    ((_, label),) = read_boxes_3d(message, {}, to_camera, CAMERA, "/d3")
    # 1.5 m below the scanner is 0.5 m below the camera; the bottom is half the height lower.
    assert label.box_3d is not None
    assert label.box_3d.bottom_centre == pytest.approx((-2, 0.5 + 0.75, 20))
    assert label.box_3d.rotation_y == pytest.approx(-math.pi / 2)


def test_boxes_are_joined_by_their_ids() -> None:
    labels = [car(0, 20, 0.3), ObjectLabel(IGNORED_REGION, (0, 0, 5, 5)), car(3, 30, 0)]
    flat = read_boxes(boxes_message(labels, bag_header("camera", 5)), {}, "/d")
    solid = read_boxes_3d(boxes_3d_message(labels, bag_header("camera", 5)), {}, np.eye(4), CAMERA, "/d3")
    joined = join_boxes(flat, solid)
    assert [label.box for label in joined] == [label.box for label in labels]
    assert [label.box_3d is not None for label in joined] == [True, False, True]
    assert joined[2].box_3d is not None
    assert joined[2].box_3d.bottom_centre == pytest.approx((3, 1.65, 30))
    nameless = [("", label) for _, label in flat]
    assert not any(label.box_3d is not None for label in join_boxes(nameless, [("", label) for _, label in solid]))


def test_classes_are_named_or_numbered() -> None:
    assert class_name("4", {"4": "pedestrian"}) == "Pedestrian"
    assert class_name("car", {}) == "Car"
    assert class_name("Zebra", {}) == "Zebra"


@pytest.mark.parametrize("damage", ["hypothesis", "size", "nan", "count"])
def test_invalid_objects_are_named(damage: str) -> None:
    message = boxes_message([ObjectLabel("Car", (0, 0, 1, 1))], bag_header("camera", 5))
    solid = boxes_3d_message([car(0, 10, 0)], bag_header("camera", 5))
    for detection in (message.detections[0], solid.detections[0]):
        if damage == "hypothesis":
            detection.results = []
    if damage == "size":
        message.detections[0].bbox.size_x, solid.detections[0].bbox.size.x = -1.0, 0.0
    elif damage == "nan":
        message.detections[0].bbox.center.position.x = solid.detections[0].bbox.center.position.x = math.nan
    elif damage == "count":
        message.detections, solid.detections = [None] * (MAX_OBJECTS + 1), [None] * (MAX_OBJECTS + 1)
    with pytest.raises(UserError, match="^/d: "):
        read_boxes(message, {}, "/d")
    with pytest.raises(UserError, match="^/d3: "):
        read_boxes_3d(solid, {}, np.eye(4), CAMERA, "/d3")


def test_an_empty_array_is_an_image_without_objects() -> None:
    empty = new_message("vision_msgs/msg/Detection2DArray", header=bag_header("camera", 5), detections=[])
    assert read_boxes(empty, {}, "/d") == []


def test_identities_travel_with_labels_and_other_words_are_none() -> None:
    label = ObjectLabel("Car", (1.0, 2.0, 3.0, 4.0), identity=17)
    message = labels_message([label, ObjectLabel("Car", (1.0, 2.0, 3.0, 4.0))], bag_header("camera", 1))
    assert [found.identity for found in read_labels(message, "test")] == [17, None]
    message.status[0].hardware_id = "camera 3"
    assert read_labels(message, "test")[0].identity is None
