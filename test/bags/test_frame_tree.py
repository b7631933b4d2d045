"""Frames of a bag: fixed, moving, connected or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mp_perception.bags.frame_tree import read_frame_tree
from mp_perception.bags.message_types import new_message
from mp_perception.bags.reading import BagReader
from mp_perception.bags.writing import BagWriter
from mp_perception.messages.frame_tree import FrameTree
from mp_perception.messages.poses import transforms_message

SECOND = 10**9


def pose(x: float = 0.0, y: float = 0.0, z: float = 0.0, turned: float = 0.0) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]]
    matrix[:3, 3] = (x, y, z)
    return matrix


def tree_of(tmp_path: Path, fixed: list, moving: dict[int, list], pairs: list[tuple[str, str]]) -> FrameTree:
    with BagWriter(tmp_path / "bag") as bag:
        bag.write("/tf_static", SECOND, transforms_message(new_message, fixed, SECOND))
        for stamp, transforms in moving.items():
            bag.write("/tf", stamp, transforms_message(new_message, transforms, stamp))
    with BagReader(tmp_path / "bag") as reader:
        return read_frame_tree(reader, pairs)


def test_points_go_up_and_down_the_tree(tmp_path: Path) -> None:
    quarter = np.pi / 2
    fixed = [("base", "scanner", pose(1, 0, 2)), ("base", "mast", pose(0, 3, 0, quarter)), ("mast", "eye", pose(1))]
    tree = tree_of(tmp_path, fixed, {}, [("eye", "scanner")])
    found = tree.lookup("eye", "scanner", 0)
    assert found is not None
    # scanner's origin (1, 0, 2) in base; the mast looks along base's y from (0, 3): (-3, -1, 2) there; the eye is at 1.
    assert found @ [0, 0, 0, 1] == pytest.approx([-4, -1, 2, 1])
    back = tree.lookup("scanner", "eye", 0)
    assert back is not None
    assert back @ found == pytest.approx(np.eye(4))


def test_a_childs_pose_comes_back_in_every_bit(tmp_path: Path) -> None:
    shift = pose(0.05984926, -0.00035793, 0.0027458840000000003)
    tree = tree_of(tmp_path, [("left", "grey", shift)], {}, [("left", "grey")])
    assert np.array_equal(tree.lookup("left", "grey", 0), shift)


def test_poses_of_moving_frames_are_interpolated(tmp_path: Path) -> None:
    moving = {n * SECOND: [("base", "arm", pose(n)), ("map", "base", pose(100 * n))] for n in (1, 2, 3)}
    tree = tree_of(tmp_path, [("arm", "eye", pose(0, 0, 1))], moving, [("eye", "base")])
    for stamp, x in ((0, 1), (SECOND, 1), (int(1.4 * SECOND), 1.4), (int(2.5 * SECOND), 2.5), (9 * SECOND, 3)):
        found = tree.lookup("base", "eye", stamp)
        assert found is not None
        assert found[:3, 3] == pytest.approx([x, 0, 1])
    # The pose of the robot on the map was not asked for: hours of it would take memory.
    assert "base" not in tree.moving


def test_frames_that_are_not_connected(tmp_path: Path) -> None:
    fixed = [("base", "scanner", pose(1)), ("island", "eye", pose(1))]
    tree = tree_of(tmp_path, fixed, {}, [("eye", "scanner")])
    assert tree.lookup("eye", "scanner", 0) is None
    assert tree.lookup("nowhere", "scanner", 0) is None
    assert np.array_equal(tree.lookup("nowhere", "nowhere", 0), np.eye(4))


def test_cycles_and_invalid_transforms_end_the_search(tmp_path: Path) -> None:
    broken = pose(np.nan)
    tree = tree_of(tmp_path, [("a", "b", pose(1)), ("b", "a", pose(1)), ("a", "c", broken)], {}, [("a", "c")])
    assert tree.lookup("c", "a", 0) is None
    assert tree.lookup("nowhere", "a", 0) is None


def test_the_leading_slash_of_ros_1_is_removed(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, [("/base", "/eye", pose(2))], {}, [("base", "eye")])
    assert tree.lookup("base", "eye", 0) == pytest.approx(pose(2))
