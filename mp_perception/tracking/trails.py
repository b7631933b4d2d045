"""Where tracks have been in the last seconds, for pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

#: Length of a trail, and minimum time between its positions, seconds.
_SECONDS, _STEP = 3.0, 0.2


@dataclass(frozen=True)
class Trails:
    """The former positions of tracks.  paths: id -> (stamp in seconds, position (3,)), oldest first."""

    paths: Mapping[int, tuple[tuple[float, NDArray[np.float64]], ...]] = field(default_factory=dict)

    def continued(self, ids: NDArray[np.int64], positions: NDArray[np.float64], stamp: float) -> Trails:
        """The trails after one more image; those of tracks that have ended are left out.

        ids: (N,).  positions: (N, 3) metres, of these tracks.  stamp: of the image, seconds.
        """
        paths = {}
        for track_id, position in zip(ids.tolist(), positions, strict=True):
            path = [entry for entry in self.paths.get(track_id, ()) if stamp - entry[0] <= _SECONDS]
            if len(path) > 1 and path[-1][0] - path[-2][0] < _STEP:
                path.pop()
            paths[track_id] = (*path, (stamp, position))
        return Trails(paths)

    def __getitem__(self, track_id: int) -> NDArray[np.float64]:
        """(n, 3) positions in the frame of the tracks, metres, the present one last; NaN where one was not known."""
        return np.array([position for _, position in self.paths.get(track_id, ())]).reshape(-1, 3)
