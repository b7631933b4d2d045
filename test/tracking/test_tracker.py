"""`Tracker`: ids, states and restarts on simulated detections whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from mp_perception.geometry import CameraIntrinsics
from mp_perception.prediction import Detections
from mp_perception.tracking.tracker import Tracker

CAMERA = CameraIntrinsics(fx=720, fy=720, cx=620, cy=187, width=1242, height=375)


def detections_at(positions: np.ndarray, labels: np.ndarray, score: float = 0.9) -> Detections:
    """Exact detections of objects 1.5 m high and 1.8 m wide at positions (N, 3)."""
    centres, half = CAMERA.project(positions), np.array([0.9, 0.75]) * 720 / positions[:, 2:]
    depth = positions[:, 2].astype(np.float32)
    return Detections(
        boxes=np.concatenate([centres - half, centres + half], axis=1).astype(np.float32),
        scores=np.full(len(positions), score, np.float32),
        labels=labels,
        depth=depth,
        depth_std=(0.08 * depth).astype(np.float32),
        valid_fraction=np.ones(len(positions), np.float32),
        position=positions.astype(np.float32),
        class_names=("Car", "Pedestrian"),
    )


def test_follows_an_approaching_object() -> None:
    tracker = Tracker()
    for image in range(20):
        stamp = image / 10
        positions = np.array([[1.0, 0.5, 40 - 8 * stamp], [-6.0, 0.5, 25.0]])
        tracks = tracker.update(detections_at(positions, np.array([0, 1])), stamp, CAMERA)
    assert tracks.ids.tolist() == tracks.detection_ids.tolist() == [1, 2]
    assert [tracks.name(i) for i in range(2)] == ["Car", "Pedestrian"]
    assert tracks.positions == pytest.approx(positions, abs=0.5)
    assert tracks.velocities[0] == pytest.approx([0, 0, -8], abs=0.5)
    assert tracks.times_to_contact[0] == pytest.approx(24.8 / 8, abs=0.3)
    assert tracks.ages == pytest.approx([1.9, 1.9])
