"""How well objects are followed over the images of sequences: identity, velocity, time to contact, smoothed distance.

The images were scored one by one, perhaps by several processes; here their detections are tracked in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, compress
from typing import Any

import numpy as np

from mp_perception.arrays import Floats
from mp_perception.data.object_label import ObjectLabel
from mp_perception.evaluation.tracking_matching import (
    GROUPS,
    GroupMatches,
    found_at_precision,
    match_group,
    precision_at,
)
from mp_perception.evaluation.tracking_metrics import MIN_IOU, TrackedImage, tracking_metrics
from mp_perception.evaluation.tracking_truth import LabelledImage, Motions, true_motions
from mp_perception.prediction import Detections
from mp_perception.tracking.tracks import Tracks

#: Recall is given at this precision.
PRECISION = 0.9
#: Velocity: of objects between these distances, metres, that move at least so fast, metres per second.
VELOCITY_DISTANCES = (10.0, 30.0)
MIN_SPEED = 0.5
#: Time to contact: of objects that reach the camera within so many seconds at least so fast, metres per second.
MAX_TIME = 10.0
MIN_CLOSING_SPEED = 1.0


@dataclass(frozen=True)
class TrackedFrame:
    """An image of a sequence: its truth, what was detected, and what was tracked.

    true_depths: (N,) metres, of the labels, NaN where unknown.  detections: of all scores.
    """

    truth: LabelledImage
    true_depths: Floats
    detections: Detections
    tracks: Tracks


@dataclass
class _Collected:
    """What the images of a group of classes contribute.

    matches: of each image, of `detections` and `tracks`.  seconds: for each image, of each object that counts
    (sequence, object, second).  errors: by name, those of each image.
    """

    images: list[TrackedImage] = field(default_factory=list)
    matches: dict[str, list[GroupMatches]] = field(default_factory=lambda: {"detections": [], "tracks": []})
    seconds: list[list[tuple[int, int, int]]] = field(default_factory=list)
    errors: dict[str, list[Floats]] = field(default_factory=dict)
    object_seconds: float = 0.0


def tracking_figures(sequences: Sequence[Sequence[TrackedFrame]], score_threshold: float) -> dict[str, Any]:
    """Group of classes, or `all` -> figures, ready for JSON; None where nothing can be measured.

    sequences: of at least one image.
    score_threshold: minimum score of the detections and tracks that count for all figures but recall.

    Figures: those of `tracking_metrics` over the tracks that were seen; `object_seconds`;
    `switches_per_100_object_seconds`; `recall` of detections and tracks, in images and in seconds of an object, at
    PRECISION and at the precision of the detections at the score threshold; `distance`: mean relative error of the same
    objects before and after smoothing; `velocity`, `time_to_contact`: median errors.
    """
    motions = [true_motions([frame.truth for frame in sequence]) for sequence in sequences]
    groups = {**{name: (name,) for name in GROUPS}, "all": tuple(GROUPS)}
    return {
        name: _figures(_collected(sequences, motions, members, score_threshold), score_threshold)
        for name, members in groups.items()
    }


def _collected(
    sequences: Sequence[Sequence[TrackedFrame]],
    motions: Sequence[Sequence[Motions]],
    groups: Sequence[str],
    score_threshold: float,
) -> _Collected:
    collected = _Collected()
    for number, (sequence, of_sequence) in enumerate(zip(sequences, motions, strict=True)):
        stamps = [frame.truth.stamp for frame in sequence]
        period = float(np.median(np.diff(stamps))) if len(stamps) > 1 else 0.0
        for frame, motion in zip(sequence, of_sequence, strict=True):
            for group in groups:
                # Whole seconds from the first image on, whatever the digits of its stamp.
                second = int(frame.truth.stamp - stamps[0] + 1e-3)
                _collect(collected, frame, motion, group, (number, second), score_threshold)
                collected.object_seconds += period * len(collected.seconds[-1])
    return collected


def _collect(
    collected: _Collected,
    frame: TrackedFrame,
    motion: Motions,
    group: str,
    place: tuple[int, int],
    score_threshold: float,
) -> None:
    """Add a group of an image.  place: number of the sequence, and second in it."""
    labels, tracks = frame.truth.labels, frame.tracks
    collected.matches["detections"].append(match_group(labels, frame.detections, group))
    matches = match_group(labels, tracks, group)
    collected.matches["tracks"].append(matches)
    for name, values in _errors(frame, motion, matches).items():
        collected.errors.setdefault(name, []).append(values)
    sequence, second = place
    objects = np.array([_identity(labels[i]) for i in matches.objects], dtype=np.int64)
    collected.seconds.append([(sequence, identity, second) for identity in objects.tolist()])
    kept = (matches.scores >= score_threshold) & tracks.seen[matches.reports]
    # Objects and tracks of different sequences are different.
    offset = sequence * 10**12
    ids = tracks.ids[matches.reports[kept]]
    collected.images.append(TrackedImage(objects + offset, ids + offset, matches.overlaps[:, kept]))


def _identity(label: ObjectLabel) -> int:
    """Of an object that counts; an object that a data set does not identify is one with all such."""
    return -1 if label.identity is None else label.identity


def _figures(collected: _Collected, score_threshold: float) -> dict[str, Any]:
    metrics = tracking_metrics(collected.images)
    object_seconds = collected.object_seconds
    rate = 100 * metrics["switches"] / object_seconds if object_seconds else None
    usual = precision_at(collected.matches["detections"], score_threshold)
    recall = {
        name: {
            "precision": precision,
            **{
                kind: None if precision is None else _recall(matches, collected.seconds, precision)
                for kind, matches in collected.matches.items()
            },
        }
        for name, precision in (("high_precision", PRECISION), ("usual_precision", usual))
    }
    return {
        **metrics,
        "object_seconds": object_seconds,
        "switches_per_100_object_seconds": rate,
        "recall": recall,
        **_summary({name: np.concatenate(parts) for name, parts in collected.errors.items()}),
    }


def _recall(
    images: Sequence[GroupMatches], seconds: Sequence[Sequence[tuple[int, int, int]]], precision: float
) -> dict[str, float | None]:
    """Fractions of the objects in images, and of the seconds of objects, that are found at a precision."""
    every = list(chain.from_iterable(seconds))
    found = np.concatenate(found_at_precision(images, precision))
    return {
        "images": float(found.mean()) if every else None,
        "object_seconds": len(set(compress(every, found))) / len(set(every)) if every else None,
    }


def _errors(frame: TrackedFrame, motion: Motions, matches: GroupMatches) -> dict[str, Floats]:
    """Errors of the tracks that find an object in an image; NaN where they or the truth are unknown."""
    rows, columns = np.nonzero(matches.overlaps > MIN_IOU)
    objects, reports = matches.objects[rows], matches.reports[columns]
    tracks = frame.tracks
    detection_of = {int(track): i for i, track in enumerate(tracks.detection_ids) if track}
    depths = np.array(
        [frame.detections.depth[detection_of[i]] if i in detection_of else np.nan for i in tracks.ids[reports].tolist()]
    )
    truth, smoothed = frame.true_depths[objects], np.where(np.isfinite(depths), tracks.depths[reports], np.nan)
    distances = np.linalg.norm(motion.positions[objects], axis=1)
    velocities = motion.velocities[objects]
    closing = motion.closing_speeds[objects]
    counted = (distances >= VELOCITY_DISTANCES[0]) & (distances < VELOCITY_DISTANCES[1])
    counted &= np.linalg.norm(velocities, axis=1) >= MIN_SPEED
    differences = np.linalg.norm((tracks.velocities[reports] - velocities), axis=1)
    nears = (closing >= MIN_CLOSING_SPEED) & (truth <= MAX_TIME * closing)
    times = np.divide(truth, closing, out=np.full(len(truth), np.nan), where=nears)
    return {
        "distance_before": np.abs(depths - truth) / truth,
        "distance_after": np.abs(smoothed - truth) / truth,
        "distance_normalised": (smoothed - truth) / tracks.depth_stds[reports],
        "velocity": np.where(counted, differences, np.nan),
        "closing_speed_normalised": (tracks.closing_speeds[reports] - closing) / tracks.closing_speed_stds[reports],
        "time_to_contact": np.abs(np.minimum(tracks.times_to_contact[reports], 1e3) - times),
        "time_to_contact_relative": np.abs(times / tracks.times_to_contact[reports] - 1),
    }


def _summary(errors: dict[str, Floats]) -> dict[str, Any]:
    known = {name: values[np.isfinite(values)] for name, values in errors.items()}

    def figure(measure: Callable[[Floats], Any], name: str) -> float | None:
        return float(measure(known[name])) if len(known[name]) else None

    return {
        "distance": {
            "objects": len(known["distance_after"]),
            "before": figure(np.mean, "distance_before"),
            "after": figure(np.mean, "distance_after"),
            "normalised_rms": figure(_root_mean_square, "distance_normalised"),
        },
        "velocity": {
            "objects": len(known["velocity"]),
            "median_error": figure(np.median, "velocity"),
            "closing_speed_normalised_rms": figure(_root_mean_square, "closing_speed_normalised"),
        },
        "time_to_contact": {
            "objects": len(known["time_to_contact"]),
            "median_error": figure(np.median, "time_to_contact"),
            "median_relative_error": figure(np.median, "time_to_contact_relative"),
        },
    }


def _root_mean_square(values: Floats) -> float:
    return float(np.sqrt((values**2).mean()))
