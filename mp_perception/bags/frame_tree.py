"""The tree of a bag's coordinate frames: static transforms (/tf_static) are valid for the whole bag."""

from __future__ import annotations

from collections.abc import Iterator

from mp_perception.arrays import Matrix
from mp_perception.bags.reading import BagReader
from mp_perception.errors import UserError
from mp_perception.messages.frame_tree import TRANSFORMS_TYPE, FrameTree, frame_name
from mp_perception.messages.header import Message, stamp_of
from mp_perception.messages.poses import transform_matrix


def read_frame_tree(reader: BagReader, pairs: list[tuple[str, str]]) -> FrameTree:
    """The tree of a bag's frames, with the moving transforms that lead from one frame of a pair to the other.

    The other moving transforms of a robot would take too much memory.  Invalid transforms are left out.
    """
    tree = FrameTree()
    for topic, parent, child, transform in _transforms(reader):
        tree.parents[child] = parent
        if topic.endswith("_static") and (pose := transform_matrix(transform.transform)) is not None:
            tree.fixed[child] = pose
    moving = {frame for target, source in pairs for frame in tree.between(target, source)} - tree.fixed.keys()
    poses: dict[str, dict[int, Matrix]] = {frame: {} for frame in moving}
    for topic, _, child, transform in _transforms(reader) if moving else ():
        pose = transform_matrix(transform.transform) if child in moving and not topic.endswith("_static") else None
        if pose is not None:
            poses[child][stamp_of(transform.header)] = pose
    tree.moving = {frame: dict(sorted(found.items())) for frame, found in poses.items()}
    return tree


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
