"""Where frames are to each other, from the TFMessages of a bag.

Fixed transforms (/tf_static) hold for the whole bag; of those that move (/tf) the one nearest in time is taken.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mp_perception.bags.messages import Message, rotation_matrix
from mp_perception.bags.reading import BagReader
from mp_perception.errors import UserError

Matrix = NDArray[np.float64]

TRANSFORMS_TYPE = "tf2_msgs/msg/TFMessage"


@dataclass
class TransformTree:
    """Frames by their parents, as far as they were read.

    parents: child -> parent.  fixed: child -> (4, 4), pose of the child in its parent.  moving: child -> (stamps,
    poses), sorted by stamp.
    """

    parents: dict[str, str] = field(default_factory=dict)
    fixed: dict[str, Matrix] = field(default_factory=dict)
    moving: dict[str, tuple[list[int], list[Matrix]]] = field(default_factory=dict)

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
        chains = self._chain(source), self._chain(target)
        return set(chains[0]) ^ set(chains[1])

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
            step = self._pose(frame, stamp_ns)
            if step is None:
                return None
            pose = step @ pose
        return pose

    def _pose(self, child: str, stamp_ns: int) -> Matrix | None:
        if child in self.fixed:
            return self.fixed[child]
        stamps, poses = self.moving.get(child, ([], []))
        if not stamps:
            return None
        after = bisect_left(stamps, stamp_ns)
        near = [i for i in (after - 1, after) if 0 <= i < len(stamps)]
        return poses[min(near, key=lambda i: abs(stamps[i] - stamp_ns))]


def read_transforms(reader: BagReader, pairs: list[tuple[str, str]]) -> TransformTree:
    """The tree of a bag's frames, with the moving transforms that lead from one frame of a pair to the other.

    A robot's body publishes many that are not asked for here; they would take memory.  What is no transform is left
    out.
    """
    topics = [topic.name for topic in reader.topics.values() if topic.type == TRANSFORMS_TYPE]
    tree = TransformTree()
    if not topics:
        return tree
    moving_frames: set[str] = set()
    for topic, message in _messages(reader, topics):
        for transform in message.transforms:
            child = frame_name(transform.child_frame_id)
            tree.parents[child] = frame_name(transform.header.frame_id)
            if not topic.endswith("_static"):
                moving_frames.add(child)
            elif (pose := _pose_of(transform)) is not None:
                tree.fixed[child] = pose
    wanted = {frame for target, source in pairs for frame in tree.between(target, source)} & moving_frames
    wanted -= tree.fixed.keys()
    if wanted:
        _read_moving(reader, topics, tree, wanted)
    return tree


def frame_name(name: str) -> str:
    """A frame's name without the slash that ROS 1 put before it."""
    return name.removeprefix("/")


def _read_moving(reader: BagReader, topics: list[str], tree: TransformTree, wanted: set[str]) -> None:
    samples: dict[str, dict[int, Matrix]] = {frame: {} for frame in wanted}
    for _, message in _messages(reader, topics):
        for transform in message.transforms:
            child = frame_name(transform.child_frame_id)
            pose = _pose_of(transform) if child in wanted else None
            if pose is not None:
                stamp = transform.header.stamp
                samples[child][stamp.sec * 1_000_000_000 + stamp.nanosec] = pose
    for frame, poses in samples.items():
        stamps = sorted(poses)
        tree.moving[frame] = (stamps, [poses[stamp] for stamp in stamps])


def _messages(reader: BagReader, topics: list[str]) -> Iterator[tuple[str, Message]]:
    """Topic and content of the messages that can be read."""
    for message in reader.messages(topics):
        try:
            decoded = reader.decode(message)
        except UserError:
            continue
        yield message.topic, decoded


def _pose_of(transform: Message) -> Matrix | None:
    """(4, 4) of a TransformStamped, or None if it is none (NaN, a quaternion of zeros)."""
    rotation = rotation_matrix(transform.transform.rotation)
    shift = transform.transform.translation
    pose = np.eye(4)
    pose[:3, 3] = (shift.x, shift.y, shift.z)
    if rotation is None or not np.isfinite(pose).all():
        return None
    pose[:3, :3] = rotation
    return pose
