"""From the detections of each image to tracks: association, filtering, birth, confirmation and death."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import Floats, Integers
from mp_perception.classes import typical_height
from mp_perception.geometry import CameraIntrinsics, box_areas, box_iou, clip_boxes
from mp_perception.prediction import Detections, Prediction
from mp_perception.tracking import motion_filter
from mp_perception.tracking.association import associate, pair_costs
from mp_perception.tracking.ideal_camera import boxes_in_image, measure
from mp_perception.tracking.motion_filter import Measurements, NoiseModel
from mp_perception.tracking.objects import FollowedObjects, new_objects
from mp_perception.tracking.tracks import Tracks
from mp_perception.tracking.trails import Trails

#: Stands for an unknown camera: x and y are in units that do not matter, and are not reported.
_NOMINAL_CAMERA = CameraIntrinsics(fx=1000, fy=1000, cx=-0.5, cy=-0.5, width=1, height=1)
#: At most so many objects are followed, which bounds the time.
MAX_OBJECTS = 300
#: Pixels above this are errors.
_MAX_PIXEL = 1e6
#: A detection that overlaps the box of a followed one more than this shows the same object in another class.
_SAME_OBJECT_IOU = 0.7
#: An object begins anew when its detection differs from what was expected by more than this (chi-squared, four values).
_CONTRADICTION = 30.0
#: Detections of at least this fraction of the score threshold continue tracks.
_LOW_SCORE_FACTOR = 0.4
#: Sum of the scores of an object's detections in successive images from which it is reported.
_CONFIRMATION_SCORE = 1.5
#: Time in which the score of an object that is not seen falls by a factor of e, seconds.
_FADING_SECONDS = 0.5
#: After a longer pause between images tracks restart, seconds.
_MAX_GAP_SECONDS = 2.0
_NOISE = NoiseModel()


class Tracker:
    """Follows the objects of one camera from image to image.  Deterministic; not thread-safe.

    score_threshold: minimum score of a detection that begins a track, 0..1; it may change between images.

    Examples:
        >>> tracker = Tracker()
        >>> nothing = Detections(*(np.zeros(shape, np.float32) for shape in ((0, 4), 0)), np.zeros(0, np.int64),
        ...     *(np.zeros(shape, np.float32) for shape in (0, 0, 0, (0, 3))), class_names=("Car",))
        >>> len(tracker.update(nothing, stamp=0.0, intrinsics=None))
        0
    """

    def __init__(self, score_threshold: float = 0.3) -> None:
        self.score_threshold = score_threshold
        self._last_id = 0
        self.reset()

    @property
    def lowest_score(self) -> float:
        """Minimum score of the detections that continue tracks, below which an object is dropped.

        Predict with this threshold.
        """
        return self.score_threshold * _LOW_SCORE_FACTOR

    def reset(self) -> None:
        """Drop all tracks.  Their ids are not used again."""
        self._objects: FollowedObjects | None = None
        self._stamp = np.nan
        self._setting: tuple[object, ...] = ()
        self._pose: Floats = np.eye(4)
        self._camera_velocity: Floats = np.zeros(3)
        self._trails = Trails()

    def report(
        self,
        prediction: Prediction,
        stamp: float,
        intrinsics: CameraIntrinsics | None,
        pose: NDArray[np.floating] | None = None,
    ) -> tuple[Prediction, Tracks]:
        """As `update`, for all that is predicted of an image; also what to report of it.

        Args:
            prediction: with the threshold `lowest_score`, because a low score is credible where an object was before.
            stamp, intrinsics, pose: as for `update`.

        Returns:
            The prediction with the detections above the score threshold, with the ids of their tracks; the tracks.
        """
        tracks = self.update(prediction.detections, stamp, intrinsics, pose)
        detections = replace(prediction.detections, ids=tracks.detection_ids)
        return replace(prediction, detections=detections.above(self.score_threshold)), tracks

    def update(
        self,
        detections: Detections,
        stamp: float,
        intrinsics: CameraIntrinsics | None,
        pose: NDArray[np.floating] | None = None,
    ) -> Tracks:
        """The tracks after one more image.

        Args:
            detections: of the image, predicted with the threshold `lowest_score`; in any order.
            stamp: when the image was taken, seconds from any start.
            intrinsics: of the image; without them tracks have no x and y, and `pose` is not used.
            pose: (4, 4) from the camera's optical frame to a fixed frame, in which tracks are then formed; None forms
                them in the camera's frame.  One that is not a rigid transform is taken as None.
        """
        fixed = None if pose is None or intrinsics is None or not _is_rigid(pose) else np.asarray(pose, np.float64)
        setting = (intrinsics and (intrinsics.width, intrinsics.height), fixed is None, detections.class_names)
        reason = "" if self._objects is None else self._restart_reason(stamp, setting, fixed)
        if reason:
            self.reset()
        seconds = 0.0 if np.isnan(self._stamp) else stamp - self._stamp
        if self._setting != setting:
            # Without intrinsics heights are not known in metres.
            heights = [typical_height(name) if intrinsics else None for name in detections.class_names]
            self._typical_heights = np.array([np.nan if height is None else height for height in heights])
        self._setting = setting
        self._move_camera(np.eye(4) if fixed is None else fixed, seconds)
        camera = intrinsics or _NOMINAL_CAMERA
        # In an order of their own, so that the order of the detections does not matter.
        order = np.lexsort((*detections.boxes.T, detections.labels, -detections.scores))
        order = order[self._usable(detections)[order]]
        found = detections[order]
        seen = measure(found, camera, bounded=intrinsics is not None)
        # Not where no ray through the lens reaches the box.
        rays = np.flatnonzero(np.isfinite(seen.directions + seen.sizes).all(axis=1))
        if len(rays) < len(order):
            order, found, seen = order[rays], found[rays], seen[rays]
        objects, boxes, of_object = self._follow(found, seen, camera, stamp, seconds)
        objects = self._add_new(objects, found, seen, of_object, stamp)
        new_boxes = found.boxes[of_object >= len(boxes)].astype(np.float64)
        boxes = np.concatenate([boxes, new_boxes])
        if intrinsics is not None:
            boxes = clip_boxes(boxes, camera.width, camera.height).astype(np.float64)
        kept = self._kept(objects, boxes, stamp)
        self._objects, self._stamp = objects if len(kept) == len(objects) else objects[kept], stamp
        place = np.full(len(objects) + 1, -1)
        place[kept] = np.arange(len(kept))
        of_object = place[of_object]
        detection_ids = np.zeros(len(detections), dtype=np.int64)
        detection_ids[order[of_object >= 0]] = self._objects.ids[of_object[of_object >= 0]]
        return self._tracks(boxes[kept], detection_ids, detections.class_names, intrinsics is not None, reason)

    def _usable(self, detections: Detections) -> NDArray[np.bool_]:
        """Mask (M,) of the detections with a credible score, and a box of some size."""
        boxes, scores = detections.boxes, detections.scores
        usable = (scores >= self.lowest_score) & (scores <= 1) & (np.abs(boxes) < _MAX_PIXEL).all(axis=1)
        return np.asarray(usable & (boxes[:, 2:] > boxes[:, :2]).all(axis=1))

    def _restart_reason(self, stamp: float, setting: tuple[object, ...], pose: Floats | None) -> str:
        """Why the earlier tracks are of no use for this image; empty if they are."""
        seconds = stamp - self._stamp
        if not seconds >= 0:
            return f"the stamp jumped back by {-seconds:.3g} s"
        if seconds > _MAX_GAP_SECONDS:
            return f"no image for {seconds:.3g} s"
        if self._setting[1:2] != setting[1:2]:
            return "the camera's pose is no longer known" if pose is None else "the camera's pose is known now"
        if self._setting != setting:
            return "another image size or network"
        return ""

    def _move_camera(self, pose: Floats, seconds: float) -> None:
        if seconds > 0:
            self._camera_velocity = (pose[:3, 3] - self._pose[:3, 3]) / seconds
        self._pose = pose

    def _follow(
        self, found: Detections, seen: Measurements, camera: CameraIntrinsics, stamp: float, seconds: float
    ) -> tuple[FollowedObjects | None, Floats, Integers]:
        """The known objects after the image, their boxes, and for each detection (M,) its object, or -1."""
        of_object = np.full(len(found), -1)
        old = self._objects
        if old is None or len(old) == 0:
            return None, np.zeros((0, 4)), of_object
        typical = self._typical_heights[old.labels]
        states = motion_filter.predicted(old.states, seconds, typical, _NOISE)
        expectation = motion_filter.expected(states, self._pose)
        relative = (expectation.depth_stds / expectation.depths)[:, None]
        costs = pair_costs(
            boxes_in_image(expectation, old.aspects, camera),
            found.boxes.astype(np.float64),
            np.log(seen.depths / expectation.depths[:, None]),
            np.hypot(relative, np.nan_to_num(seen.depth_errors)),
            old.votes / old.votes.sum(axis=1, keepdims=True),
            found.labels,
        )
        credible = found.scores >= self.score_threshold
        objects, detections = associate(costs, credible, old.last_seen >= self._stamp)
        of_object[detections] = objects
        seen, typical = seen[detections], typical[objects]
        updated, differences = motion_filter.updated(
            states[objects], expectation[objects], seen, typical, self._pose, _NOISE
        )
        wrong = np.flatnonzero(~(differences < _CONTRADICTION))
        if len(wrong):
            anew = motion_filter.born(seen[wrong], typical[wrong], self._pose, _NOISE)
            updated.means[wrong], updated.covariances[wrong] = anew.means, anew.covariances
        faded = replace(old, states=states, scores=old.scores * float(np.exp(-seconds / _FADING_SECONDS)))
        new = faded.detected(objects, updated, seen, found[detections], old.scores, stamp)
        return new, boxes_in_image(motion_filter.expected(new.states, self._pose), new.aspects, camera), of_object

    def _add_new(
        self, old: FollowedObjects | None, found: Detections, seen: Measurements, of_object: Integers, stamp: float
    ) -> FollowedObjects:
        """The objects and those that the other credible detections begin, which are entered into `of_object`."""
        taken = of_object >= 0
        candidates = np.flatnonzero(~taken & (found.scores >= self.score_threshold))
        same = box_iou(found.boxes[candidates], found.boxes) > _SAME_OBJECT_IOU
        for i, others in zip(candidates, same, strict=True):  # highest score first
            taken[i] = not (others & taken).any()
        first = candidates[taken[candidates]]
        of_object[first] = (0 if old is None else len(old)) + np.arange(len(first))
        if len(first) == 0 and old is not None:
            return old
        seen, labels = seen[first], found.labels[first]
        votes = np.zeros((len(first), len(found.class_names)))
        votes[np.arange(len(first)), labels] = found.scores[first]
        typical = self._typical_heights[labels]
        states = motion_filter.born(seen, typical, self._pose, _NOISE)
        ranged = np.isfinite(seen.depths) | np.isfinite(typical)
        new = new_objects(states, seen, votes, ranged, stamp)
        return new if old is None else old.joined(new)

    def _kept(self, objects: FollowedObjects, boxes: Floats, stamp: float) -> Integers:
        """Indices of the objects to follow further, after some have been confirmed."""
        evidence = objects.votes.sum(axis=1)
        confirmed = (objects.ids == 0) & (evidence >= _CONFIRMATION_SCORE)
        objects.ids[confirmed] = self._last_id + 1 + np.arange(int(confirmed.sum()))
        self._last_id += int(confirmed.sum())
        alive = np.where(objects.ids > 0, objects.scores >= self.lowest_score, objects.last_seen == stamp)
        return np.flatnonzero(alive & (box_areas(boxes) > 0))[:MAX_OBJECTS]

    def _tracks(
        self, boxes: Floats, detection_ids: Integers, class_names: tuple[str, ...], has_camera: bool, reason: str
    ) -> Tracks:
        assert self._objects is not None
        confirmed = np.flatnonzero(self._objects.ids)
        confirmed = confirmed[np.argsort(self._objects.ids[confirmed])]
        objects = self._objects[confirmed]
        means = objects.states.means.copy()
        if not has_camera:
            means[:, [0, 1, 3, 4]] = np.nan
        means[~objects.ranged] = np.nan
        self._trails = self._trails.continued(objects.ids, means[:, :3], self._stamp)
        return Tracks(
            ids=objects.ids,
            labels=objects.labels,
            scores=objects.scores,
            boxes=boxes[confirmed],
            positions=means[:, :3],
            velocities=means[:, 3:6],
            covariances=objects.states.covariances[:, :6, :6],
            seen=objects.last_seen == self._stamp,
            ages=self._stamp - objects.first_seen,
            detection_ids=detection_ids,
            class_names=class_names,
            camera_pose=self._pose,
            camera_velocity=self._camera_velocity,
            trails=self._trails,
            restart=reason,
        )


def _is_rigid(pose: NDArray[np.floating]) -> bool:
    """Whether a matrix is a rotation and a translation."""
    pose = np.asarray(pose)
    if pose.shape != (4, 4) or not np.isfinite(pose).all():
        return False
    rotation = pose[:3, :3]
    return bool(np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3) and np.linalg.det(rotation) > 0)
