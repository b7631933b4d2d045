"""Tracking in the node: the frame of the tracks, and bad stamps, transforms and detections."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from rclpy.logging import get_logger
from std_msgs.msg import Header

from mp_perception.geometry import CameraIntrinsics
from mp_perception.messages.header import new_header
from mp_perception.messages.poses import transforms_message
from mp_perception.prediction import Detections, Prediction
from mp_perception.ros.diagnostics import Statistics
from mp_perception.ros.message_class import new_message
from mp_perception.ros.tracking import ObjectTracking, TrackedObjects
from mp_perception.ros.transforms import Transforms
from mp_perception.tracking.tracker import Tracker

CAMERA = CameraIntrinsics(fx=720, fy=720, cx=620, cy=187, width=1242, height=375)
#: The pose of the camera on the robot: optical x, y, z are the robot's -y, -z, x.
MOUNT = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]])
START = 1_700_000_000.0


def prediction(*positions: tuple[float, float, float], score: float = 0.9) -> Prediction:
    """Exact detections of cars 1.8 m wide and 1.5 m high at positions in the camera's frame."""
    found = np.array(positions, dtype=np.float64).reshape(-1, 3)
    centres, half = CAMERA.project(found), np.array([0.9, 0.75]) * 720 / found[:, 2:]
    depth = found[:, 2].astype(np.float32)
    detections = Detections(
        boxes=np.concatenate([centres - half, centres + half], axis=1).astype(np.float32),
        scores=np.full(len(found), score, np.float32),
        labels=np.zeros(len(found), np.int64),
        depth=depth,
        depth_std=0.08 * depth,
        valid_fraction=np.ones(len(found), np.float32),
        position=found.astype(np.float32),
        class_names=("Car",),
    )
    return Prediction(detections, np.ones((4, 4), np.float32), (375, 1242))


class Node:
    """Tracking with its transforms and its log."""

    def __init__(self, odom_frame: str, capfd: Any) -> None:
        self.statistics, self.transforms = Statistics(), Transforms(lambda text: None)
        self.tracker, self._capfd = Tracker(), capfd
        arguments = (odom_frame, self.transforms, self.statistics, get_logger("test"), "/image")
        self.tracking = ObjectTracking(self.tracker, *arguments)
        self.tracking.prediction_threshold(0.3)
        self.transforms.take_static(transforms_message(new_message, [("base", "camera", MOUNT)], 0))

    def drive(self, seconds: float, x: float) -> None:
        """The robot is at x in odom."""
        pose = np.eye(4)
        pose[0, 3] = x
        stamp = round((START + seconds) * 1e9)
        self.transforms.take(transforms_message(new_message, [("odom", "base", pose)], stamp))

    def report(
        self, seconds: float, seen: Prediction, camera: CameraIntrinsics | None = CAMERA, frame: str = "camera"
    ) -> TrackedObjects | None:
        header = new_header(new_message, frame, round((START + seconds) * 1e9))
        return self.tracking.report(seen, header, camera)[1]

    def see(self, seconds: float, *positions: tuple[float, float, float], frame: str = "camera") -> TrackedObjects:
        """The tracks after an image of cars at these positions."""
        tracked = self.report(seconds, prediction(*positions), frame=frame)
        assert tracked is not None
        return tracked

    def log(self) -> str:
        return str(self._capfd.readouterr().err)


def ids(tracked: TrackedObjects | None) -> list[int]:
    assert tracked is not None
    return [int(number) for number in tracked.tracks.ids]


def test_in_the_cameras_frame_a_parked_car_comes_as_fast_as_the_robot_drives(capfd: Any) -> None:
    node = Node("", capfd)
    for image in range(30):
        tracked = node.see(image / 10, (2, 1, 50 - image))
    assert tracked.header.frame_id == "camera"
    assert tracked.tracks.velocities[0] == pytest.approx([0, 0, -10], abs=0.5)
    assert tracked.tracks.trails[1][-1] == pytest.approx(tracked.tracks.positions[0])
    assert tracked.tracks.trails[1][0, 2] > 45  # from its first images on
    assert node.log().count("so that its own motion is part of velocities (odom_frame is not set)") == 1


def test_with_tf_the_robots_own_motion_drops_out(capfd: Any) -> None:
    node = Node("odom", capfd)
    for image in range(30):
        node.drive(image / 10, 100 + image)
        tracked = node.see(image / 10, (2, 1, 50 - image))
    assert tracked.header.frame_id == "odom"
    assert tracked.tracks.positions[0] == pytest.approx([150, -2, 0.5], abs=0.5)
    assert tracked.tracks.velocities[0] == pytest.approx([0, 0, 0], abs=0.5)
    assert tracked.tracks.closing_speeds[0] == pytest.approx(10, abs=0.6)  # against the camera, which drives
    assert node.log().count("tracks are formed in frame 'odom', by tf") == 1


def test_without_a_transform_there_are_no_tracks_until_it_comes_back(capfd: Any) -> None:
    node = Node("odom", capfd)
    assert node.report(0.0, prediction((2, 1, 20))) is None
    for image in range(1, 5):
        node.drive(image / 10, 0)
        tracked = node.see(image / 10, (2, 1, 20))
    assert ids(tracked) == [1]
    assert node.report(0.9, prediction((2, 1, 20))) is None  # 0.5 s after the newest transform
    node.drive(1.0, 0)
    assert ids(node.see(1.0, (2, 1, 20))) == [1]  # it was only coasting
    assert node.statistics.total("images_without_tracks") == 2
    assert "/image: no tracks: no transform from 'camera' to 'odom': tf has no frame 'odom'" in node.log()


def test_a_correction_of_the_robots_place_starts_tracks_anew(capfd: Any) -> None:
    node = Node("odom", capfd)
    for image in range(5):
        node.drive(image / 10, 0)
        tracked = node.see(image / 10, (2, 1, 20))
    assert ids(tracked) == [1]
    for image in range(5, 8):
        node.drive(image / 10, 500)  # 500 m in 0.1 s
        tracked = node.see(image / 10, (2, 1, 20))
    assert ids(tracked) == [2]
    assert np.abs(tracked.tracks.velocities).max() < 1
    assert len(tracked.tracks.trails[2]) == 2
    assert "tracks start anew, 1 are lost: the camera has moved 500 m in 0.1 s by tf" in node.log()


def test_another_camera_on_the_topic_starts_tracks_anew(capfd: Any) -> None:
    node = Node("", capfd)
    for image in range(3):
        node.see(image / 10, (2, 1, 20))
    assert ids(node.see(0.3, (2, 1, 20), frame="rear")) == []
    assert ids(node.see(0.4, (2, 1, 20), frame="rear")) == [2]
    assert "their frame changes from 'camera' to 'rear'" in node.log()


@pytest.mark.parametrize("jump", [-3600.0, -0.5, 3600.0])
def test_stamps_that_jump_start_tracks_anew(capfd: Any, jump: float) -> None:
    node = Node("", capfd)
    for image in range(4):
        node.see(image / 10, (2, 1, 20))
    for image in range(4, 7):
        tracked = node.see(image / 10 + jump, (2, 1, 20))
    assert ids(tracked) == [2]
    assert node.statistics.total("tracks_restarted") == 1
    assert "tracks start anew" in node.log()


def test_images_without_a_stamp_have_no_tracks(capfd: Any) -> None:
    node = Node("", capfd)
    assert node.tracking.report(prediction((2, 1, 20)), Header(frame_id="camera"), CAMERA)[1] is None
    assert "no tracks: the stamps are not above zero" in node.log()


def test_without_camera_info_objects_still_have_ids(capfd: Any) -> None:
    node = Node("odom", capfd)
    for image in range(3):
        tracked = node.report(image / 10, prediction((2, 1, 20)), None)
    assert ids(tracked) == [1]
    assert tracked is not None
    assert tracked.header.frame_id == "camera"
    assert np.isnan(tracked.tracks.positions[0, :2]).all()
    node.drive(0.3, 0)
    assert ids(node.see(0.3, (2, 1, 20))) == []  # with camera info positions are of another kind
    log = node.log()
    assert "tracks start anew, 1 are lost: their frame changes from 'camera' to 'odom'" in log
    assert log.count("tracks are formed in frame") == log.count("tracks are formed in frame 'odom', by tf") == 1


def test_values_that_are_not_numbers_do_no_harm(capfd: Any) -> None:
    node = Node("", capfd)
    for image in range(20):
        broken = prediction((2, 1, 20), (-4, 1, 30))
        found = broken.detections
        if image % 3 == 2:
            found.depth[0] = found.depth_std[0] = found.position[0] = np.nan
        if image % 3 == 1:
            found.boxes[0], found.depth_std[1] = np.nan, np.inf
        tracked = node.report(image / 10, broken)
    assert ids(tracked) == [1, 2]
    assert tracked is not None
    assert np.isfinite(tracked.tracks.positions).all()
    assert np.isfinite(tracked.tracks.covariances).all()


def test_a_network_that_states_no_error_of_its_depth_has_tracks(capfd: Any) -> None:
    node = Node("", capfd)
    for image in range(10):
        exact = prediction((2, 1, 50 - image))
        exact.detections.depth_std[:] = 0
        tracked = node.report(image / 10, exact)
    assert ids(tracked) == [1]
    assert tracked is not None
    assert tracked.tracks.velocities[0] == pytest.approx([0, 0, -10], abs=0.5)


@pytest.mark.extended
@pytest.mark.timeout(300)
def test_a_busy_street_leaves_nothing_behind(capfd: Any) -> None:
    """6,000 images: objects come and go, stamps jump, tf fails for a while."""
    node, generator, jump, sizes = Node("odom", capfd), np.random.default_rng(0), 0.0, []
    objects = np.empty((0, 3))
    for image in range(6_000):
        objects = np.concatenate([objects, generator.uniform((-15, 0, 5), (15, 2, 60), (generator.poisson(0.3), 3))])
        objects = objects[(generator.random(len(objects)) > 0.02) & (objects[:, 2] > 5)] - (0, 0, 0.3)
        jump -= 500.0 * (image % 1_000 == 999)
        if image % 500 > 50:
            node.drive(image / 10 + jump, image / 10)
        node.report(image / 10 + jump, prediction(*map(tuple, objects)))
        if image % 1_000 == 900:
            sizes.append(len(pickle.dumps((node.tracker, node.transforms._tree))))
    assert node.statistics.total("tracks_restarted") >= 11
    assert node.statistics.total("images_without_tracks") > 500
    assert node.tracker._last_id > 500
    assert max(sizes[2:]) < 2 * max(sizes[:2]), sizes
    assert len(node.log().splitlines()) < 500


def test_ids_are_not_used_again_after_a_deactivation(capfd: Any) -> None:
    node = Node("", capfd)
    for image in range(2):
        node.see(image / 10, (2, 1, 20))
    arguments = ("", node.transforms, node.statistics, get_logger("test"), "/image")
    node.tracking = ObjectTracking(node.tracker, *arguments)
    for image in range(2):
        tracked = node.see(image / 10, (2, 1, 20))
    assert ids(tracked) == [2]


def test_the_score_threshold_of_the_network_is_lower_and_follows_the_parameter(capfd: Any) -> None:
    node = Node("", capfd)
    assert 0 < node.tracking.prediction_threshold(0.5) < 0.5
    assert node.tracking.prediction_threshold(0.25) == pytest.approx(node.tracking.prediction_threshold(0.5) / 2)
    assert node.tracker.score_threshold == 0.5
