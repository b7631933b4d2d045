"""Tracks of a real node: the ids are those of the library on the same frames, and tf takes out the robot's motion."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from mp_perception.bags.kitti_to_bag import write_raw_drive
from mp_perception.bags.reading import BagReader
from mp_perception.data.kitti.raw import RawDrive
from mp_perception.errors import UserError
from mp_perception.inference.prediction_settings import PredictionSettings
from mp_perception.inference.predictor import Predictor
from mp_perception.messages.camera_info import intrinsics_of
from mp_perception.messages.header import stamp_of
from mp_perception.messages.images import image_to_array
from mp_perception.messages.poses import transforms_message
from mp_perception.messages.tracks import STATE_LAYOUT
from mp_perception.ros.message_class import new_message
from mp_perception.ros.replay_session import ReplaySession, run_replay_session
from mp_perception.synthetic.drive import write_raw_drive as write_synthetic_drive
from mp_perception.synthetic.sensors import camera_of_size
from mp_perception.tracking.tracker import Tracker
from reliability.small_network import write_small_network

pytestmark = [pytest.mark.dds, pytest.mark.timeout(180)]

IMAGE, CAMERA_INFO = "/kitti/camera_color_left/image_raw", "/kitti/camera_color_left/camera_info"
THRESHOLD = 0.2


def table(cloud: Any) -> np.ndarray:
    return np.frombuffer(bytes(cloud.data), STATE_LAYOUT)


def offline(bag: Path, predictor: Predictor) -> Iterator[tuple[int, list[str], list[int]]]:
    """Of each frame the stamp, the ids of the detections and of the tracks, by the library alone."""
    tracker = Tracker(THRESHOLD)
    settings = PredictionSettings(score_threshold=tracker.lowest_score)
    with BagReader(bag) as reader:
        info = next(reader.decode(message) for message in reader.messages([CAMERA_INFO]))
        for message in reader.messages([IMAGE]):
            image = reader.decode(message)
            pixels, stamp = image_to_array(image), stamp_of(image.header)
            intrinsics = intrinsics_of(info, pixels.shape[1], pixels.shape[0], False)
            detections = predictor.predict(pixels, intrinsics, settings).detections
            tracks = tracker.update(detections, stamp / 1e9, intrinsics)
            reported = tracks.detection_ids[detections.scores >= THRESHOLD]
            placed = np.isfinite(tracks.positions).all(axis=1)
            yield stamp, [str(n) if n else "" for n in reported], tracks.ids[placed].tolist()


def test_live_ids_are_those_of_the_library(dds_environment: dict[str, str], tmp_path: Path) -> None:
    drive = write_synthetic_drive(tmp_path / "raw", 20, seed=3, camera=camera_of_size(640, 192))
    bag = tmp_path / "street"
    write_raw_drive(RawDrive(drive), bag)
    session = ReplaySession(
        bag=bag,
        image_topic=IMAGE,
        camera_info_topic=CAMERA_INFO,
        recording=tmp_path / "recording",
        recorded=["/detections", "/tracks", "/tracks/states"],
        log_folder=tmp_path / "logs",
        parameters={"tracking": "true", "process_every_frame": "true", "score_threshold": str(THRESHOLD)},
        played=[IMAGE, CAMERA_INFO],
        rate=0.5,
    )
    values = run_replay_session(session, 4.0)
    assert values["images processed"] == "20"
    assert float(values["track median (ms)"]) > 0
    predictor = Predictor.load()
    expected = list(offline(bag, predictor))
    predictor.close()
    with BagReader(tmp_path / "recording") as reader:
        live = {
            topic: {stamp_of(found.header): found for found in map(reader.decode, reader.messages([topic]))}
            for topic in session.recorded
        }
    ids = {stamp: [found.id for found in array.detections] for stamp, array in live["/detections"].items()}
    assert ids == {stamp: ids for stamp, ids, _ in expected}
    states = {stamp: table(cloud)["id"].tolist() for stamp, cloud in live["/tracks/states"].items()}
    assert states == {stamp: ids for stamp, _, ids in expected}
    boxes = {stamp: {int(found.id) for found in array.detections} for stamp, array in live["/tracks"].items()}
    assert all(boxes[stamp] <= set(found) for stamp, found in states.items())  # none behind the camera
    assert len({number for found in boxes.values() for number in found}) >= 2  # the scene has objects to follow


class Street:
    """A robot that drives 10 m/s towards a car which fills the image; the telephoto camera looks along odom's x.

    Its images are STEP apart by their stamps, and each is processed before the next is sent, so that a busy machine
    makes the drive longer but not different.
    """

    STEP = 0.05  # seconds

    def __init__(self, robot: Any) -> None:
        self.robot = robot
        self.start = self.time = time.time()
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        mount = np.array([[0.0, 0, 1, 0.5], [-1, 0, 0, 0], [0, -1, 0, 1], [0, 0, 0, 1]])
        static = transforms_message(new_message, [("base", "camera_optical", mount)], 0)
        robot.publisher(TFMessage, "/tf_static", latched).publish(static)

    def drive_until(self, topic: str, condition: Any, with_tf: bool = True) -> Any:
        """Send camera info, transforms and images until a message of a topic fulfils the condition; that message."""
        deadline = time.monotonic() + 60
        self.robot.received[topic].clear()
        while time.monotonic() < deadline:
            self._step(with_tf)
            for message in self.robot.received[topic]:
                if condition(message):
                    return message
        raise AssertionError(f"{topic}: {self.robot.received[topic][-1:]}; {self.robot.values}")

    def _step(self, with_tf: bool) -> None:
        robot = self.robot
        self.time += self.STEP
        x = 10 * ((self.time - self.start) % 4)
        pose = np.eye(4)
        pose[0, 3] = x
        if with_tf:
            tf = transforms_message(new_message, [("odom", "base", pose)], int(self.time * 1e9))
            robot.publisher(TFMessage, "/tf").publish(tf)
        info = CameraInfo(width=64, height=32, k=[1200.0, 0.0, 31.5, 0.0, 1200.0, 15.5, 0.0, 0.0, 1.0])
        robot.publisher(CameraInfo, "camera_info").publish(info)
        grey = round(4 * (55 - x))  # the small network's depth is a quarter of it
        image = Image(height=32, width=64, encoding="mono8", step=64, data=bytes([grey]) * 2048)
        sent = robot.send_image(image, stamp=self.time)
        with suppress(UserError):  # best effort may lose it: the next one follows
            robot.wait(lambda: robot.with_stamp("detections", sent), "detections", 1.0)


def test_tracks_in_a_frame_of_tf_and_without_it(start_node: Any, tmp_path: Path) -> None:
    parameters = {"weights": str(write_small_network(tmp_path)), "tracking": True, "odom_frame": "odom"}
    process, robot = start_node("/street", diagnostics_period=0.2, max_age=0.0, score_threshold=0.4, **parameters)
    for kind, topic in (
        (Detection3DArray, "detections_3d"),
        (Detection3DArray, "tracks"),
        (PointCloud2, "tracks/states"),
        (MarkerArray, "tracks/markers"),
        (Image, "overlay"),
    ):
        robot.subscribe(kind, topic)
    street = Street(robot)

    def settled(cloud: Any) -> bool:
        return len(table(cloud)) > 0 and float(table(cloud)["age"].min()) > 1.0

    cloud = street.drive_until("tracks/states", settled)
    assert cloud.header.frame_id == "odom"
    for row in table(cloud):
        assert row["x"] == pytest.approx(55.5, abs=2)  # the car stands still
        assert row["vx"] == pytest.approx(0, abs=2)
        assert row["closing_speed"] == pytest.approx(10, abs=2)
        assert row["time_to_contact"] == pytest.approx(row["distance"] / row["closing_speed"], rel=1e-5)

    tracks, detections, solid = (robot.beside(cloud, topic) for topic in ("tracks", "detections", "detections_3d"))
    assert [int(track.id) for track in tracks.detections] == table(cloud)["id"].tolist()
    assert tracks.header.frame_id == "odom"
    assert detections.header.frame_id == "camera_optical"
    assert {found.id for found in detections.detections} - {""} <= {track.id for track in tracks.detections}
    assert any(found.id for found in detections.detections)
    assert [found.id for found in solid.detections] == [found.id for found in detections.detections]
    markers = robot.wait(lambda: robot.received["tracks/markers"], "tracks/markers")[-1].markers
    assert {marker.ns for marker in markers if marker.ns} >= {"boxes", "texts", "trails"}
    assert process.text().count("tracks are formed in frame 'odom', by tf") == 1

    words = "/street/image: no tracks: no transform from 'camera_optical' to 'odom' at the image's stamp"

    def reported(message: Any) -> bool:
        # The log has it some seconds after another such warning.
        without_tracks = message.detections and not any(found.id for found in message.detections)
        return without_tracks and words in robot.values["message"] and words in process.text()

    street.drive_until("detections", reported, with_tf=False)
    assert "images without tracks" in robot.values["message"]

    assert street.drive_until("tracks", lambda message: message.detections)  # tf is back
    assert robot.set(tracking=False)[0].successful
    off = round(street.time * 1e9)
    street.drive_until("detections", lambda message: stamp_of(message.header) > off + 0.25e9)
    assert not any(found.id for m in robot.received["detections"] if stamp_of(m.header) > off for found in m.detections)
    assert not [m for m in robot.received["tracks"] if stamp_of(m.header) > off]
    refused = robot.set(odom_frame="map")[0]
    assert not refused.successful
    assert "change it while unconfigured" in refused.reason
