"""`mp_perception bag info` as a user calls it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from typer.testing import CliRunner, Result

from mp_perception.bags.message_types import bag_header, new_message
from mp_perception.bags.writing import BagWriter
from mp_perception.commands.main import app
from mp_perception.messages.images import image_message

IMAGES = "/kitti/camera_color_left/image_raw"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def no_truth(path: Path) -> Path:
    with BagWriter(path) as bag:
        image = np.zeros((96, 320, 3), np.uint8)
        bag.write(IMAGES, 5, image_message(new_message, image, "rgb8", bag_header("camera", 5)))
    return path


def test_info_lists_what_an_evaluation_uses(street_bag: Path, tmp_path: Path) -> None:
    shown = run("bag", "info", street_bag)
    assert shown.exit_code == 0, shown.output
    for line in (
        f"     6  images: {IMAGES}",
        "     6  ground truth: depth images: /ground_truth/depth/image",
        "     0  ground truth: point clouds: none",
        "     6  ground truth: KITTI labels: /ground_truth/labels",
        "     0  recorded outputs: none",
    ):
        assert line in shown.output
    bare = run("bag", "info", no_truth(tmp_path / "bare"))
    assert "     0  ground truth: depth images: none" in bare.output
