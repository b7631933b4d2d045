"""Rotation matrices as quaternions and back, and transforms in messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mp_perception.bags.message_types import new_message
from mp_perception.messages.header import NewMessage
from mp_perception.messages.poses import quaternion, rotation_matrix, transform_matrix, transforms_message

STAMP = 1317042272_345808896


def test_transforms_come_back(new: NewMessage, sent: Callable[[Any, str], Any]) -> None:
    pose = np.eye(4)
    pose[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]  # 90 degrees about z
    pose[:3, 3] = [1, 2, 3]
    message = sent(transforms_message(new, [("velo_link", "camera", pose)], STAMP), "tf2_msgs/msg/TFMessage")
    (found,) = message.transforms
    assert (found.header.frame_id, found.child_frame_id) == ("velo_link", "camera")
    assert (found.transform.translation.x, found.transform.translation.z) == (1, 3)
    rotation, half = found.transform.rotation, np.sqrt(0.5)
    assert [rotation.x, rotation.y, rotation.z, rotation.w] == pytest.approx([0, 0, half, half])
    assert transform_matrix(found.transform) == pytest.approx(pose)


@given(st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda values: np.linalg.norm(values) > 0.1))
def test_quaternions_turn_as_their_matrices(values: tuple[float, float, float, float]) -> None:
    x, y, z, w = np.array(values) / np.linalg.norm(values)
    matrix = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    found = quaternion(matrix)
    assert abs(found @ [x, y, z, w]) == pytest.approx(1)  # q and -q are the same rotation
    assert found[3] >= 0
    # Of any length, also in a message.
    scaled = dict(zip("xyzw", (float(3 * value) for value in found), strict=True))
    assert rotation_matrix(new_message("geometry_msgs/msg/Quaternion", **scaled)) == pytest.approx(matrix)


@pytest.mark.parametrize("values", [(0.0, 0.0, 0.0, 0.0), (np.nan, 0.0, 0.0, 1.0)])
def test_what_is_not_a_rotation_has_no_matrix(values: tuple[float, ...]) -> None:
    orientation = new_message("geometry_msgs/msg/Quaternion", **dict(zip("xyzw", values, strict=True)))
    assert rotation_matrix(orientation) is None
    assert transform_matrix(new_message("geometry_msgs/msg/Transform", rotation=orientation)) is None
