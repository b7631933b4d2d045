"""What a tracker keeps of the objects it follows, confirmed or not, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import Floats, Integers
from mp_perception.prediction import Detections
from mp_perception.tracking.motion_filter import Measurements, Rows, States

#: By how much the score and the width of an object follow those of a detection, 0..1.
_SCORE_GAIN, _WIDTH_GAIN = 0.4, 0.3
#: Factor by which earlier detections count less for the class with every detection.
_VOTE_DECAY = 0.9


@dataclass(frozen=True)
class FollowedObjects(Rows):
    """N objects.

    Attributes:
        states: estimates of the motion filter.
        aspects: (N,) width / height of the box.
        votes: (N, C) for each class, the sum of the scores of detections, recent ones counting more.
        scores: (N,) 0..1, averaged over time.
        ids: (N,) 0 until an object is confirmed.
        first_seen, last_seen: (N,) stamps, seconds.
        ranged: (N,) bool, whether the distance is known: from a depth, or from the height that is typical of the class.
    """

    states: States
    aspects: Floats
    votes: Floats
    scores: Floats
    ids: Integers
    first_seen: Floats
    last_seen: Floats
    ranged: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def labels(self) -> Integers:
        """(N,) class with most votes."""
        return np.asarray(self.votes.argmax(axis=1))

    def detected(
        self,
        objects: Integers,
        states: States,
        seen: Measurements,
        found: Detections,
        previous: Floats,
        stamp: float,
    ) -> FollowedObjects:
        """The objects after the detections `found` (M) of some of them.

        objects: (M,) indices.  states: (M,), of these.  seen: the detections.  previous: (N,) scores before the image.
        """
        means, covariances = self.states.means.copy(), self.states.covariances.copy()
        means[objects], covariances[objects] = states.means, states.covariances
        new = replace(
            self,
            states=States(means, covariances),
            aspects=self.aspects.copy(),
            votes=self.votes.copy(),
            scores=self.scores.copy(),
            last_seen=self.last_seen.copy(),
            ranged=self.ranged.copy(),
        )
        whole = ~seen.cut.any(axis=1)
        ratios = seen.sizes[:, 0] / seen.sizes[:, 1] / self.aspects[objects]
        new.aspects[objects] *= np.where(whole, ratios**_WIDTH_GAIN, 1.0)
        scores = found.scores.astype(np.float64)
        new.votes[objects] *= _VOTE_DECAY
        new.votes[objects, found.labels] += scores
        new.scores[objects] = previous[objects] + _SCORE_GAIN * (scores - previous[objects])
        new.last_seen[objects] = stamp
        new.ranged[objects] |= np.isfinite(seen.depths)
        return new


def new_objects(
    states: States, seen: Measurements, votes: Floats, ranged: NDArray[np.bool_], stamp: float
) -> FollowedObjects:
    """Objects that are seen for the first time, one per detection."""
    count = len(votes)
    return FollowedObjects(
        states=states,
        aspects=seen.sizes[:, 0] / seen.sizes[:, 1],
        votes=votes,
        scores=votes.sum(axis=1),
        ids=np.zeros(count, dtype=np.int64),
        first_seen=np.full(count, stamp),
        last_seen=np.full(count, stamp),
        ranged=ranged,
    )
