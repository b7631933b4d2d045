"""Folders in COCO's format, in the usual layouts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mp_perception.data.coco import CocoFolder, format_annotations, read_annotations
from mp_perception.data.object_label import ObjectLabel
from mp_perception.errors import UserError


def content() -> dict[str, Any]:
    return {
        "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}, {"id": 7, "name": "Forklift"}],
        "images": [{"id": 5, "file_name": "b.jpg"}, {"id": 6, "file_name": "sub/a.png"}],
        "annotations": [
            {"image_id": 5, "category_id": 1, "bbox": [1, 2, 10, 20.5], "iscrowd": 0},
            {"image_id": 5, "category_id": 1, "bbox": [20, 2, 30, 20], "iscrowd": 1},
            {"image_id": 5, "category_id": 3, "bbox": [5, 5, 0, 3]},
            {"image_id": 6, "category_id": 7, "bbox": [0, 0, 9, 9]},
        ],
    }


def write_folder(root: Path, annotations: str, images: str, data: object) -> Path:
    for name in ("b.jpg", "sub/a.png"):
        path = root / images / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.zeros((32, 64, 3), np.uint8))
    (root / annotations).parent.mkdir(exist_ok=True)
    (root / annotations).write_text(data if isinstance(data, str) else json.dumps(data))
    return root


@pytest.mark.parametrize(
    ("annotations", "images", "split"),
    [
        ("annotations/instances_val2017.json", "val2017", "val2017"),
        ("annotations/instances_val2017.json", "images", None),
        ("_annotations.coco.json", ".", None),
        ("mine.json", "images", "mine"),
    ],
)
def test_the_usual_layouts_are_found(tmp_path: Path, annotations: str, images: str, split: str | None) -> None:
    root = write_folder(tmp_path, annotations, images, content())
    samples = list(CocoFolder(root, split, ("Pedestrian", "Cyclist", "Car", "Forklift")))
    assert [sample.name for sample in samples] == ["b", "sub/a"]
    assert samples[0].boxes.tolist() == [[1, 2, 11, 22.5]]
    assert samples[0].labels.tolist() == [0]
    assert samples[0].ignored.tolist() == [[20, 2, 50, 22]]  # a crowd
    assert samples[1].labels.tolist() == [3]
    # no bicycles among the categories: cyclists are unknown
    assert samples[0].labelled_classes.tolist() == [True, False, True, True]
    assert (samples[0].intrinsics, samples[0].depth) == (None, None)
    assert np.isnan(samples[0].object_depths).all()


def changed(key: str, number: int, **values: object) -> dict[str, Any]:
    data = content()
    data[key][number].update(values)
    return data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('{"images": [],\n "annotations": oops}', r"mine.json:2: expected JSON"),
        ([], "mine.json: expected an object"),
        ({"categories": [], "images": []}, "mine.json: expected images, found none|expected a list of objects"),
        ({**content(), "images": [3]}, "expected a list of objects 'images'"),
        (changed("images", 0, file_name="../b.jpg"), r"images\[0\]: expected a file within the image folder"),
        (changed("images", 0, file_name="/b.jpg"), r"images\[0\]: expected a file within the image folder"),
        (changed("images", 0, file_name="c.jpg"), r"images\[0\]: no file 'c.jpg' in"),
        (changed("images", 1, file_name="b.jpg"), r"images\[1\]: expected every file once"),
        (changed("images", 1, id="6"), r"images\[1\]: expected a whole number 'id'"),
        (changed("categories", 1, name=None), r"categories\[1\]: expected a text 'name'"),
        (changed("annotations", 2, category_id=4), r"annotations\[2\]: no image 5 or no category 4"),
        (changed("annotations", 0, bbox=[1, 2, 3]), r"annotations\[0\]: expected a bbox"),
        (changed("annotations", 0, bbox=[1, 2, -3, 4]), r"annotations\[0\]: expected a bbox"),
        (changed("annotations", 0, bbox=[1, 2, float("nan"), 4]), r"annotations\[0\]: expected a bbox"),
        (changed("annotations", 0, bbox=[1, 2, 10**400, 4]), r"annotations\[0\]: expected a bbox"),
        (changed("annotations", 0, bbox=[1, 2, float("inf"), 4]), r"annotations\[0\]: expected a bbox"),
        ('{"images": ' + "9" * 5000 + "}", "mine.json: cannot be read as COCO annotations"),
    ],
)
def test_wrong_entries_are_named(tmp_path: Path, data: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        CocoFolder(write_folder(tmp_path, "mine.json", "images", data))


def test_an_ambiguous_annotation_file_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path, "mine.json", "images", content())
    with pytest.raises(UserError, match="split 'yours': expected one of these files, found none"):
        CocoFolder(tmp_path, "yours")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(UserError, match="expected one .json file .*, found mine.json, other.json"):
        CocoFolder(tmp_path)


def test_written_annotations_are_read_again(tmp_path: Path) -> None:
    labels = {"a.jpg": [ObjectLabel("Car", (1.5, 2, 11.25, 22)), ObjectLabel("DontCare", (3, 4, 5, 6))], "b.jpg": []}
    path = tmp_path / "annotations.json"
    images = [(name, (64, 32), of_image) for name, of_image in labels.items()]
    path.write_bytes(format_annotations(images, ["Van", "Car", "DontCare"]))
    assert read_annotations(path) == (("Van", "Car", "DontCare"), labels)
    written = json.loads(path.read_text())
    assert written["images"][0] == {"id": 1, "file_name": "a.jpg", "width": 64, "height": 32}
    assert written["annotations"][0]["bbox"] == [1.5, 2, 9.75, 20]
    assert written["annotations"][0]["category_id"] == 2
