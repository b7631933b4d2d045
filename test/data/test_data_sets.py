"""The registry, the folders of people, and the shared data sets' counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mp_perception.data.data_sets import DATA_SETS, open_data_set
from mp_perception.data.people import PeopleFolder
from mp_perception.errors import UserError

UNKNOWN = "-1 -1 -1 -1000 -1000 -1000 -10"


def write_people(root: Path, labels: str) -> Path:
    (root / "image").mkdir(parents=True)
    (root / "label").mkdir()
    cv2.imwrite(str(root / "image" / "a.jpg"), np.zeros((32, 64, 3), np.uint8))
    (root / "label" / "a.txt").write_text(labels)
    return root


def test_people_know_no_depth_and_only_their_classes(tmp_path: Path) -> None:
    root = write_people(tmp_path / "penn_fudan", f"Pedestrian -1 -1 -10 1 2 9 30 {UNKNOWN}\n")
    (sample,) = PeopleFolder(root, class_names=("Car", "Pedestrian", "Cyclist"))
    assert sample.origin == "people/penn_fudan"
    assert sample.labelled_classes.tolist() == [False, True, False]
    assert sample.labels.tolist() == [1]
    assert np.isnan(sample.object_depths).all()
    assert (sample.depth, sample.intrinsics) == (None, None)


def test_cocos_names_become_ours(tmp_path: Path) -> None:
    labels = f"person -1 -1 -10 1 2 9 30 {UNKNOWN}\ntruck -1 -1 -10 20 2 60 30 {UNKNOWN}\n"
    (sample,) = PeopleFolder(write_people(tmp_path / "coco", labels))
    assert [sample.class_names[label] for label in sample.labels] == ["Pedestrian"]
    assert sample.ignored.tolist() == [[20, 2, 60, 30]]
    named = zip(sample.class_names, sample.labelled_classes, strict=True)
    assert {name for name, is_labelled in named if is_labelled} == {"Car", "Pedestrian", "Cyclist"}


def test_unknown_names_and_missing_folders(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown data set 'kitty': expected one of coco, kitti-depth"):
        open_data_set("kitty", tmp_path)
    for name in DATA_SETS:
        with pytest.raises(UserError, match="no such folder"):
            open_data_set(name, tmp_path / "none")
        with pytest.raises(UserError, match=str(tmp_path)):
            open_data_set(name, tmp_path)
    with pytest.raises(UserError, match="penn_fudan, coco, street_video"):
        open_data_set("people", write_people(tmp_path / "friends", ""))
    (write_people(tmp_path / "coco", "") / "label" / "a.txt").unlink()
    with pytest.raises(UserError, match=r"label/a.txt: missing"):
        open_data_set("people", tmp_path / "coco")


def test_a_synthetic_set_is_object_data_of_its_own_name(make_object_set: Callable[..., Path]) -> None:
    assert open_data_set("synthetic", make_object_set([""]))[0].origin == "synthetic"


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "folder", "split", "frames", "maps", "objects"),
    [
        (
            *("kitti-object", "kitti/object", "train", 250, 175),
            {"Car": 1093, "Van": 65, "Truck": 9, "Pedestrian": 65, "Cyclist": 39},
        ),
        (
            *("kitti-object", "kitti/object", "val", 104, 90),
            {"Car": 396, "Van": 43, "Truck": 14, "Pedestrian": 39, "Cyclist": 25},
        ),
        ("kitti-depth", "kitti", None, 156, 156, {}),
        ("kitti-stereo", "kitti/stereo_2015", None, 8, 8, {}),
        ("kitti-odometry", "kitti/odometry", None, 17, 17, {}),
        (
            *("kitti-raw", "kitti/raw", None, 155, 155),
            {"Van": 283, "Car": 236, "Cyclist": 154, "Pedestrian": 22},
        ),
        ("people", "people/penn_fudan", None, 170, 0, {"Pedestrian": 423}),
        ("people", "people/coco", None, 121, 0, {"Pedestrian": 488, "Car": 70}),
        ("people", "people/street_video", None, 97, 0, {"Pedestrian": 294, "Cyclist": 41}),
    ],
)
def test_the_shared_sets_hold_what_they_should(
    shared_data: Path, name: str, folder: str, split: str | None, frames: int, maps: int, objects: dict[str, int]
) -> None:
    data_set = open_data_set(name, shared_data / folder, split)
    assert len(data_set) == frames
    assert sum(frame.depth is not None for frame in data_set.frames) == maps
    found: Counter[str] = Counter()
    for sample in data_set:
        if sample.labels is not None:
            found.update(sample.class_names[label] for label in sample.labels)
    assert found == objects
