"""Folders of one camera's recording."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mp_perception.data.data_sets import open_data_set
from mp_perception.data.depth_png import write_depth_png
from mp_perception.data.recording import format_camera, format_times, read_camera
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics
from mp_perception.lens_distortion import LensDistortion

CALIBRATION = "fx 60.5\nfy 61\ncx 31.5\ncy 15\nwidth 64\nheight 32\ndistortion none known\nrobot a red one\n"
LABEL = "Pedestrian -1 -1 -10 1 2 9 30 -1 -1 -1 -1000 -1000 -1000 -10\n"


def write_recording(root: Path, names: tuple[str, ...] = ("000008", "000009")) -> Path:
    (root / "image").mkdir(parents=True)
    for name in names:
        cv2.imwrite(str(root / "image" / f"{name}.jpg"), np.zeros((32, 64, 3), np.uint8))
    write_depth_png(root / "depth" / f"{names[0]}.png", np.full((32, 64), 2.5, np.float32))
    (root / "calib.txt").write_text(CALIBRATION)
    return root


def annotations(*file_names: str) -> str:
    boxes = [
        {"id": number, "image_id": number, "category_id": 1, "bbox": [1, 2, 8, 28]} for number in range(len(file_names))
    ]
    images = [{"id": number, "file_name": name} for number, name in enumerate(file_names)]
    return json.dumps({"categories": [{"id": 1, "name": "person"}], "images": images, "annotations": boxes})


def test_depth_camera_and_times_are_those_of_the_files(tmp_path: Path) -> None:
    root = write_recording(tmp_path)
    frames = open_data_set("recording", root)
    assert frames[0].intrinsics == CameraIntrinsics(60.5, 61, 31.5, 15, 64, 32)
    depth = frames[0].depth
    assert depth is not None
    assert (depth == 2.5).all()
    assert frames[1].depth is None
    assert not frames[0].labelled_classes.any()
    assert frames.seconds() is None
    (root / "timestamps.txt").write_text("000008 1535639716.66272\n000009 1535639717.162404\n")
    seconds = open_data_set("recording", root).seconds()
    assert seconds is not None
    assert np.diff(seconds) == pytest.approx([0.499684], abs=1e-6)


@pytest.mark.parametrize(
    "file_name", ["000009.jpg", "image/000009.jpg", "../upload/1/3fa05b2c-000009.jpg", r"images\000009.png"]
)
def test_annotations_of_labelling_tools_find_their_images(tmp_path: Path, file_name: str) -> None:
    root = write_recording(tmp_path)
    (root / "label").mkdir()
    (root / "label" / "000008.txt").write_text(LABEL)
    (root / "annotations.json").write_text(annotations(file_name))
    unlabelled, labelled = open_data_set("recording", root)
    assert not unlabelled.labelled_classes.any()  # the newer annotations take the place of label/
    assert labelled.boxes.tolist() == [[1, 2, 9, 30]]
    assert [labelled.class_names[label] for label in labelled.labels] == ["Pedestrian"]


def test_kittis_label_files_are_read(tmp_path: Path) -> None:
    root = write_recording(tmp_path)
    (root / "label").mkdir()
    (root / "label" / "000008.txt").write_text(LABEL)
    labelled, unlabelled = open_data_set("recording", root)
    assert labelled.boxes.tolist() == [[1, 2, 9, 30]]
    assert not unlabelled.labelled_classes.any()


@pytest.mark.parametrize("lens", [None, LensDistortion("plumb_bob", (-0.31, 0.1, 1e-4, 0.0, 0.02))])
def test_a_written_camera_is_read_again(tmp_path: Path, lens: LensDistortion | None) -> None:
    camera = CameraIntrinsics(721.5377, 720.25, 609.559, 172.854, 1242, 375, lens)
    (tmp_path / "calib.txt").write_text(format_camera(camera))
    assert read_camera(tmp_path / "calib.txt") == camera


def test_times_keep_their_nanoseconds() -> None:
    assert format_times({"a": 1_535_639_716_000_000_001, "b": 5}) == "a 1535639716.000000001\nb 0.000000005\n"


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("calib.txt", "fx 60\n", r"calib.txt: expected lines .*, found none of fy, cx, cy, width, height"),
        ("calib.txt", CALIBRATION.replace("fx 60.5", "fx a"), r"calib.txt:1: fx: expected 1 finite numbers"),
        ("calib.txt", CALIBRATION.replace("fx 60.5", "fx -3"), r"calib.txt: focal lengths .* must be positive"),
        ("calib.txt", CALIBRATION.replace("none known", "fisheye 1"), r"calib.txt:7: distortion_model: expected"),
        ("calib.txt", CALIBRATION.replace("width 64", "width 99"), r"000008.jpg: expected 99x32 pixels"),
        ("timestamps.txt", "000008 noon\n", r"timestamps.txt:1: expected the name of an image and its time"),
        ("timestamps.txt", "000008 1\n", r"timestamps.txt: expected a line for every image, found none for 000009"),
        ("annotations.json", annotations("other.jpg"), r"annotations.json: expected images of .*, found other.jpg"),
        ("annotations.json", "{", r"annotations.json:1: expected JSON"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, file: str, content: str, message: str) -> None:
    root = write_recording(tmp_path)
    (root / file).write_text(content)
    with pytest.raises(UserError, match=message):
        open_data_set("recording", root)[0]
