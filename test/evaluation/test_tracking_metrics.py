"""HOTA, IDF1 and CLEAR MOT: by hand, and against TrackEval's results."""

from __future__ import annotations

import numpy as np
import pytest

from mp_perception.evaluation.tracking_metrics import TrackedImage, tracking_metrics

ONE = np.ones((1, 1))


def image(objects: list[int], tracks: list[int], overlaps: np.ndarray) -> TrackedImage:
    return TrackedImage(np.array(objects, np.int64), np.array(tracks, np.int64), overlaps)


def random_sequence(seed: int) -> list[TrackedImage]:
    """Objects that come and go, tracks that follow them with gaps, switches and false alarms."""
    random = np.random.default_rng(seed)
    images = []
    for _ in range(40):
        objects = np.flatnonzero(random.random(6) < 0.7)
        followed = objects[random.random(len(objects)) < 0.8]
        tracks = np.unique(followed * 10 + (random.random(len(followed)) < 0.1))
        if random.random() < 0.3:
            tracks = np.append(tracks, 99)
        near = objects[:, None] == tracks // 10
        overlaps = np.where(near, random.uniform(0.3, 1, near.shape), random.uniform(0, 0.6, near.shape)).round(2)
        images.append(TrackedImage(objects, tracks, overlaps))
    return images


NAMES = ("HOTA", "DetA", "AssA", "IDF1", "MOTA", "switches", "hits", "misses", "false_alarms")
#: Seed of a sequence, and its metrics by TrackEval 1.3.0 (HOTA averaged over its overlaps), in the order of NAMES.
TRACKEVAL = [
    (0, (0.378586452, 0.445465197, 0.322461524, 0.475884244, 0.11627907, 55, 107, 65, 32)),
    (1, (0.477052751, 0.494298492, 0.461166705, 0.607260726, 0.2625, 29, 107, 53, 36)),
    (2, (0.427481863, 0.459221806, 0.398676189, 0.56, 0.166666667, 56, 118, 56, 33)),
]


@pytest.mark.parametrize(("seed", "metrics"), TRACKEVAL)
def test_metrics_are_those_of_trackeval(seed: int, metrics: tuple[float, ...]) -> None:
    expected = dict(zip(NAMES, metrics, strict=True))
    assert tracking_metrics(random_sequence(seed)) == pytest.approx(expected, abs=1e-8)


def test_sequences_are_scored_together() -> None:
    """Counts add up; the ids of the second sequence are others."""
    parts = [random_sequence(seed) for seed in (0, 1)]
    shifted = [TrackedImage(x.objects + 1000, x.tracks + 1000, x.overlaps) for x in parts[1]]
    joint = tracking_metrics(parts[0] + shifted)
    for name in ("switches", "hits", "misses", "false_alarms"):
        assert joint[name] == sum(tracking_metrics(part)[name] for part in parts)


def test_perfect_tracks() -> None:
    metrics = tracking_metrics([image([7], [3], ONE)] * 5)
    assert [metrics[name] for name in ("HOTA", "DetA", "AssA", "IDF1", "MOTA")] == pytest.approx([1] * 5)
    assert metrics["switches"] == 0


def test_a_switch_by_hand() -> None:
    metrics = tracking_metrics([image([7], [1], ONE)] * 3 + [image([7], [2], ONE)])
    assert metrics["switches"] == 1
    assert metrics["MOTA"] == pytest.approx(3 / 4)
    assert metrics["IDF1"] == pytest.approx(2 * 3 / 8)
    # Three hits belong to the pair that is together in 3 of 4 images, one to the pair that is in 1 of 4.
    assert metrics["AssA"] == pytest.approx((3 * 3 / 4 + 1 / 4) / 4)
    assert metrics["HOTA"] == pytest.approx(np.sqrt(10 / 16))


def test_nothing_found_and_nothing_there() -> None:
    none = np.zeros((1, 0))
    missed = tracking_metrics([image([7], [], none)] * 2)
    assert (missed["HOTA"], missed["IDF1"], missed["MOTA"], missed["misses"]) == (0, 0, 0, 2)
    false = tracking_metrics([image([], [7], none.T)] * 2)
    assert (false["HOTA"], false["IDF1"], false["MOTA"], false["false_alarms"]) == (0, 0, -2, 2)
    assert tracking_metrics([])["HOTA"] == 0
