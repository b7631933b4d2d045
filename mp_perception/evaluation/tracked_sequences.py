"""The scored frames of a data set as sequences in order of time, with the tracks of their detections."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

import numpy as np

from mp_perception.data.frame_sets import FrameSet
from mp_perception.errors import UserError
from mp_perception.evaluation.figures import Evaluation
from mp_perception.evaluation.frame_scores import ObjectScores
from mp_perception.evaluation.tracking_figures import TrackedFrame, tracking_figures
from mp_perception.evaluation.tracking_truth import LabelledImage
from mp_perception.prediction import Detections
from mp_perception.tracking.tracker import Tracker
from mp_perception.tracking.tracks import Tracks


def evaluate_tracking(data_set: FrameSet, evaluation: Evaluation) -> dict[str, Any]:
    """Figures by the frame that tracks are formed in, ready for JSON: `camera`, and `fixed` where poses are known.

    Raises UserError if the data set has no time stamps, or objects that are not the same from frame to frame.
    """
    sequences = _sequences(data_set, evaluation)
    threshold = evaluation.rules.score_threshold
    figures = {"camera": tracking_figures([_tracked(data_set, s, threshold, False) for s in sequences], threshold)}
    if all(data_set.pose(index) is not None for sequence in sequences for index in sequence):
        fixed = [_tracked(data_set, sequence, threshold, True) for sequence in sequences]
        figures["fixed"] = tracking_figures(fixed, threshold)
    return figures


def _sequences(data_set: FrameSet, evaluation: Evaluation) -> list[dict[int, ObjectScores]]:
    """The labelled frames of each sequence, in order of time: index -> objects."""
    scored: dict[int, ObjectScores] = {}
    for index, frame in enumerate(data_set.frames):
        score = evaluation.frames.get(frame.name)
        if score is not None and score.objects is not None:
            scored[index] = score.objects
    if not any(label.identity is not None for objects in scored.values() for label in objects.labels):
        raise UserError(f"{data_set.title}: expected labels that name the same object in all frames, found none")
    stamps = {index: data_set.stamp(index) for index in scored}
    if None in stamps.values():
        raise UserError(f"{data_set.title}: expected frames with time stamps, found none")

    def sequence(index: int) -> str:
        return data_set.frames[index].name.rpartition("/")[0]

    ordered = sorted(scored, key=lambda index: (sequence(index), stamps[index]))
    return [{index: scored[index] for index in indices} for _, indices in groupby(ordered, sequence)]


def _tracked(
    data_set: FrameSet, sequence: Mapping[int, ObjectScores], score_threshold: float, in_fixed_frame: bool
) -> list[TrackedFrame]:
    """A sequence with the tracks of its detections: those that a node published with them, or formed here."""
    tracker = Tracker(score_threshold)
    ids = [objects.detections.ids for objects in sequence.values()]
    published = any(of_image is not None and of_image.any() for of_image in ids)
    frames = []
    for index, objects in sequence.items():
        stamp, pose = data_set.stamp(index), data_set.pose(index) if in_fixed_frame else None
        assert stamp is not None
        intrinsics = None if objects.camera is None else objects.camera.intrinsics
        if published:
            tracks = _published(objects.detections)
        else:
            tracks = tracker.update(objects.detections, stamp, intrinsics, pose)
        truth = LabelledImage(stamp, objects.labels, objects.camera, np.eye(4) if pose is None else pose)
        measured = np.isfinite(objects.truths.depth_map)
        depths = np.where(measured, objects.truths.depth_map, objects.truths.surface)
        frames.append(TrackedFrame(truth, depths, objects.detections, tracks))
    return frames


def _published(detections: Detections) -> Tracks:
    """The identities that a node published with its detections; positions and velocities are not among them."""
    assert detections.ids is not None
    tracked = np.flatnonzero(detections.ids)
    tracked = tracked[np.argsort(detections.ids[tracked])]
    count = len(tracked)
    return Tracks(
        ids=detections.ids[tracked],
        labels=detections.labels[tracked],
        scores=detections.scores[tracked].astype(np.float64),
        boxes=detections.boxes[tracked].astype(np.float64),
        positions=np.full((count, 3), np.nan),
        velocities=np.full((count, 3), np.nan),
        covariances=np.full((count, 6, 6), np.nan),
        seen=np.ones(count, dtype=bool),
        ages=np.full(count, np.nan),
        detection_ids=detections.ids,
        class_names=detections.class_names,
        camera_pose=np.eye(4),
        camera_velocity=np.zeros(3),
    )
