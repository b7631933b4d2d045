"""What the node makes of /tf: good transforms, bad ones, and many."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tf2_msgs.msg import TFMessage

from mp_perception.errors import UserError
from mp_perception.messages.poses import transforms_message
from mp_perception.ros.message_class import new_message
from mp_perception.ros.transforms import MAX_FRAMES, Transforms

SECOND = 10**9


class Robot:
    """Transforms with the warnings that they gave; the robot drives 1 m/s along x."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.transforms = Transforms(self.warnings.append)
        camera = np.array([[0.0, 0, 1, 0.3], [-1, 0, 0, 0], [0, -1, 0, 1.2], [0, 0, 0, 1]])
        self.transforms.take_static(transforms_message(new_message, [("base", "camera", camera)], 0))

    def drive(self, seconds: float, parent: str = "odom", child: str = "base") -> None:
        pose = np.eye(4)
        pose[0, 3] = seconds
        self.transforms.take(transforms_message(new_message, [(parent, child, pose)], round(seconds * SECOND)))

    def at(self, seconds: float) -> np.ndarray:
        return self.transforms.lookup("odom", "camera", round(seconds * SECOND))[:3, 3]


@pytest.fixture
def robot() -> Robot:
    return Robot()


def test_the_camera_is_where_the_robot_has_carried_it(robot: Robot) -> None:
    for seconds in (10.0, 10.1, 10.2):
        robot.drive(seconds)
    assert robot.at(10.15) == pytest.approx([10.45, 0, 1.2])
    assert robot.at(10.25) == pytest.approx([10.55, 0, 1.2])  # the motion continues
    pose = robot.transforms.lookup("/odom", "camera", 10 * SECOND)
    assert pose @ [0, 0, 1, 1] == pytest.approx([11.3, 0, 1.2, 1])
    assert not robot.warnings


@pytest.mark.parametrize(
    ("target", "source", "seconds", "reason"),
    [
        ("map", "camera", 10.0, "tf has no frame 'map'"),
        ("odom", "lidar", 10.0, "tf has no frame 'lidar'"),
        ("odom", "wheel", 10.0, "tf does not connect them"),
        ("odom", "camera", 12.5, "the newest of 'base' is 2.5 s older"),
        ("odom", "camera", 7.0, "the newest of 'base' is 3 s newer"),
    ],
)
def test_what_is_missing_is_said(robot: Robot, target: str, source: str, seconds: float, reason: str) -> None:
    robot.drive(10.0)
    robot.drive(10.0, "island", "wheel")
    with pytest.raises(UserError, match=f"no transform from '{source}' to '{target}'.*{reason}"):
        robot.transforms.lookup(target, source, round(seconds * SECOND))


@pytest.mark.parametrize(
    ("name", "value"),
    [("x", float("nan")), ("x", float("inf")), ("x", 1e300), ("w", 0.0), ("w", 2.0), ("w", float("nan"))],
)
def test_transforms_that_are_not_rigid_are_refused(robot: Robot, name: str, value: float) -> None:
    robot.drive(10.0)
    message: Any = transforms_message(new_message, [("odom", "base", np.eye(4))], 10 * SECOND + 1)
    transform = message.transforms[0].transform
    setattr(transform.rotation if name == "w" else transform.translation, name, value)
    robot.transforms.take(message)
    assert len(robot.warnings) == 1
    assert robot.warnings[0].startswith(
        "transform from 'base' to 'odom' refused: expected two names, a unit quaternion"
    )
    assert f"{name}={value}" in robot.warnings[0]
    assert robot.at(10.0) == pytest.approx([10.3, 0, 1.2])


def test_frames_without_names_and_loops_do_no_harm(robot: Robot) -> None:
    names = [("", "base"), ("base", "base"), ("odom", "x" * 256)]
    robot.transforms.take(transforms_message(new_message, [(*pair, np.eye(4)) for pair in names], 1))
    assert len(robot.warnings) == 3
    robot.drive(10.0)
    robot.drive(10.0, "camera", "odom")  # a loop: base, odom, camera
    with pytest.raises(UserError, match="no transform"):
        robot.transforms.lookup("map", "camera", 10 * SECOND)


def test_a_clock_that_jumps_back_starts_again(robot: Robot) -> None:
    for seconds in (100.0, 100.1, 100.2):
        robot.drive(seconds)
    robot.drive(5.0)
    assert robot.at(5.05) == pytest.approx([5.3, 0, 1.2])
    with pytest.raises(UserError, match="newest of 'base' is 95.1 s older"):
        robot.at(100.1)


def test_a_robot_that_changes_its_parent_frame(robot: Robot) -> None:
    robot.drive(10.0, "map")
    robot.drive(10.1)
    assert robot.at(10.1) == pytest.approx([10.4, 0, 1.2])
    with pytest.raises(UserError, match="no frame 'map'"):
        robot.transforms.lookup("map", "camera", 10 * SECOND)


def test_nothing_grows(robot: Robot) -> None:
    """Hours of one frame at once, and a publisher that names a new frame for every object."""
    for number in range(3 * MAX_FRAMES):
        robot.transforms.take(
            TFMessage(transforms=transforms_message(new_message, [("odom", f"o{number}", np.eye(4))], 1).transforms)
        )
        robot.drive(number / 100)
    tree = robot.transforms._tree
    assert len(tree.parents) <= MAX_FRAMES
    assert len(tree.moving) <= MAX_FRAMES
    assert len(tree.moving["base"]) <= 1000
    newest = 3 * MAX_FRAMES / 100
    assert robot.at(newest - 2) == pytest.approx([newest - 1.7, 0, 1.2])
