"""Where tracks have been in the last seconds, for pictures."""

from __future__ import annotations

from collections import deque

import numpy as np

from mp_perception.tracking.tracks import Array, Tracks

#: Length of a trail, and minimum time between its positions, seconds.
_SECONDS, _STEP = 3.0, 0.2


class Trails:
    """The former positions of the tracks that exist now."""

    def __init__(self) -> None:
        self._trails: dict[int, deque[tuple[float, Array]]] = {}

    def update(self, tracks: Tracks, stamp: float) -> None:
        """Take in the tracks after an image; those that have ended are forgotten.  stamp: of the image, seconds."""
        before = {} if tracks.restart else self._trails
        self._trails = {}
        for i, track_id in enumerate(tracks.ids.tolist()):
            trail = self._trails[track_id] = before.get(track_id, deque())
            while trail and stamp - trail[0][0] > _SECONDS:
                trail.popleft()
            if len(trail) > 1 and trail[-1][0] - trail[-2][0] < _STEP:
                trail.pop()
            trail.append((stamp, tracks.positions[i]))

    def positions(self) -> dict[int, Array]:
        """id -> (n, 3) positions in the frame of the tracks, metres, oldest first, the present one last.

        NaN where the position was not known.
        """
        return {track_id: np.array([position for _, position in trail]) for track_id, trail in self._trails.items()}
