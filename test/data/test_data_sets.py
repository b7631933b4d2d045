"""The registry, the folders of people, and real data sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.data_sets import DATA_SETS, open_data_set
from mp_perception.data.people import PeopleFolder
from mp_perception.data.samples import Sample
from mp_perception.errors import UserError

UNKNOWN = "-1 -1 -1 -1000 -1000 -1000 -10"


def write_people(root: Path, labels: str) -> Path:
    (root / "image").mkdir(parents=True)
    (root / "label").mkdir()
    cv2.imwrite(str(root / "image" / "a.jpg"), np.zeros((32, 64, 3), np.uint8))
    (root / "label" / "a.txt").write_text(labels)
    return root


def labelled(sample: Sample) -> set[str]:
    return {name for name, known in zip(sample.class_names, sample.labelled_classes, strict=True) if known}


def test_people_have_no_depth_and_label_the_classes_of_their_files(tmp_path: Path) -> None:
    root = write_people(tmp_path / "crossing", f"Pedestrian -1 -1 -10 1 2 9 30 {UNKNOWN}\n")
    (sample,) = PeopleFolder(root, class_names=("Car", "Pedestrian", "Cyclist"))
    assert sample.origin == "people/crossing"
    assert labelled(sample) == {"Pedestrian"}
    assert sample.labels.tolist() == [1]
    assert np.isnan(sample.object_depths).all()
    assert (sample.depth, sample.intrinsics) == (None, None)
    (root / "label" / "a.txt").unlink()
    with pytest.raises(UserError, match=r"label/a.txt: missing"):
        open_data_set("people", root)


def test_cocos_names_become_ours(tmp_path: Path) -> None:
    lines = [f"person -1 -1 -10 1 2 9 30 {UNKNOWN}", f"truck -1 -1 -10 20 2 60 30 {UNKNOWN}"]
    root = write_people(tmp_path / "street", "\n".join(lines))
    (sample,) = PeopleFolder(root)
    assert [sample.class_names[label] for label in sample.labels] == ["Pedestrian"]
    assert sample.ignored.tolist() == [[20, 2, 60, 30]]
    assert labelled(sample) == {"Pedestrian"}
    lines += [f"{name} -1 -1 -10 1 2 9 30 {UNKNOWN}" for name in ("bicycle", "car")]
    (root / "label" / "a.txt").write_text("\n".join(lines))
    assert labelled(PeopleFolder(root)[0]) == {"Car", "Pedestrian", "Cyclist"}


def test_labelled_and_inexact_classes_can_be_named(tmp_path: Path) -> None:
    lines = [f"{name} -1 -1 -10 1 2 {x} 30 {UNKNOWN}" for name, x in (("Pedestrian", 9), ("Cyclist", 8), ("Car", 7))]
    people = PeopleFolder(write_people(tmp_path / "crossing", "\n".join(lines)))
    people.use_labelled_classes(["Pedestrian", "Cyclist"])
    people.mark_inexact(["Cyclist"])
    (sample,) = people
    assert labelled(sample) == {"Pedestrian", "Cyclist"}
    assert sample.boxes.tolist() == [[1, 2, 9, 30], [1, 2, 8, 30]]
    assert sample.ignored.tolist() == [[1, 2, 7, 30]]
    assert sample.exact.tolist() == [True, False]
    for method in (people.use_labelled_classes, people.mark_inexact):
        with pytest.raises(UserError, match="people/crossing: unknown class 'Child': expected one of Car, Van"):
            method(["Child"])


def test_unknown_names_and_missing_folders(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown data set 'kitty': expected one of bag, coco, kitti-depth"):
        open_data_set("kitty", tmp_path)
    for name in DATA_SETS:
        with pytest.raises(UserError, match="no such folder"):
            open_data_set(name, tmp_path / "none")
        with pytest.raises(UserError, match=str(tmp_path)):
            open_data_set(name, tmp_path)


def test_a_synthetic_set_is_object_data_of_its_own_name(make_object_set: Callable[..., Path]) -> None:
    assert open_data_set("synthetic", make_object_set([""]))[0].origin == "synthetic"


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "folder", "split", "has_depth", "classes"),
    [
        ("kitti-object", "kitti/object", "val", True, set(DEFAULT_CLASSES)),
        ("kitti-depth", "kitti", None, True, set()),
        ("kitti-stereo", "kitti/stereo_2015", None, True, set()),
        ("kitti-odometry", "kitti/odometry", None, True, set()),
        ("kitti-raw", "kitti/raw", None, True, {"Car", "Van", "Pedestrian", "Cyclist"}),
        ("people", "people/penn_fudan", None, False, {"Pedestrian"}),
        ("people", "people/coco", None, False, {"Pedestrian", "Car"}),
        ("people", "people/street_video", None, False, {"Pedestrian", "Cyclist"}),
    ],
)
def test_real_sets_hold_the_objects_and_the_depth_that_they_should(
    shared_data: Path, name: str, folder: str, split: str | None, has_depth: bool, classes: set[str]
) -> None:
    data_set = open_data_set(name, shared_data / folder, split)
    samples = [data_set[index] for index in range(0, len(data_set), max(len(data_set) // 20, 1))]
    assert any(sample.depth is not None and np.isfinite(sample.depth).any() for sample in samples) == has_depth
    assert {sample.class_names[label] for sample in samples for label in sample.labels} == classes
