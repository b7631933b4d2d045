"""The node's camera in the benchmark, when its process has ended."""

from __future__ import annotations

from multiprocessing import Pipe

import pytest

from mp_perception.benchmark.node.camera import Camera
from mp_perception.errors import UserError


def test_a_camera_that_ended_is_said_in_one_line() -> None:
    ours, theirs = Pipe()
    theirs.close()
    camera = Camera(ours)
    camera.stream(10.0, 1.0)
    with pytest.raises(UserError, match="^benchmark: the camera's process ended$"):
        camera.published(1.0)
