"""Metrics of identity over time: HOTA (Luiten et al. 2021), IDF1 (Ristani et al. 2016), CLEAR MOT (Bernardin 2008).

They are those of TrackEval, which cannot be installed beside cv_bridge because it needs a newer NumPy; a test compares
them with its results.  Here nothing is known of classes or ignored objects: tracking_matching.py selects what counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from mp_perception.arrays import Floats, Integers

#: Overlap from which a track finds an object, for IDF1 and CLEAR MOT.
MIN_IOU = 0.5
#: Overlaps that HOTA averages over.
_HOTA_IOUS = np.arange(0.05, 0.99, 0.05)
_EPSILON = np.finfo(np.float64).eps


@dataclass(frozen=True)
class TrackedImage:
    """Objects and tracks of one image that count.

    objects: (N,) numbers of the true objects.  tracks: (M,) ids of the tracks.  Both name the same object or track in
    all images of an evaluation.  overlaps: (N, M) intersection over union of their boxes.
    """

    objects: Integers
    tracks: Integers
    overlaps: Floats


def tracking_metrics(images: Sequence[TrackedImage]) -> dict[str, float]:
    """HOTA with its parts DetA and AssA, IDF1, MOTA (each at most 1), and switches, hits, misses, false alarms.

    images: in order of time; those of one sequence after those of another.
    """
    none = np.zeros(0, dtype=np.int64)
    objects, object_counts = np.unique(np.concatenate([none, *(x.objects for x in images)]), return_counts=True)
    tracks, track_counts = np.unique(np.concatenate([none, *(x.tracks for x in images)]), return_counts=True)
    # Numbered from 0.
    images = [
        TrackedImage(np.searchsorted(objects, image.objects), np.searchsorted(tracks, image.tracks), image.overlaps)
        for image in images
    ]
    return {
        **_hota(images, object_counts, track_counts),
        "IDF1": _idf1(images, object_counts, track_counts),
        **_clear(images),
    }


def _hota(images: Sequence[TrackedImage], object_counts: Integers, track_counts: Integers) -> dict[str, float]:
    """Higher order tracking accuracy, and its parts for detection and association.

    object_counts, track_counts: in how many images each object is, and each track.
    """
    together = np.zeros((len(object_counts), len(track_counts)))
    for image in images:
        overlaps = image.overlaps
        unions = overlaps.sum(axis=0) + overlaps.sum(axis=1)[:, None] - overlaps
        fractions = np.divide(overlaps, unions, out=np.zeros_like(overlaps), where=unions > _EPSILON)
        together[np.ix_(image.objects, image.tracks)] += fractions
    either = object_counts[:, None] + track_counts
    alignment = together / np.maximum(either - together, _EPSILON)
    matches = np.zeros((len(_HOTA_IOUS), *together.shape))
    for image in images:
        pairs = np.ix_(image.objects, image.tracks)
        rows, columns = linear_sum_assignment(-alignment[pairs] * image.overlaps)
        enough = image.overlaps[rows, columns] >= _HOTA_IOUS[:, None] - _EPSILON
        matches[:, image.objects[rows], image.tracks[columns]] += enough
    hits = matches.sum(axis=(1, 2))
    detection = hits / np.maximum(object_counts.sum() + track_counts.sum() - hits, 1)
    association = (matches * matches / np.maximum(either - matches, 1)).sum(axis=(1, 2)) / np.maximum(hits, 1)
    return {
        "HOTA": float(np.sqrt(detection * association).mean()),
        "DetA": float(detection.mean()),
        "AssA": float(association.mean()),
    }


def _idf1(images: Sequence[TrackedImage], object_counts: Integers, track_counts: Integers) -> float:
    """F1 score of identities: every object is given at most one track for all images, so that most boxes agree.

    object_counts, track_counts: as for `_hota`.
    """
    together = np.zeros((len(object_counts), len(track_counts)))
    for image in images:
        together[np.ix_(image.objects, image.tracks)] += image.overlaps >= MIN_IOU
    # What is not agreed on is lost on both sides, so the best pairs are those that agree most often.
    rows, columns = linear_sum_assignment(-together)
    total = object_counts.sum() + track_counts.sum()
    return float(2 * together[rows, columns].sum() / max(total, 1))


def _clear(images: Sequence[TrackedImage]) -> dict[str, float]:
    """MOTA and its counts; an object keeps its track of the image before as long as they overlap enough."""
    last: dict[int, int] = {}
    before: dict[int, int] = {}
    hits = misses = false_alarms = switches = 0
    for image in images:
        continued = np.array([before.get(int(i), -1) for i in image.objects])[:, None] == image.tracks
        scores = np.where(image.overlaps >= MIN_IOU - _EPSILON, 1000.0 * continued + image.overlaps, 0.0)
        rows, columns = linear_sum_assignment(-scores)
        found = scores[rows, columns] > _EPSILON
        pairs = {int(image.objects[i]): int(image.tracks[j]) for i, j in zip(rows[found], columns[found], strict=True)}
        switches += sum(last.get(i, j) != j for i, j in pairs.items())
        hits += len(pairs)
        misses += len(image.objects) - len(pairs)
        false_alarms += len(image.tracks) - len(pairs)
        last |= pairs
        # An image without objects or tracks does not end a continued pair, as in TrackEval.
        if len(image.objects) and len(image.tracks):
            before = pairs
    return {
        "MOTA": (hits - false_alarms - switches) / max(hits + misses, 1),
        "switches": switches,
        "hits": hits,
        "misses": misses,
        "false_alarms": false_alarms,
    }
