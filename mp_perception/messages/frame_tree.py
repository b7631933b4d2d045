"""The poses of coordinate frames relative to each other, as TFMessages state them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

import cv2
import numpy as np

from mp_perception.arrays import Matrix

TRANSFORMS_TYPE = "tf2_msgs/msg/TFMessage"


@dataclass
class FrameTree:
    """Coordinate frames by their parents.

    parents: child -> parent.  fixed: child -> (4, 4), pose of the child in its parent, for static transforms.
    moving: child -> stamp in nanoseconds -> such a pose, sorted by stamp.
    """

    parents: dict[str, str] = field(default_factory=dict)
    fixed: dict[str, Matrix] = field(default_factory=dict)
    moving: dict[str, dict[int, Matrix]] = field(default_factory=dict)

    def lookup(self, target: str, source: str, stamp_ns: int, extrapolation_ns: int | None = None) -> Matrix | None:
        """(4, 4) from the source frame to the target frame at a moment, metres; None if it is not known.

        Moving transforms are interpolated.

        Args:
            target, source: names of the frames.
            stamp_ns: nanoseconds.
            extrapolation_ns: the last motion of a transform is continued for so long, and its pose is unknown
                afterwards; None: its first pose is valid before, its last one afterwards.
        """
        chains = self._chain(source), self._chain(target)
        common = next((frame for frame in chains[0] if frame in chains[1]), None)
        if common is None:
            return None
        from_source, from_target = (self._pose_above(chain, common, stamp_ns, extrapolation_ns) for chain in chains)
        if from_source is None or from_target is None:
            return None
        if target == common:  # exact: a child's pose as it was recorded
            return from_source
        return np.asarray(np.linalg.inv(from_target) @ from_source)

    def between(self, target: str, source: str) -> set[str]:
        """The frames whose transforms to their parents lead from source to target."""
        return set(self._chain(source)) ^ set(self._chain(target))

    def _chain(self, frame: str) -> list[str]:
        """The frame and those above it."""
        chain = [frame]
        while (parent := self.parents.get(chain[-1])) is not None and parent not in chain:
            chain.append(parent)
        return chain

    def _pose_above(
        self, chain: list[str], ancestor: str, stamp_ns: int, extrapolation_ns: int | None
    ) -> Matrix | None:
        """Pose of the chain's first frame in one of its ancestors."""
        pose = np.eye(4)
        for frame in chain[: chain.index(ancestor)]:
            above = self.fixed.get(frame)
            if above is None:
                above = _pose_at(self.moving.get(frame, {}), stamp_ns, extrapolation_ns)
            if above is None:
                return None
            pose = above @ pose
        return pose


def frame_name(name: str) -> str:
    """A frame's name without the slash that ROS 1 put before it."""
    return name.removeprefix("/")


def _pose_at(poses: dict[int, Matrix], stamp_ns: int, extrapolation_ns: int | None) -> Matrix | None:
    stamps = list(poses)
    if not stamps:
        return None
    after = bisect_left(stamps, stamp_ns)
    if after < len(stamps) and stamps[after] == stamp_ns:
        return poses[stamp_ns]
    if 0 < after < len(stamps):
        return _between(poses, stamps[after - 1], stamps[after], stamp_ns)
    end = stamps[0] if after == 0 else stamps[-1]
    if extrapolation_ns is None:
        return poses[end]
    if abs(stamp_ns - end) > extrapolation_ns:
        return None
    # From two poses some time apart: the difference of two neighbours is mostly noise.
    earlier = bisect_right(stamps, end - extrapolation_ns // 2)
    return poses[end] if after == 0 or earlier == 0 else _between(poses, stamps[earlier - 1], end, stamp_ns)


def _between(poses: dict[int, Matrix], first: int, second: int, stamp_ns: int) -> Matrix:
    """The pose at a moment of a motion with constant velocity through two poses; also after them."""
    fraction = (stamp_ns - first) / (second - first)
    before, after = poses[first], poses[second]
    turn, _ = cv2.Rodrigues(before[:3, :3].T @ after[:3, :3])
    pose = before + fraction * (after - before)
    pose[:3, :3] = before[:3, :3] @ cv2.Rodrigues(fraction * turn)[0]
    return pose
