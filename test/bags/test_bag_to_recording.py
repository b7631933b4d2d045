"""Bags as folders of recordings, and as a data set by name."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mp_perception.bags.message_types import bag_header, new_message
from mp_perception.bags.truth_messages import boxes_message
from mp_perception.bags.writing import BagWriter
from mp_perception.commands.data import app
from mp_perception.data.data_sets import open_data_set
from mp_perception.data.object_label import ObjectLabel
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics
from mp_perception.lens_distortion import LensDistortion
from mp_perception.messages.camera_info import camera_info_message
from mp_perception.messages.images import image_message

CAMERA = CameraIntrinsics(50.5, 50.25, 31.2, 15.2, 64, 32, LensDistortion("plumb_bob", (-0.1, 0.02, 0.0, 0.0)))
START, PERIOD = 1_600_000_000_000_000_000, 100_000_000
BOX = ObjectLabel("Car", (4.25, 5, 20, 25.5))


def write_bag(
    path: Path, cameras: Sequence[CameraIntrinsics] = (CAMERA,) * 4, labelled: Sequence[int] = (0, 2)
) -> Path:
    """Frames 0.1 s apart: a smooth image, depth in millimetres in all but the last, boxes in some."""
    random = np.random.default_rng(0)
    with BagWriter(path) as bag:
        for number, camera in enumerate(cameras):
            stamp = START + number * PERIOD
            header = bag_header("camera", stamp)
            image = cv2.resize(random.integers(0, 256, (4, 8, 3), dtype=np.uint8), (64, 32))
            bag.write("/cam/camera_info", stamp, camera_info_message(new_message, camera, header))
            if number in labelled:
                bag.write("/drawn", stamp, boxes_message([BOX] if number == 0 else [], header))
            if number < len(cameras) - 1:
                depth = np.full((32, 64), 1500 + number, np.uint16)
                bag.write("/cam/depth/image", stamp, image_message(new_message, depth, "16UC1", header))
            bag.write("/cam/image_raw", stamp, image_message(new_message, image, "rgb8", header))
    return path


def from_bag(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["from-bag", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_folder_is_the_bag(tmp_path: Path) -> None:
    bag, out = write_bag(tmp_path / "street"), tmp_path / "folder"
    output = from_bag(bag, out)
    assert "4 images, 3 depth maps, 1 boxes in 2 of them" in output
    folder, direct = open_data_set("recording", out), open_data_set("bag", bag)
    assert len(folder) == len(direct) == 4
    for written, read in zip(folder, direct, strict=True):
        assert np.abs(written.image.astype(int) - read.image).mean() < 4  # JPEG
        assert written.intrinsics == read.intrinsics == CAMERA
        assert (written.depth is None) == (read.depth is None)
        if written.depth is not None and read.depth is not None:
            assert np.abs(written.depth - read.depth).max() <= 0.5 / 256
        assert np.array_equal(written.boxes, read.boxes)
        assert np.array_equal(written.labels, read.labels)
    assert folder[0].boxes.tolist() == [list(BOX.box)]
    assert folder[2].labelled_classes.tolist() == direct[2].labelled_classes.tolist() == [True] + [False] * 4
    assert not folder[1].labelled_classes.any()
    seconds, expected = folder.seconds(), direct.seconds()
    assert seconds is not None
    assert expected is not None
    assert np.abs(seconds - expected).max() < 1e-6


def test_every_second_image_and_labels_by_the_network(tmp_path: Path) -> None:
    bag, out = write_bag(tmp_path / "street", labelled=()), tmp_path / "folder"
    from_bag(bag, tmp_path / "unlabelled")
    assert not (tmp_path / "unlabelled" / "annotations.json").exists()
    output = from_bag(bag, out, "--step", "2", "--prelabel", "--score-threshold", "0.01")
    written = json.loads((out / "annotations.json").read_text())
    names = [f"{START + number * PERIOD}.jpg" for number in (0, 2)]
    assert [image["file_name"] for image in written["images"]] == names
    assert sorted(path.name for path in (out / "image").iterdir()) == names
    assert f"{len(written['annotations'])} boxes in 2 of them" in output
    assert len(written["annotations"]) > 0


@pytest.mark.parametrize(
    ("cameras", "message"),
    [
        ([CAMERA, replace(CAMERA, fx=60.0)], f"frame {START + PERIOD}: expected one camera in the whole"),
        ([replace(CAMERA, fx=60.0)] * 2, None),
    ],
)
def test_a_changing_camera_is_refused_and_leaves_nothing(
    tmp_path: Path, cameras: list[CameraIntrinsics], message: str | None
) -> None:
    bag, out = write_bag(tmp_path / "street", cameras), tmp_path / "folder"
    if message is None:
        from_bag(bag, out)
        return
    with pytest.raises(UserError, match=message):
        from_bag(bag, out)
    assert [path.name for path in tmp_path.iterdir()] == ["street"]


def test_a_folder_that_exists_is_kept(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").touch()
    with pytest.raises(UserError, match="expected a new or empty folder"):
        from_bag(write_bag(tmp_path / "street"), tmp_path / "folder")


def test_a_folder_of_bags_is_a_data_set(tmp_path: Path) -> None:
    write_bag(tmp_path / "bags" / "one")
    write_bag(tmp_path / "bags" / "two.mcap")
    (tmp_path / "split.txt").write_text(f"one/{START}\ntwo.mcap/{START + PERIOD}\n")
    assert len(open_data_set("bag", tmp_path / "bags")) == 8
    frames = open_data_set("bag", tmp_path / "bags", str(tmp_path / "split.txt"), ("Pedestrian", "Car"))
    assert [sample.name for sample in frames] == [f"one/{START}", f"two.mcap/{START + PERIOD}"]
    assert frames[0].labels.tolist() == [1]
    copy = pickle.loads(pickle.dumps(frames))  # as for the processes that load a training's samples
    assert np.array_equal(copy[1].image, frames[1].image)


def test_a_folder_without_bags_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected a rosbag2|no message can be recovered"):
        open_data_set("bag", tmp_path)
