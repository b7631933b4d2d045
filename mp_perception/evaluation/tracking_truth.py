"""How labelled objects really moved: velocities and closing speeds from their 3D boxes in successive frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mp_perception.arrays import Floats
from mp_perception.data.boxes_3d import box_corners
from mp_perception.data.frame_sets import FrameCamera
from mp_perception.data.object_label import ObjectLabel

#: A velocity is the slope of the positions within this time on both sides, seconds: labels are drawn by hand.
_HALF_WINDOW = 0.35
#: With fewer positions a velocity is unknown.
_MIN_POSITIONS = 4


@dataclass(frozen=True)
class LabelledImage:
    """The labels of an image of a sequence.  pose: (4, 4), from the camera to the frame of the wanted velocities."""

    stamp: float
    labels: Sequence[ObjectLabel]
    camera: FrameCamera | None
    pose: Floats


@dataclass(frozen=True)
class Motions:
    """Of the N labels of an image, NaN where unknown.

    positions: (N, 3) metres, the 3D boxes' centres in the camera's frame.  velocities: (N, 3) metres per second, in the
    frame of the poses.  closing_speeds: (N,) metres per second, by which the distance to the camera shrinks.
    """

    positions: Floats
    velocities: Floats
    closing_speeds: Floats


def true_motions(sequence: Sequence[LabelledImage]) -> list[Motions]:
    """Motions of the labels of each image of one sequence, in order of time."""
    motions = [_unknown(image) for image in sequence]
    places: dict[int, list[tuple[int, int]]] = {}
    for number, image in enumerate(sequence):
        for i, label in enumerate(image.labels):
            if label.box_3d is not None and image.camera is not None:
                centre = box_corners(label.box_3d).mean(axis=0) + image.camera.label_to_camera[:3, 3]
                motions[number].positions[i] = centre
                if label.identity is not None:
                    places.setdefault(label.identity, []).append((number, i))
    for of_object in places.values():
        _differentiate(sequence, motions, of_object)
    return motions


def _differentiate(sequence: Sequence[LabelledImage], motions: list[Motions], places: list[tuple[int, int]]) -> None:
    """Write velocities and closing speeds of one object, which is label i of image number n for each (n, i)."""
    stamps = np.array([sequence[n].stamp for n, _ in places])
    centres = np.array([motions[n].positions[i] for n, i in places])
    poses = np.array([sequence[n].pose for n, _ in places])
    positions = np.einsum("nij,nj->ni", poses[:, :3, :3], centres) + poses[:, :3, 3]
    observed = np.column_stack([positions, np.linalg.norm(centres, axis=1)])
    for (n, i), stamp in zip(places, stamps, strict=True):
        near = np.abs(stamps - stamp) <= _HALF_WINDOW
        # Without positions on both sides it is an extrapolation.
        if near.sum() < _MIN_POSITIONS or stamps[near].min() == stamp or stamps[near].max() == stamp:
            continue
        times = stamps[near] - stamps[near].mean()
        slopes = times @ (observed[near] - observed[near].mean(axis=0)) / (times @ times)
        motions[n].velocities[i] = slopes[:3]
        motions[n].closing_speeds[i] = -slopes[3]


def _unknown(image: LabelledImage) -> Motions:
    count = len(image.labels)
    return Motions(np.full((count, 3), np.nan), np.full((count, 3), np.nan), np.full(count, np.nan))
