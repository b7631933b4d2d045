"""The poses of coordinate frames relative to each other, from the TFMessages of a bag.

Static transforms (/tf_static) are valid for the whole bag; of moving ones (/tf) the nearest in time is used.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mp_perception.bags.reading import BagReader
from mp_perception.errors import UserError
from mp_perception.messages.header import Message, stamp_of
from mp_perception.messages.poses import transform_matrix

Matrix = NDArray[np.float64]

TRANSFORMS_TYPE = "tf2_msgs/msg/TFMessage"


@dataclass
class FrameTree:
    """Coordinate frames by their parents.

    parents: child -> parent.  poses: child -> stamp -> (4, 4), pose of the child in its parent, sorted by stamp; a
    static transform has one stamp.
    """

    parents: dict[str, str] = field(default_factory=dict)
    poses: dict[str, dict[int, Matrix]] = field(default_factory=dict)

    def lookup(self, target: str, source: str, stamp_ns: int) -> Matrix | None:
        """(4, 4) from the source frame to the target frame at a moment, metres; None if they are not connected."""
        chains = self._chain(source), self._chain(target)
        common = next((frame for frame in chains[0] if frame in chains[1]), None)
        if common is None:
            return None
        from_source, from_target = (self._pose_above(chain, common, stamp_ns) for chain in chains)
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

    def _pose_above(self, chain: list[str], ancestor: str, stamp_ns: int) -> Matrix | None:
        """Pose of the chain's first frame in one of its ancestors."""
        pose = np.eye(4)
        for frame in chain[: chain.index(ancestor)]:
            stamps = list(self.poses.get(frame, ()))
            if not stamps:
                return None
            after = bisect_left(stamps, stamp_ns)
            nearest = min(stamps[max(after - 1, 0) : after + 1], key=lambda stamp: abs(stamp - stamp_ns))
            pose = self.poses[frame][nearest] @ pose
        return pose


def read_frame_tree(reader: BagReader, pairs: list[tuple[str, str]]) -> FrameTree:
    """The tree of a bag's frames, with the moving transforms that lead from one frame of a pair to the other.

    The other moving transforms of a robot would take too much memory.  Invalid transforms are left out.
    """
    tree = FrameTree()
    for topic, parent, child, transform in _transforms(reader):
        tree.parents[child] = parent
        if topic.endswith("_static") and (pose := transform_matrix(transform.transform)) is not None:
            tree.poses[child] = {0: pose}
    moving = {frame for target, source in pairs for frame in tree.between(target, source)} - tree.poses.keys()
    moving_poses: dict[str, dict[int, Matrix]] = {frame: {} for frame in moving}
    for topic, _, child, transform in _transforms(reader) if moving else ():
        pose = transform_matrix(transform.transform) if child in moving and not topic.endswith("_static") else None
        if pose is not None:
            moving_poses[child][stamp_of(transform.header)] = pose
    tree.poses |= {frame: dict(sorted(found.items())) for frame, found in moving_poses.items()}
    return tree


def frame_name(name: str) -> str:
    """A frame's name without the slash that ROS 1 put before it."""
    return name.removeprefix("/")


def _transforms(reader: BagReader) -> Iterator[tuple[str, str, str, Message]]:
    """(topic, parent, child, TransformStamped) of the transforms of a bag that can be read."""
    topics = [topic.name for topic in reader.topics.values() if topic.type == TRANSFORMS_TYPE]
    for message in reader.messages(topics):
        try:
            transforms = reader.decode(message).transforms
        except UserError:
            continue
        for transform in transforms:
            parent, child = frame_name(transform.header.frame_id), frame_name(transform.child_frame_id)
            yield message.topic, parent, child, transform
