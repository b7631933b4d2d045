"""A node whose camera changes its shape: the network's input follows, in the same runtime."""

from __future__ import annotations

from typing import Any

import pytest
from sensor_msgs.msg import Image

pytestmark = [pytest.mark.dds, pytest.mark.timeout(120)]


def test_the_input_follows_cameras_of_three_shapes(start_node: Any) -> None:
    parameters = {"depth_resolution": "network", "max_age": 0.0, "num_threads": 1, "diagnostics_period": 0.2}
    process, robot = start_node("/shapes", reliable=["image"], device="cpu", **parameters)
    robot.subscribe(Image, "depth/image")
    robot.wait_for_publisher("depth/image")
    assert "input size 640x192, follows the image" in process.text()
    # The depth map has half the size of what the image fills of the input: 416x312, 448x252, 636x192.
    for size, depth_size, input_size in (
        ((640, 480), (208, 156), "416x320"),
        ((1280, 720), (224, 126), "448x256"),
        ((1242, 375), (318, 96), "640x192"),
    ):
        depth = robot.answer(robot.image(*size), "depth/image")
        assert (depth.width, depth.height) == depth_size
        values = robot.diagnostics(lambda values, wanted=input_size: values["input size"].startswith(wanted))
        assert values["runtime"] != "torch"
    assert int(values["images errors"]) == int(values["images malformed"]) == 0
