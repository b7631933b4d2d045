"""What counts when tracks are scored, and the figures of a small sequence by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mp_perception.data.frame_sets import FrameCamera
from mp_perception.data.object_label import IGNORED_REGION, Box3D, ObjectLabel
from mp_perception.evaluation.tracking_figures import TrackedFrame, tracking_figures
from mp_perception.evaluation.tracking_matching import found_at_precision, match_group, precision_at
from mp_perception.evaluation.tracking_truth import LabelledImage
from mp_perception.geometry import CameraIntrinsics
from mp_perception.tracking.tracks import Tracks

INTRINSICS = CameraIntrinsics(700, 700, 599.5, 179.5, 1200, 360)


def label(name: str, x: float, occlusion: int = 0, identity: int | None = 1) -> ObjectLabel:
    return ObjectLabel(name, (x, 100, x + 60, 160), 0, occlusion, None, identity)


def box(x: float, height: float = 60) -> list[float]:
    return [x, 100, x + 60, 100 + height]


def test_what_counts(make_detections) -> None:
    labels = [
        label("Car", 0),
        label("Van", 100),  # of the group
        label("Truck", 200, occlusion=2),  # hidden
        label("Person_sitting", 300),
        label(IGNORED_REGION, 400),
    ]
    names, lefts = ["Van", "Car", "Car", "Pedestrian", "Car", "Car"], [2, 102, 202, 302, 402, 700]
    reported = make_detections([(name, box(x), 0.5) for name, x in zip(names, lefts, strict=True)])
    vehicles = match_group(labels, reported, "Vehicle")
    assert vehicles.objects.tolist() == [0, 1]
    assert vehicles.reports.tolist() == [0, 1, 5]
    assert vehicles.overlaps[0, 0] == pytest.approx(58 / 62)
    assert vehicles.found.tolist() == [0, 1, -1]
    people = match_group(labels, reported, "Pedestrian")
    assert (len(people.objects), len(people.reports)) == (0, 0)
    assert len(match_group([], make_detections([("Car", box(0, height=20), 0.5)]), "Vehicle").reports) == 0


def test_recall_at_a_precision(make_detections) -> None:
    labels = [label("Car", 0), label("Car", 100), label("Car", 200)]
    rows = [("Car", box(x), score) for x, score in ((0, 0.9), (100, 0.8), (500, 0.7), (200, 0.6), (600, 0.5))]
    image = match_group(labels, make_detections(rows), "Vehicle")
    assert [found.tolist() for found in found_at_precision([image], 1.0)] == [[True, True, False]]
    assert [found.tolist() for found in found_at_precision([image], 0.75)] == [[True, True, True]]
    assert precision_at([image], 0.55) == pytest.approx(3 / 4)
    assert precision_at([image], 0.95) is None


@pytest.fixture
def sequence(make_detections) -> list[TrackedFrame]:
    """One car nears at 5 m/s from 25 m; its track changes once; the detection errs by 10 %, the track by 5 %."""
    frames = []
    for number in range(20):
        stamp, z = number / 10, 25 - 0.5 * number
        place = (500.0, 100.0, 600.0, 160.0)
        object_label = ObjectLabel("Car", place, 0, 0, Box3D((0, 0.75, z), (1.5, 1.7, 4.0), 0.0), 7)
        detections = make_detections([("Car", place, 0.9)], [(1.1 * z, 1.0)])
        track = 3 if number < 15 else 4
        tracks = Tracks(
            ids=np.array([track]),
            labels=np.array([1]),
            scores=np.array([0.8]),
            boxes=np.array([place]),
            positions=np.array([[0, 0, 1.05 * z]]),
            velocities=np.array([[0.0, 0.3, -5.4]]),
            covariances=np.eye(6)[None],
            seen=np.array([True]),
            ages=np.array([stamp]),
            detection_ids=np.array([track]),
            class_names=detections.class_names,
            camera_pose=np.eye(4),
            camera_velocity=np.zeros(3),
        )
        truth = LabelledImage(stamp, [object_label], FrameCamera(INTRINSICS), np.eye(4))
        frames.append(TrackedFrame(truth, np.array([z]), detections, tracks))
    return frames


def test_figures_by_hand(sequence) -> None:
    figures = tracking_figures([sequence], 0.3)
    vehicles = figures["Vehicle"]
    assert (vehicles["switches"], vehicles["hits"], vehicles["misses"], vehicles["false_alarms"]) == (1, 20, 0, 0)
    assert vehicles["object_seconds"] == pytest.approx(2.0)
    assert vehicles["switches_per_100_object_seconds"] == pytest.approx(50)
    assert vehicles["IDF1"] == pytest.approx(15 / 20)
    assert vehicles["distance"]["before"] == pytest.approx(0.1)
    assert vehicles["distance"]["after"] == pytest.approx(0.05)
    assert vehicles["velocity"]["median_error"] == pytest.approx(np.hypot(0.3, 0.4), abs=1e-6)
    # True: z / 5; of the track: 1.05 z / 5.4.
    assert vehicles["time_to_contact"]["median_relative_error"] == pytest.approx(5.4 / 5 / 1.05 - 1, abs=1e-6)
    assert vehicles["recall"]["high_precision"]["tracks"] == {"images": 1.0, "object_seconds": 1.0}
    assert figures["Cyclist"]["object_seconds"] == 0
    assert figures["Cyclist"]["distance"]["after"] is None
    assert figures["all"] == vehicles


def test_tracks_that_are_only_predicted_do_not_count_as_seen(sequence) -> None:
    hidden = [replace(frame, tracks=replace(frame.tracks, seen=np.array([False]))) for frame in sequence]
    assert tracking_figures([hidden], 0.3)["Vehicle"]["hits"] == 0


def test_two_sequences_do_not_share_objects(sequence) -> None:
    both = tracking_figures([sequence, sequence], 0.3)["Vehicle"]
    assert both["switches"] == 2
    assert both["object_seconds"] == pytest.approx(4.0)
