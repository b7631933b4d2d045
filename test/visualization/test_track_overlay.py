"""Tracks in pictures and files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mp_perception.classes import class_color
from mp_perception.geometry import CameraIntrinsics
from mp_perception.prediction import Detections, Prediction
from mp_perception.tracking.tracks import Tracks
from mp_perception.tracking.trails import Trails
from mp_perception.visualization.prediction_files import write_prediction
from mp_perception.visualization.track_overlay import draw_tracks, track_texts

CAMERA = CameraIntrinsics(fx=300, fy=300, cx=199.5, cy=99.5, width=400, height=200)


@pytest.fixture
def tracks() -> Tracks:
    """A cyclist who nears and has crossed, and a car that is not seen and whose distance is unknown."""
    return Tracks(
        ids=np.array([3, 8]),
        labels=np.array([1, 0]),
        scores=np.array([0.9, 0.5]),
        boxes=np.array([[180.0, 60, 220, 140], [300, 80, 380, 130]]),
        positions=np.array([[0.0, 0, 14], [np.nan] * 3]),
        velocities=np.array([[0.0, 0, -5], [np.nan] * 3]),
        covariances=np.broadcast_to(np.eye(6) * 0.01, (2, 6, 6)),
        seen=np.array([True, False]),
        ages=np.array([1.0, 2.0]),
        detection_ids=np.array([3]),
        class_names=("Car", "Cyclist"),
        camera_pose=np.eye(4),
        camera_velocity=np.zeros(3),
        trails=Trails({3: tuple((0.2 * i, np.array([2.0 * i - 4, 0, 14])) for i in range(3))}),
    )


def test_texts(tracks: Tracks) -> None:
    assert track_texts(tracks, 0) == ("3 Cyclist 14.0 m 5.0 m/s 2.8 s", "3 14.0 m", "3")
    assert track_texts(tracks, 1) == ("8 Car", "8", "8")


def test_boxes_trails_and_labels_are_drawn(tracks: Tracks) -> None:
    canvas = np.zeros((200, 400, 3), np.uint8)
    draw_tracks(canvas, tracks, CAMERA)
    color = np.array(class_color("Cyclist"))
    assert (canvas[100, 180] == color).all()  # the box
    assert (canvas[100, 150] == color).all()  # the trail: x = -2.3 m is at column 200 - 2.3 * 300 / 14
    assert (canvas[52, 184] == color).all()  # the label
    assert (canvas[105, 300] == class_color("Car")).all()
    without = np.zeros((200, 400, 3), np.uint8)
    draw_tracks(without, tracks, None)
    assert (without[100, 150] == 0).all()


def test_json_of_tracks(tracks: Tracks, tmp_path: Path) -> None:
    none = np.zeros(0, np.float32)
    detections = Detections(
        np.zeros((0, 4), np.float32), none, np.zeros(0, np.int64), none, none, none, np.zeros((0, 3), np.float32), ()
    )
    prediction = Prediction(detections, np.ones((20, 40), np.float32), (200, 400))
    write_prediction(tmp_path / "7", "street.mp4#7", np.zeros((200, 400, 3), np.uint8), prediction, tracks)
    written = json.loads((tmp_path / "7.json").read_text())["tracks"]
    assert written[0]["id"] == 3
    assert written[0]["time_to_contact"] == pytest.approx(2.8)
    assert written[0]["velocity"] == [0, 0, -5]
    assert (written[1]["position"], written[1]["distance"], written[1]["seen"]) == (None, None, False)
