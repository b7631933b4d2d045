"""From the detections of each image to tracks: association, filtering, birth, confirmation and death.

Detections are associated in two passes (ByteTrack, Zhang et al. 2022): first those that would be reported by
themselves, then those with a low score, which are credible where an object was predicted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mp_perception.geometry import CameraIntrinsics, box_iou, seen_sizes
from mp_perception.prediction import Detections
from mp_perception.tracking import motion_filter
from mp_perception.tracking.association import IMPOSSIBLE, assign
from mp_perception.tracking.motion_filter import Measurements, NoiseModel, States
from mp_perception.tracking.tracks import Array, Tracks

#: Stands for an unknown camera: x and y are in units that do not matter, and are not reported.
_NOMINAL_CAMERA = CameraIntrinsics(fx=1000, fy=1000, cx=-0.5, cy=-0.5, width=1, height=1)
#: At most so many objects are followed; it bounds the time.
MAX_TRACKS = 300
#: A box closer to the image's edge than this, pixels, is cut by it.
_EDGE = 2.0
#: Minimum relative error of a depth: networks that do not state theirs have none.
_MIN_DEPTH_ERROR = 0.02
#: Depth of an object whose distance has never been measured, metres.
_NOMINAL_DEPTH = 20.0


@dataclass(frozen=True)
class TrackerSettings:
    """How objects are followed.

    Attributes:
        score_threshold: minimum score of a detection that begins a track, 0..1.
        low_score_factor: detections of at least this fraction of it continue tracks.
        confirmation_images: images in a row that an object must be seen in before it is reported.
        coasting_seconds: how long an object that is not seen is predicted.
        max_gap_seconds: after a longer pause between images tracks restart.
        noise: of motion and measurements.
    """

    score_threshold: float = 0.3
    low_score_factor: float = 0.4
    confirmation_images: int = 2
    coasting_seconds: float = 1.0
    max_gap_seconds: float = 2.0
    noise: NoiseModel = field(default_factory=NoiseModel)

    @property
    def lowest_score(self) -> float:
        """Minimum score of the detections that a tracker makes use of: predict with this threshold."""
        return self.score_threshold * self.low_score_factor


@dataclass(frozen=True)
class _Objects:
    """What is kept of N objects, confirmed or not."""

    states: States
    aspects: Array  # width / height of the box
    votes: Array  # (N, classes) sums of scores
    scores: Array
    ids: NDArray[np.int64]  # 0 until confirmed
    hits: NDArray[np.int64]
    born: Array  # stamps
    seen: Array  # stamps
    ranged: NDArray[np.bool_]  # whether the distance was ever measured

    def __getitem__(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> _Objects:
        return _Objects(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    def __len__(self) -> int:
        return len(self.ids)


def _joined(first: _Objects, second: _Objects) -> _Objects:
    arrays = {
        name: np.concatenate([getattr(first, name), getattr(second, name)])
        for name in first.__dataclass_fields__
        if name != "states"
    }
    return _Objects(motion_filter.joined(first.states, second.states), **arrays)


class Tracker:
    """Follows the objects of one camera from image to image.  Deterministic; not thread-safe."""

    def __init__(self, settings: TrackerSettings | None = None) -> None:
        self.settings = settings or TrackerSettings()
        self._last_id = 0
        self.reset()

    def reset(self) -> None:
        """Drop all tracks.  Their ids are not used again."""
        self._objects: _Objects | None = None
        self._stamp = self._previous_stamp = np.nan
        self._setting: tuple[object, ...] = ()
        self._pose = np.eye(4)
        self._camera_velocity: Array = np.zeros(3)

    def update(
        self,
        detections: Detections,
        stamp: float,
        intrinsics: CameraIntrinsics | None,
        pose: NDArray[np.floating] | None = None,
    ) -> Tracks:
        """The tracks after one more image.

        Args:
            detections: of the image, predicted with the settings' `lowest_score`; in any order.
            stamp: when the image was taken, seconds from any start.
            intrinsics: of the image; without them tracks have no x and y.
            pose: (4, 4) from the camera's optical frame to a fixed frame, in which tracks are then formed; None forms
                them in the camera's frame.
        """
        reason = self._restart_reason(detections, stamp, intrinsics, pose)
        if reason:
            self.reset()
        camera = intrinsics or _NOMINAL_CAMERA
        fixed = np.eye(4) if pose is None or intrinsics is None else np.asarray(pose, dtype=np.float64)
        seconds = 0.0 if np.isnan(self._stamp) else stamp - self._stamp
        if seconds > 0:
            self._camera_velocity = (fixed[:3, 3] - self._pose[:3, 3]) / seconds
        self._stamp, self._pose = stamp, fixed
        self._setting = _setting(detections, intrinsics, pose)
        order = np.lexsort((*detections.boxes.T, -detections.scores))
        usable = order[detections.scores[order] >= self.settings.lowest_score]
        found = detections[usable]
        measured = _measurements(found, camera, bounded=intrinsics is not None)
        good = np.flatnonzero((measured.sizes > 0).all(axis=1) & np.isfinite(measured.directions).all(axis=1))
        usable, found, measured = usable[good], found[good], measured[good]
        ids = self._follow(found, measured, camera, stamp, seconds)
        detection_ids = np.zeros(len(detections), dtype=np.int64)
        detection_ids[usable] = ids
        return self._tracks(detection_ids, detections.class_names, camera, intrinsics is not None, stamp, reason)

    def _restart_reason(
        self,
        detections: Detections,
        stamp: float,
        intrinsics: CameraIntrinsics | None,
        pose: NDArray[np.floating] | None,
    ) -> str:
        if self._objects is None:
            return ""
        seconds = stamp - self._stamp
        if not seconds >= 0:
            return f"the stamp jumped back by {-seconds:.3g} s"
        if seconds > self.settings.max_gap_seconds:
            return f"no image for {seconds:.3g} s"
        if self._setting != _setting(detections, intrinsics, pose):
            return "another image size, camera, frame or network"
        return ""

    def _follow(
        self, found: Detections, measured: Measurements, camera: CameraIntrinsics, stamp: float, seconds: float
    ) -> NDArray[np.int64]:
        """Take in the detections; returns the ids (M,) of their confirmed tracks."""
        noise, settings = self.settings.noise, self.settings
        of_track = np.full(len(found), -1)
        old = self._objects
        if old is not None and len(old):
            states = motion_filter.predicted(old.states, seconds, noise)
            expectation = motion_filter.expected(states, self._pose)
            boxes = _boxes(expectation, old.aspects, camera)
            costs = _costs(boxes, old, expectation, found, measured)
            high = found.scores >= settings.score_threshold
            tracks, chosen = _two_passes(costs, high, old.seen >= self._previous_stamp)
            of_track[chosen] = tracks
            new_states = motion_filter.updated(
                states[tracks],
                motion_filter.Expectation(
                    expectation.directions[tracks],
                    expectation.heights[tracks],
                    expectation.depths[tracks],
                    expectation.jacobians[tracks],
                ),
                measured[chosen],
                noise,
            )
            old = self._matched(replace(old, states=states), tracks, chosen, new_states, found, measured, stamp)
        newborn = self._newborn(found, measured, of_track, stamp)
        if old is None:
            objects, kept = newborn, np.flatnonzero(np.ones(len(newborn)))
        else:
            objects = _joined(old, newborn)
            tentative_missed = (objects.ids == 0) & (objects.seen < stamp) & (seconds > 0)
            expired = stamp - objects.seen > settings.coasting_seconds
            kept = np.flatnonzero(~tentative_missed & ~expired)[:MAX_TRACKS]
        old_index = np.full(len(objects) + 1, -1)
        old_index[kept] = np.arange(len(kept))
        objects = objects[kept]
        confirmed = (objects.ids == 0) & (objects.hits >= settings.confirmation_images)
        objects.ids[confirmed] = self._last_id + 1 + np.arange(confirmed.sum())
        self._last_id += int(confirmed.sum())
        self._objects, self._previous_stamp = objects, stamp
        ids = np.zeros(len(found), dtype=np.int64)
        place = old_index[of_track]
        ids[place >= 0] = objects.ids[place[place >= 0]]
        return ids

    def _matched(
        self,
        old: _Objects,
        tracks: NDArray[np.int64],
        chosen: NDArray[np.int64],
        states: States,
        found: Detections,
        measured: Measurements,
        stamp: float,
    ) -> _Objects:
        """The objects with what is known of them after their detections; scores of unseen ones fall."""
        missed = np.ones(len(old), dtype=bool)
        missed[tracks] = False
        scores = np.where(missed, old.scores * 0.9, old.scores)
        scores[tracks] += 0.4 * (found.scores[chosen] - scores[tracks])
        votes = old.votes.copy()
        votes[tracks] *= 0.9
        votes[tracks, found.labels[chosen]] += found.scores[chosen]
        aspects, new_aspects = old.aspects.copy(), measured.sizes[chosen, 0] / measured.sizes[chosen, 1]
        whole = ~measured.cut[chosen].any(axis=1)
        aspects[tracks] *= np.where(whole, (new_aspects / aspects[tracks]) ** 0.3, 1.0)
        hits, seen, ranged = old.hits.copy(), old.seen.copy(), old.ranged.copy()
        hits[tracks] += 1
        seen[tracks] = stamp
        ranged[tracks] |= np.isfinite(measured.depths[chosen])
        old.states.means[tracks] = states.means
        old.states.covariances[tracks] = states.covariances
        return replace(old, aspects=aspects, votes=votes, scores=scores, hits=hits, seen=seen, ranged=ranged)

    def _newborn(
        self, found: Detections, measured: Measurements, of_track: NDArray[np.int64], stamp: float
    ) -> _Objects:
        chosen = np.flatnonzero((of_track < 0) & (found.scores >= self.settings.score_threshold))
        taken = found.boxes[of_track >= 0]
        chosen = chosen[(box_iou(found.boxes[chosen], taken) < 0.7).all(axis=1)]
        of_track[chosen] = (0 if self._objects is None else len(self._objects)) + np.arange(len(chosen))
        seen = measured[chosen]
        votes = np.zeros((len(chosen), len(found.class_names)))
        votes[np.arange(len(chosen)), found.labels[chosen]] = found.scores[chosen]
        return _Objects(
            states=motion_filter.born(
                seen, np.full(len(chosen), _NOMINAL_DEPTH), self._pose, self._camera_velocity, self.settings.noise
            ),
            aspects=seen.sizes[:, 0] / seen.sizes[:, 1],
            votes=votes,
            scores=found.scores[chosen].astype(np.float64),
            ids=np.zeros(len(chosen), dtype=np.int64),
            hits=np.ones(len(chosen), dtype=np.int64),
            born=np.full(len(chosen), stamp),
            seen=np.full(len(chosen), stamp),
            ranged=np.isfinite(seen.depths),
        )

    def _tracks(
        self,
        detection_ids: NDArray[np.int64],
        class_names: tuple[str, ...],
        camera: CameraIntrinsics,
        has_camera: bool,
        stamp: float,
        reason: str,
    ) -> Tracks:
        assert self._objects is not None
        confirmed = np.flatnonzero(self._objects.ids)
        objects = self._objects[confirmed[np.argsort(self._objects.ids[confirmed])]]
        means = objects.states.means.copy()
        covariances = objects.states.covariances[:, :6, :6].copy()
        boxes = _boxes(motion_filter.expected(objects.states, self._pose), objects.aspects, camera)
        if has_camera:
            boxes = np.clip(boxes, 0, [camera.width, camera.height] * 2)
        else:
            means[:, [0, 1, 3, 4]] = np.nan
        means[~objects.ranged] = np.nan
        return Tracks(
            ids=objects.ids,
            labels=objects.votes.argmax(axis=1).astype(np.int64),
            scores=objects.scores,
            boxes=boxes,
            positions=means[:, :3],
            velocities=means[:, 3:6],
            covariances=covariances,
            seen=objects.seen == stamp,
            ages=stamp - objects.born,
            detection_ids=detection_ids,
            class_names=class_names,
            camera_pose=self._pose,
            camera_velocity=self._camera_velocity,
            restart=reason,
        )


def _setting(
    detections: Detections, intrinsics: CameraIntrinsics | None, pose: NDArray[np.floating] | None
) -> tuple[object, ...]:
    size = None if intrinsics is None else (intrinsics.width, intrinsics.height)
    return (detections.class_names, size, pose is None)


def _measurements(found: Detections, camera: CameraIntrinsics, bounded: bool) -> Measurements:
    boxes, ones = found.boxes.astype(np.float64), np.ones(len(found))
    centres = camera.unproject((boxes[:, :2] + boxes[:, 2:]) / 2, ones)[:, :2].astype(np.float64)
    sizes = seen_sizes(boxes, ones, camera).astype(np.float64)
    cut: NDArray[np.bool_] = np.zeros((len(found), 2), dtype=bool)
    if bounded:
        cut = (boxes[:, :2] < _EDGE) | (boxes[:, 2:] > np.array([camera.width, camera.height]) - _EDGE)
    depths = found.depth.astype(np.float64)
    depths[~((depths > 0) & np.isfinite(depths) & np.isfinite(found.depth_std))] = np.nan
    return Measurements(centres, sizes, depths, np.maximum(found.depth_std / depths, _MIN_DEPTH_ERROR), cut)


def _boxes(expectation: motion_filter.Expectation, aspects: Array, camera: CameraIntrinsics) -> Array:
    """(N, 4) where objects appear in the image."""
    half = np.stack([expectation.heights * aspects, expectation.heights], axis=1) / 2
    ones = np.ones((len(half), 1))
    left_top, right_bottom = (
        camera.project(np.concatenate([expectation.directions + sign * half, ones], axis=1)) for sign in (-1, 1)
    )
    return np.concatenate([left_top, right_bottom], axis=1)


def _costs(
    boxes: Array, old: _Objects, expectation: motion_filter.Expectation, found: Detections, measured: Measurements
) -> Array:
    """(tracks, detections)."""
    costs = 1 - box_iou(boxes, found.boxes.astype(np.float64))
    jacobians, covariances = expectation.jacobians[:, 3], old.states.covariances
    variances = np.einsum("ni,nij,nj->n", jacobians, covariances, jacobians)
    difference = np.log(measured.depths / expectation.depths[:, None])
    limit = 3 * np.sqrt(variances[:, None] + np.nan_to_num(measured.depth_errors) ** 2)
    far = np.abs(difference) > limit
    fractions = old.votes / old.votes.sum(axis=1, keepdims=True)
    costs += 0.2 * (1 - fractions[:, found.labels])
    costs[far] = IMPOSSIBLE
    return np.asarray(costs)


def _two_passes(
    costs: Array, high: NDArray[np.bool_], recent: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs (tracks, detections)."""
    high_index, low_index = np.flatnonzero(high), np.flatnonzero(~high)
    tracks, chosen = assign(costs[:, high_index], 0.9)
    free = np.flatnonzero(recent & ~np.isin(np.arange(len(costs)), tracks))
    more, low = assign(costs[np.ix_(free, low_index)], 0.6)
    return np.concatenate([tracks, free[more]]), np.concatenate([high_index[chosen], low_index[low]])
