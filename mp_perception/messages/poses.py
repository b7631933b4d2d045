"""geometry_msgs poses and transforms: rotation matrices to quaternions and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import Matrix
from mp_perception.messages.header import Message, NewMessage, new_header


def pose_message(new: NewMessage, position: Sequence[float], orientation: Sequence[float] = (0, 0, 0, 1)) -> Message:
    """geometry_msgs/Pose.  position: x, y, z, metres.  orientation: unit quaternion x, y, z, w."""
    return new(
        "geometry_msgs/msg/Pose",
        position=_named(new, "Point", "xyz", position),
        orientation=_named(new, "Quaternion", "xyzw", orientation),
    )


def transforms_message(
    new: NewMessage, transforms: Sequence[tuple[str, str, NDArray[np.floating]]], stamp_ns: int
) -> Message:
    """tf2_msgs/TFMessage of (parent frame, child frame, pose of the child in the parent (4, 4), metres)."""
    return new(
        "tf2_msgs/msg/TFMessage",
        transforms=[
            new(
                "geometry_msgs/msg/TransformStamped",
                header=new_header(new, parent, stamp_ns),
                child_frame_id=child,
                transform=new(
                    "geometry_msgs/msg/Transform",
                    translation=_named(new, "Vector3", "xyz", pose[:3, 3]),
                    rotation=_named(new, "Quaternion", "xyzw", quaternion(pose[:3, :3])),
                ),
            )
            for parent, child, pose in transforms
        ],
    )


def transform_matrix(transform: Message) -> Matrix | None:
    """(4, 4) of a geometry_msgs/Transform, or None if it is invalid (NaN, a zero quaternion)."""
    rotation, translation = rotation_matrix(transform.rotation), transform.translation
    matrix = np.eye(4)
    matrix[:3, 3] = (translation.x, translation.y, translation.z)
    if rotation is None or not np.isfinite(matrix).all():
        return None
    matrix[:3, :3] = rotation
    return matrix


def quaternion(rotation: NDArray[np.floating]) -> Matrix:
    """Unit quaternion (x, y, z, w), w >= 0, of a rotation matrix (3, 3)."""
    # The quaternion is the eigenvector of the largest eigenvalue of this symmetric matrix (Bar-Itzhack 2000): no
    # case is singular, and a matrix that is not quite a rotation gives the nearest one.
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    matrix = np.array(
        [
            [xx - yy - zz, yx + xy, zx + xz, zy - yz],
            [yx + xy, yy - xx - zz, zy + yz, xz - zx],
            [zx + xz, zy + yz, zz - xx - yy, yx - xy],
            [zy - yz, xz - zx, yx - xy, xx + yy + zz],
        ]
    )
    _, vectors = np.linalg.eigh(matrix)
    found: Matrix = vectors[:, -1]
    return found if found[3] >= 0 else -found


def rotation_matrix(orientation: Message) -> Matrix | None:
    """(3, 3) of a geometry_msgs/Quaternion, or None if it is not a rotation (all zeros, NaN)."""
    x, y, z, w = orientation.x, orientation.y, orientation.z, orientation.w
    norm = x * x + y * y + z * z + w * w
    if not (np.isfinite(norm) and norm > 1e-12):
        return None
    double = 2 / norm
    return np.array(
        [
            [1 - double * (y * y + z * z), double * (x * y - z * w), double * (x * z + y * w)],
            [double * (x * y + z * w), 1 - double * (x * x + z * z), double * (y * z - x * w)],
            [double * (x * z - y * w), double * (y * z + x * w), 1 - double * (x * x + y * y)],
        ]
    )


def _named(new: NewMessage, type_name: str, names: str, values: Sequence[float] | NDArray[np.floating]) -> Message:
    fields = {name: float(value) for name, value in zip(names, values, strict=True)}
    return new(f"geometry_msgs/msg/{type_name}", **fields)
