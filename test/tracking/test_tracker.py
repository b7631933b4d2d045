"""`Tracker`: ids, states and restarts on simulated detections whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mp_perception.classes import typical_height
from mp_perception.geometry import CameraIntrinsics
from mp_perception.prediction import Detections, Prediction
from mp_perception.tracking.tracker import MAX_OBJECTS, Tracker
from mp_perception.tracking.tracks import Tracks

CAMERA = CameraIntrinsics(fx=720, fy=720, cx=620.5, cy=187, width=1242, height=375)
CLASSES = ("Car", "Pedestrian", "Chair")
SIZES = np.array([[1.8, typical_height("Car")], [0.7, typical_height("Pedestrian")], [0.5, 1.0]])


def detections_at(
    positions: np.ndarray, labels: np.ndarray | list[int], scores: float | np.ndarray = 0.9
) -> Detections:
    """Exact detections of objects of typical size at positions (N, 3) in the camera's frame."""
    labels = np.asarray(labels, np.int64)
    centres, half = CAMERA.project(positions), SIZES[labels] / 2 * 720 / positions[:, 2:]
    depth = positions[:, 2].astype(np.float32)
    return Detections(
        boxes=np.concatenate([centres - half, centres + half], axis=1).astype(np.float32),
        scores=np.broadcast_to(scores, len(positions)).astype(np.float32),
        labels=labels,
        depth=depth,
        depth_std=(0.1 * depth).astype(np.float32),
        valid_fraction=np.ones(len(positions), np.float32),
        position=positions.astype(np.float32),
        class_names=CLASSES,
    )


def street(stamp: float) -> np.ndarray:
    """Positions (3, 3): one approaches, one crosses, one stands."""
    return np.array([[1.0, 0.5, 40 - 8 * stamp], [-6.0 + 1.5 * stamp, 0.3, 15.0], [4.0, 0.8, 20.0]])


def follow(tracker: Tracker, first: int, last: int, **options: object) -> Tracks:
    """Images number first..last - 1 of the street at 10 Hz."""
    for image in range(first, last):
        tracks = tracker.update(detections_at(street(image / 10), [0, 1, 2]), image / 10, CAMERA, **options)
    return tracks


def test_positions_velocities_and_times() -> None:
    tracks = follow(Tracker(), 0, 20)
    assert sorted(tracks.ids) == [1, 2, 3]
    by_class = np.argsort(tracks.labels)
    assert tracks.positions[by_class] == pytest.approx(street(1.9), abs=0.3)
    assert tracks.velocities[by_class] == pytest.approx(np.array([[0, 0, -8], [1.5, 0, 0], [0, 0, 0]]), abs=0.3)
    car = by_class[0]
    assert tracks.distances[car] == pytest.approx(np.linalg.norm(street(1.9)[0]), abs=0.3)
    assert tracks.times_to_contact[car] == pytest.approx(24.8 / 8, abs=0.1)
    assert tracks.ages == pytest.approx([1.9] * 3)
    assert tracks.seen.all()
    assert tracks.detection_ids[by_class].tolist() == tracks.ids.tolist() or set(tracks.detection_ids) == {1, 2, 3}


def test_an_object_that_is_missed_coasts_and_then_fades() -> None:
    tracker = Tracker()
    car = follow(tracker, 0, 20).detection_ids[0]
    for image in range(20, 23):
        tracks = tracker.update(detections_at(street(image / 10)[1:], [1, 2]), image / 10, CAMERA)
    index = int(np.flatnonzero(tracks.ids == car)[0])
    assert not tracks.seen[index]
    assert tracks.positions[index] == pytest.approx(street(2.2)[0], abs=0.5)
    tracks = tracker.update(detections_at(street(2.3), [0, 1, 2]), 2.3, CAMERA)
    assert tracks.detection_ids[0] == car
    for image in range(24, 40):
        tracks = tracker.update(detections_at(street(image / 10)[1:], [1, 2]), image / 10, CAMERA)
    assert car not in tracks.ids


def test_low_scores_continue_tracks_but_do_not_begin_them() -> None:
    tracker = Tracker()
    labels, strong, weak = [0, 1, 2], np.array([0.9, 0.9, 0.2]), np.array([0.9, 0.2, 0.2])
    for image in range(30):
        scores = strong if image < 10 else weak
        tracks = tracker.update(detections_at(street(image / 10), labels, scores), image / 10, CAMERA)
    assert tracks.detection_ids.tolist() == [1, 2, 0] or tracks.detection_ids.tolist() == [2, 1, 0]


@given(threshold=st.floats(0.2, 0.6), low=st.floats(0.41, 0.99))
def test_what_is_reported_is_above_the_threshold_and_has_the_ids_of_the_tracks(threshold: float, low: float) -> None:
    tracker = Tracker(threshold)
    for image in range(6):
        scores = np.array([0.9, 0.95, 0.9 if image < 5 else low * threshold])
        found = detections_at(street(image / 10), [0, 1, 2], scores)
        before = Prediction(found, np.ones((2, 3), np.float32), (375, 1242))
        after, tracks = tracker.report(before, image / 10, CAMERA)
    assert sorted(tracks.detection_ids.tolist()) == [1, 2, 3]  # the low score continues its track
    assert np.array_equal(after.detections.boxes, found.boxes[:2])
    assert after.detections.ids is not None
    assert after.detections.ids.tolist() == tracks.detection_ids[:2].tolist()
    assert after.network_depth is before.network_depth


def test_a_doubtful_object_is_reported_later_than_a_certain_one() -> None:
    tracker, reported = Tracker(), []
    for image in range(8):
        scores = np.array([0.9, 0.35, 0.9])
        tracks = tracker.update(detections_at(street(image / 10), [0, 1, 2], scores), image / 10, CAMERA)
        reported.append((tracks.detection_ids > 0).tolist())
    assert reported[0] == [False] * 3
    assert reported[1] == [True, False, True]
    assert reported[-1] == [True] * 3


def test_the_class_is_voted_on() -> None:
    tracker = Tracker()
    follow(tracker, 0, 10)
    detections = replace(detections_at(street(1.0), [0, 1, 2]), labels=np.array([1, 1, 2]))
    tracks = tracker.update(detections, 1.0, CAMERA)
    index = int(np.flatnonzero(tracks.ids == tracks.detection_ids[0])[0])
    assert tracks.name(index) == "Car"


def test_own_motion_is_no_velocity_with_poses() -> None:
    """The camera drives forwards at 5 m/s and turns; two objects stand in the fixed frame."""
    tracker = Tracker()
    fixed = np.array([[2.0, 0.5, 40.0], [-3.0, 0.4, 30.0]])
    for image in range(20):
        stamp, angle = image / 10, 0.02 * image
        pose = np.eye(4)
        pose[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
        pose[:3, 3] = [0, 0, 5 * stamp]
        seen = (fixed - pose[:3, 3]) @ pose[:3, :3]
        tracks = tracker.update(detections_at(seen, [0, 1]), stamp, CAMERA, pose)
    order = np.argsort(tracks.labels)
    assert tracks.positions[order] == pytest.approx(fixed, abs=0.5)
    assert np.abs(tracks.velocities).max() < 0.3
    assert tracks.depths[order] == pytest.approx(seen[:, 2], abs=0.5)
    offsets = fixed - pose[:3, 3]
    closing = 5 * offsets[:, 2] / np.linalg.norm(offsets, axis=1)
    assert tracks.closing_speeds[order] == pytest.approx(closing, abs=0.3)


@pytest.mark.parametrize(
    ("stamp", "options", "reason"),
    [
        (0.5, {}, "the stamp jumped back by 0.5 s"),
        (np.nan, {}, "jumped back"),
        (3.5, {}, "no image for 2.5 s"),
        (1.1, {"pose": np.eye(4)}, "the camera's pose is known now"),
        (1.1, {"pose": np.full((4, 4), np.nan)}, ""),
        (1.1, {"pose": 2 * np.eye(4)}, ""),
    ],
)
def test_restarts(stamp: float, options: dict[str, np.ndarray], reason: str) -> None:
    tracker = Tracker()
    before = follow(tracker, 0, 11)
    tracks = tracker.update(detections_at(street(1.1), [0, 1, 2]), stamp, CAMERA, **options)
    assert (reason in tracks.restart) if reason else tracks.restart == ""
    assert len(tracks) == (0 if reason else 3)
    for image in range(1, 4):
        tracks = tracker.update(detections_at(street(1.1), [0, 1, 2]), 10 + image / 10, CAMERA)
    assert min(tracks.ids) > max(before.ids)


def test_another_image_size_restarts() -> None:
    tracker = Tracker()
    follow(tracker, 0, 5)
    other = replace(CAMERA, width=1280)
    assert tracker.update(detections_at(street(0.5), [0, 1, 2]), 0.5, other).restart == "another image size or network"


def test_without_intrinsics_only_the_depth_is_known() -> None:
    tracker = Tracker()
    for image in range(20):
        stamp = image / 10
        detections = detections_at(street(stamp), [0, 1, 2])
        tracks = tracker.update(replace(detections, position=np.full((3, 3), np.nan, np.float32)), stamp, None)
    order = np.argsort(tracks.labels)
    assert np.isnan(tracks.positions[:, :2]).all()
    assert np.isnan(tracks.velocities[:, :2]).all()
    assert tracks.distances[order] == pytest.approx(street(1.9)[:, 2], rel=0.05)
    assert tracks.closing_speeds[order][0] == pytest.approx(8, abs=0.5)
    assert tracks.boxes == pytest.approx(detections.boxes[np.argsort(tracks.detection_ids)], abs=3)


def test_without_depth_the_height_of_the_class_gives_the_distance() -> None:
    tracker = Tracker()
    for image in range(10):
        detections = detections_at(street(image / 10), [0, 1, 2])
        unknown = np.full(3, np.nan, np.float32)
        tracks = tracker.update(replace(detections, depth=unknown, depth_std=unknown), image / 10, CAMERA)
    order = np.argsort(tracks.labels)
    assert tracks.positions[order][:2] == pytest.approx(street(0.9)[:2], abs=0.5)
    assert np.isnan(tracks.positions[order][2]).all()
    assert np.isnan(tracks.distances[order][2])
    assert np.isnan(tracks.times_to_contact[order][2])


def test_an_object_of_two_classes_is_one_track() -> None:
    tracker = Tracker()
    for image in range(5):
        both = np.repeat(street(image / 10)[:1], 2, axis=0)
        detections = detections_at(both, [0, 0], np.array([0.9, 0.5]))
        tracks = tracker.update(replace(detections, labels=np.array([0, 2])), image / 10, CAMERA)
    assert tracks.ids.tolist() == [1]
    assert tracks.detection_ids.tolist() == [1, 0]


def wild_detections(random: np.random.Generator) -> Detections:
    """Detections with values that no network should give."""
    count = int(random.integers(0, 7))

    def wild(values: np.ndarray) -> np.ndarray:
        odd = random.choice([np.nan, np.inf, -np.inf, 1e30, 0.0, -5.0, 1e-30], values.shape)
        return np.where(random.random(values.shape) < 0.1, odd, values).astype(np.float32)

    positions = random.uniform([-8, -0.5, 2], [8, 1, 60], (count, 3))
    usual = detections_at(positions, random.integers(0, 3, count), random.uniform(0, 1, count))
    names = ("boxes", "depth", "depth_std", "valid_fraction", "position", "scores")
    return replace(usual, **{name: wild(getattr(usual, name)) for name in names})


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(60))
def test_wild_detections_do_no_harm(seed: int) -> None:
    random = np.random.default_rng(seed)
    tracker, ids, stamp = Tracker(), set[int](), 0.0
    camera = CAMERA if random.random() < 0.7 else None
    for _ in range(12):
        stamp += random.choice([0.0, 0.1, 0.1, 0.1, 1.0, -1.0, 100.0, 1e-9])
        tracks = tracker.update(wild_detections(random), stamp, camera)
        assert (np.diff(tracks.ids) > 0).all()
        assert (tracks.ids > 0).all()
        assert set(tracks.detection_ids) - {0} <= set(tracks.ids)
        assert not tracks.restart or min(tracks.ids, default=np.inf) > max(ids, default=0)
        assert np.isfinite(tracks.boxes).all()
        assert ((tracks.scores >= 0) & (tracks.scores <= 1)).all()
        for name in ("distance_stds", "closing_speed_stds", "time_to_contact_stds"):
            assert not (getattr(tracks, name) < 0).any()
        ids |= set(tracks.ids.tolist())
    # It works on.
    for image in range(3):
        tracks = tracker.update(detections_at(street(0.0), [0, 1, 2]), stamp + 200 + image / 10, CAMERA)
    assert (tracks.detection_ids > 0).all()


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 1000), order_seed=st.integers(0, 1000))
def test_order_of_detections_does_not_matter_and_mirrored_input_gives_mirrored_tracks(
    seed: int, order_seed: int
) -> None:
    random, shuffle = np.random.default_rng(seed), np.random.default_rng(order_seed)
    places = random.uniform([-8, -0.5, 8], [8, 1, 40], (5, 3))
    velocities = random.uniform(-3, 3, (5, 3))
    trackers = [Tracker() for _ in range(3)]
    middle = CAMERA.width / 2
    assert CAMERA.cx == middle - 0.5
    for image in range(8):
        positions = places + velocities * [1, 0.1, 1] * image / 10
        detections = detections_at(positions, random.integers(0, 3, 5), random.uniform(0.1, 1, 5))
        detections = detections[random.random(5) < 0.8]
        order = shuffle.permutation(len(detections))
        boxes = detections.boxes.copy()
        boxes[:, [0, 2]] = CAMERA.width - boxes[:, [2, 0]]
        inputs = (detections, detections[order], replace(detections, boxes=boxes))
        plain, shuffled, mirrored = (
            tracker.update(given, image / 10, CAMERA) for tracker, given in zip(trackers, inputs, strict=True)
        )
        assert plain.ids.tolist() == shuffled.ids.tolist() == mirrored.ids.tolist()
        assert plain.detection_ids[order].tolist() == shuffled.detection_ids.tolist()
        assert shuffled.positions == pytest.approx(plain.positions, nan_ok=True)
        assert mirrored.positions * [-1, 1, 1] == pytest.approx(plain.positions, nan_ok=True, rel=1e-4, abs=1e-4)
        assert mirrored.velocities * [-1, 1, 1] == pytest.approx(plain.velocities, nan_ok=True, rel=1e-3, abs=1e-3)
        assert mirrored.closing_speeds == pytest.approx(plain.closing_speeds, nan_ok=True, rel=1e-3, abs=1e-3)


def test_a_thousand_detections_are_bounded() -> None:
    tracker, random = Tracker(), np.random.default_rng(0)
    for image in range(4):
        positions = random.uniform([-15, -2, 20], [15, 2, 60], (1000, 3))
        tracks = tracker.update(detections_at(positions, random.integers(0, 3, 1000)), image / 10, CAMERA)
        assert len(tracks) <= MAX_OBJECTS
