"""Tracks as boxes in space, as a table of states, and as markers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mp_perception.geometry import CameraIntrinsics
from mp_perception.messages.header import Message, NewMessage, new_header
from mp_perception.messages.markers import track_markers_message
from mp_perception.messages.tracks import STATE_LAYOUT, track_states_message, tracks_message
from mp_perception.tracking.tracks import Tracks
from mp_perception.tracking.trails import Trails

CAMERA = CameraIntrinsics(fx=700, fy=700, cx=599.5, cy=179.5, width=1200, height=360)
ARRAY, CLOUD, MARKERS = (
    "vision_msgs/msg/Detection3DArray", "sensor_msgs/msg/PointCloud2", "visualization_msgs/msg/MarkerArray",
)  # fmt: skip
#: NumPy's type of each PointField datatype that occurs (sensor_msgs/PointField).
TYPES = {2: "u1", 4: "<u2", 6: "<u4", 7: "<f4"}
#: A camera that looks along odom's x, 1.5 m above its ground: optical x, y, z are odom's -y, -z, x.
LOOKING_AHEAD = np.array([[0, 0, 1, 10.0], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]])
NAN = np.nan


def tracks(pose: np.ndarray = LOOKING_AHEAD) -> Tracks:
    """A cyclist 14 m ahead that comes at 5 m/s, a predicted car beside, a pedestrian of unknown distance."""
    covariances = np.array([np.diag([1.0, 2, 3, 4, 5, 6]) + 0.1] * 3)
    return Tracks(
        ids=np.array([3, 4, 9]),
        labels=np.array([4, 0, 3]),
        scores=np.array([0.9, 0.4, 0.6]),
        # 50 x 100 pixels at 14 m: 1 m x 2 m.
        boxes=np.array([[575.0, 130, 625, 230], [740, 170, 860, 230], [0, 0, 5, 9]]),
        positions=np.array([[24.0, 0, 1.5], [30, -4, 1.5], [NAN, NAN, NAN]]),
        velocities=np.array([[-5.0, 0, 0], [0.1, 0, 0], [NAN, NAN, NAN]]),
        covariances=covariances,
        seen=np.array([True, False, True]),
        ages=np.array([1.2, 3.0, 0.4]),
        detection_ids=np.array([3, 9]),
        class_names=("Car", "Van", "Truck", "Pedestrian", "Cyclist"),
        camera_pose=pose,
        camera_velocity=np.zeros(3),
    )


def header(new: NewMessage) -> Message:
    return new_header(new, "odom", 1317042272_345808896)


def read_table(cloud: Message) -> np.ndarray:
    """A point cloud as any reader sees it, by the offsets and types of its fields."""
    layout = np.dtype(
        {
            "names": [field.name for field in cloud.fields],
            "formats": [TYPES[field.datatype] for field in cloud.fields],
            "offsets": [field.offset for field in cloud.fields],
            "itemsize": cloud.point_step,
        }
    )
    assert (cloud.height, cloud.row_step, len(cloud.data)) == (1, cloud.point_step * cloud.width, cloud.row_step)
    return np.frombuffer(bytes(cloud.data), layout)


@pytest.mark.parametrize("class_id_format", ["name", "index"])
def test_boxes_lie_in_the_frame_of_the_tracks(
    new: NewMessage, sent: Callable[[Any, str], Any], class_id_format: str
) -> None:
    message = sent(tracks_message(new, tracks(), CAMERA, header(new), class_id_format), ARRAY)
    assert message.header == header(new)
    cyclist, car = message.detections  # the pedestrian has no position
    assert (cyclist.id, car.id) == ("3", "4")
    expected = {"name": ("Cyclist", "Car"), "index": ("4", "0")}[class_id_format]
    assert (cyclist.results[0].hypothesis.class_id, car.results[0].hypothesis.class_id) == expected
    assert cyclist.results[0].hypothesis.score == pytest.approx(0.9)
    for pose in (cyclist.bbox.center, cyclist.results[0].pose.pose):
        # A cyclist's centre lies 0.2 m behind the surface.
        assert (pose.position.x, pose.position.y, pose.position.z) == pytest.approx((24.2, 0, 1.5))
        rotation = (pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w)
        assert np.abs(rotation) == pytest.approx([0.5] * 4)
    assert (cyclist.bbox.size.x, cyclist.bbox.size.y, cyclist.bbox.size.z) == pytest.approx((1, 2, 1.8))
    # The car lies on a ray: 1.3 m of depth behind the surface at depth 20, it is 4 * 1.3 / 20 m further to the right.
    position = car.bbox.center.position
    assert (position.x, position.y) == pytest.approx((31.3, -4 - 0.26))
    covariance = np.reshape(cyclist.results[0].pose.covariance, (6, 6))
    np.testing.assert_allclose(covariance[:3, :3], tracks().covariances[0, :3, :3])
    assert np.diag(covariance)[3:] == pytest.approx(np.pi**2 / 3)


def test_the_table_of_states_has_what_a_planner_needs(new: NewMessage, sent: Callable[[Any, str], Any]) -> None:
    message = sent(track_states_message(new, tracks(), header(new)), CLOUD)
    assert message.header == header(new)
    table = read_table(message)
    assert table["id"].tolist() == [3, 4]
    assert table["seen"].tolist() == [1, 0]
    assert table["class_index"].tolist() == [4, 0]
    row = table[0]
    assert (row["x"], row["y"], row["z"]) == pytest.approx((24, 0, 1.5))
    assert (row["vx"], row["vy"], row["vz"]) == pytest.approx((-5, 0, 0))
    assert (row["score"], row["age"]) == pytest.approx((0.9, 1.2))
    assert (row["distance"], row["closing_speed"], row["time_to_contact"]) == pytest.approx((14, 5, 2.8))
    # Straight ahead, distance and closing speed are x and -vx.
    assert (row["distance_std"], row["closing_speed_std"]) == pytest.approx((1.1**0.5, 4.1**0.5))
    assert table["time_to_contact"][1] == np.inf
    covariance = tracks().covariances[0]
    names = ("x", "y", "z", "vx", "vy", "vz")
    for i, first in enumerate(names):
        for j in range(i, 6):
            assert row[f"cov_{first}_{names[j]}"] == pytest.approx(covariance[i, j])
    assert np.array_equal(np.frombuffer(bytes(message.data), STATE_LAYOUT), table.astype(STATE_LAYOUT))


def test_ids_of_years_stay_readable(new: NewMessage, sent: Callable[[Any, str], Any]) -> None:
    late = tracks()
    late.ids[:] = [2**32 + 5, 2**40, 2**41]
    assert read_table(sent(track_states_message(new, late, header(new)), CLOUD))["id"].tolist() == [5, 0]
    message = tracks_message(new, late, CAMERA, header(new), "name")
    assert [track.id for track in message.detections] == [str(2**32 + 5), str(2**40)]
    for marker in sent(track_markers_message(new, late, CAMERA, header(new)), MARKERS).markers:
        assert 0 <= marker.id < 2**31


def test_no_tracks_give_empty_messages(new: NewMessage, sent: Callable[[Any, str], Any]) -> None:
    none = tracks()
    none.positions[:] = NAN
    assert sent(tracks_message(new, none, CAMERA, header(new), "name"), ARRAY).detections == []
    table = sent(track_states_message(new, none, header(new)), CLOUD)
    assert (table.width, len(table.data), len(table.fields)) == (0, 0, len(STATE_LAYOUT.names))
    assert len(sent(track_markers_message(new, none, CAMERA, header(new)), MARKERS).markers) == 1


def test_markers_show_velocity_trail_and_time_to_contact(new: NewMessage, sent: Callable[[Any, str], Any]) -> None:
    trail = [(29.0, 0, 1.5), (26.5, 0, 1.5), (24.0, 0, 1.5)]
    paths = {3: tuple((i / 2, np.array(place)) for i, place in enumerate(trail)), 4: ((1.0, np.array([30, -4, 1.5])),)}
    moved = replace(tracks(), trails=Trails(paths))
    markers = sent(track_markers_message(new, moved, CAMERA, header(new)), MARKERS).markers
    delete, *others = markers
    assert delete.action == delete.DELETEALL
    assert {marker.header.frame_id for marker in markers} == {"odom"}
    assert {(marker.ns, marker.id) for marker in others} == {
        ("boxes", 3), ("texts", 3), ("velocities", 3), ("trails", 3), ("boxes", 4), ("texts", 4),
    }  # fmt: skip
    found = {(marker.ns, marker.id): marker for marker in others}
    arrow = found["velocities", 3]
    assert [(p.x, p.y, p.z) for p in arrow.points] == [pytest.approx((24.2, 0, 1.5)), pytest.approx((19.2, 0, 1.5))]
    assert (arrow.type, arrow.pose.orientation.w) == (arrow.ARROW, 1)
    assert [(p.x, p.y, p.z) for p in found["trails", 3].points] == trail
    assert found["texts", 3].text == "Cyclist 3\n14.0 m, 5.0 m/s, contact in 2.8 s"
    assert found["texts", 4].text == "Car 4\n20.4 m"
    assert found["texts", 3].pose.position.z > 1.5 + 1  # above the box of 2 m
    assert found["boxes", 4].color.a < found["boxes", 3].color.a  # predicted
    assert all(marker.lifetime.sec == 1 for marker in others)


def test_a_time_to_contact_that_is_hardly_known_is_not_shown(new: NewMessage) -> None:
    uncertain = tracks()
    uncertain.covariances[0, 3, 3] = 60  # 2.8 s, with a standard deviation of 4.3 s
    texts = [m.text for m in track_markers_message(new, uncertain, CAMERA, header(new)).markers if m.ns == "texts"]
    assert texts == ["Cyclist 3\n14.0 m, 5.0 m/s", "Car 4\n20.4 m"]


def test_an_object_at_the_edge_has_a_box(new: NewMessage) -> None:
    leaving = tracks()
    leaving.boxes[0] = [1200, 130, 1200, 230]
    box = tracks_message(new, leaving, CAMERA, header(new), "name").detections[0].bbox
    assert box.size.x == pytest.approx(0.1)


def test_an_object_behind_the_camera_has_no_box(new: NewMessage) -> None:
    passed = tracks()
    passed.positions[0] = [5, 0, 1.5]
    assert [track.id for track in tracks_message(new, passed, CAMERA, header(new), "name").detections] == ["4"]
