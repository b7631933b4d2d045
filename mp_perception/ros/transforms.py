"""The transforms of /tf and /tf_static, for the worker thread.

tf2_ros is not used: it has no release outside ROS installations, where this package runs as well.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import numpy as np

from mp_perception.arrays import Matrix
from mp_perception.errors import UserError
from mp_perception.messages.frame_tree import FrameTree, frame_name
from mp_perception.messages.header import Message, stamp_of
from mp_perception.messages.poses import transform_matrix

#: The motion of a frame is continued for so long after its newest transform, nanoseconds.
MAX_EXTRAPOLATION_NS = 100_000_000
#: So many poses of a moving frame are kept, and at most twice as many: 5 s at 100 Hz.
_KEPT_POSES = 500
#: At most so many frames are known; some publishers name a new frame for each object that they see.
MAX_FRAMES = 1000
#: Deviation of a quaternion's norm from 1 above which it is not a rotation, as in tf2.
_MAX_NORM_ERROR = 0.01
#: Largest coordinate of a transform, metres: more than UTM has, and less than what overflows.
_MAX_COORDINATE = 1e8
_MAX_FRAME_NAME = 255


class Transforms:
    """What /tf and /tf_static have said; written by the executor's thread, read by the worker's.

    Nothing grows: the oldest poses are dropped, and of too many frames those that were not heard of for longest.
    """

    def __init__(self, warn: Callable[[str], object]) -> None:
        """warn: called with one line for a transform that is refused."""
        self._warn = warn
        self._lock = threading.Lock()
        self._tree = FrameTree()

    def take(self, message: Message) -> None:
        """A tf2_msgs/TFMessage of /tf."""
        for transform in message.transforms:
            self._add(transform, fixed=False)

    def take_static(self, message: Message) -> None:
        """A tf2_msgs/TFMessage of /tf_static."""
        for transform in message.transforms:
            self._add(transform, fixed=True)

    def lookup(self, target: str, source: str, stamp_ns: int) -> Matrix:
        """(4, 4) from the source frame to the target frame at a moment, metres.

        Raises:
            UserError: it is not known; says why.
        """
        target, source = frame_name(target), frame_name(source)
        with self._lock:
            tree = self._tree
            pose = tree.lookup(target, source, stamp_ns, MAX_EXTRAPOLATION_NS)
            if pose is not None:
                return pose
            known = {*tree.parents, *tree.parents.values()}
            for name in (target, source):
                if name not in known:
                    raise UserError(f"no transform from {source!r} to {target!r}: tf has no frame {name!r}")
            if tree.lookup(target, source, stamp_ns) is None:
                raise UserError(f"no transform from {source!r} to {target!r}: tf does not connect them")
            moving = [frame for frame in tree.between(target, source) if tree.moving.get(frame)]
            late, frame = max((stamp_ns - next(reversed(tree.moving[frame])), frame) for frame in moving)
        age = f"{late / 1e9:.3g} s older" if late > 0 else f"{-late / 1e9:.3g} s newer"
        raise UserError(
            f"no transform from {source!r} to {target!r} at the image's stamp: the newest of {frame!r} is {age}"
        )

    def _add(self, transform: Message, fixed: bool) -> None:
        parent, child = frame_name(transform.header.frame_id), frame_name(transform.child_frame_id)
        pose = None
        if parent != child and all(0 < len(name) <= _MAX_FRAME_NAME for name in (parent, child)):
            pose = _rigid(transform.transform)
        if pose is None:
            found = f"{transform.transform.translation}, {transform.transform.rotation}"[:300]
            self._warn(
                f"transform from {child[:80]!r} to {parent[:80]!r} refused: expected two names, a unit quaternion and"
                f" coordinates below {_MAX_COORDINATE:g} m, found {found}"
            )
            return
        with self._lock:
            tree = self._tree
            if child not in tree.parents and len(tree.parents) >= MAX_FRAMES:
                self._forget_oldest()
            if tree.parents.pop(child, parent) != parent:
                tree.moving.pop(child, None)
            tree.parents[child] = parent  # at the end: the first ones were not heard of for longest
            if fixed:
                tree.fixed[child] = pose
            elif child not in tree.fixed:
                tree.moving[child] = _with_pose(tree.moving.get(child, {}), stamp_of(transform.header), pose)

    def _forget_oldest(self) -> None:
        tree = self._tree
        moving = (frame for frame in tree.parents if frame not in tree.fixed)
        oldest = next(moving, None) or next(iter(tree.parents))
        for known in (tree.parents, tree.fixed, tree.moving):
            known.pop(oldest, None)


def _rigid(transform: Message) -> Matrix | None:
    """(4, 4) of a geometry_msgs/Transform; None if it is not a rigid motion within the Earth's size."""
    rotation, pose = transform.rotation, transform_matrix(transform)
    norm = math.hypot(rotation.x, rotation.y, rotation.z, rotation.w)
    if pose is None or abs(norm - 1) > _MAX_NORM_ERROR or np.abs(pose[:3, 3]).max() > _MAX_COORDINATE:
        return None
    return pose


def _with_pose(poses: dict[int, Matrix], stamp_ns: int, pose: Matrix) -> dict[int, Matrix]:
    """The poses of a frame with a new one; after a jump of time only the new one."""
    newest = next(reversed(poses), stamp_ns)
    if stamp_ns < newest:
        return {stamp_ns: pose}
    poses[stamp_ns] = pose
    return dict(list(poses.items())[-_KEPT_POSES:]) if len(poses) > 2 * _KEPT_POSES else poses
