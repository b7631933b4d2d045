"""Labels from a detector's boxes: classes, margins, scores, and the labels that a set has already."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from mp_perception.data.data_sets import open_data_set
from mp_perception.data.frame_sets import FrameSet, find_frames
from mp_perception.data.kitti.labels import read_labels
from mp_perception.errors import UserError
from mp_perception.training.taught_labels import TaughtClass, parse_taught_class, taught_labels, teach_labels
from mp_perception.training.teachers import DetectionTeacher, TeacherBoxes

FOUND = TeacherBoxes(
    boxes=np.array([[10, 10, 20, 30], [40, 0, 60, 40], [70, 20, 90, 30], [5, 5, 9, 9], [30, 5, 39, 9]], np.float32),
    scores=np.array([0.9, 0.6, 0.4, 0.1, 0.9], np.float32),
    classes=np.array([1, 2, 1, 1, 7]),
)
CLASSES = {
    1: TaughtClass("Pedestrian", 0.7, (-0.1, -0.05, 0.2, 0.25)),
    2: TaughtClass("Cyclist", 0.6, (-1, -1, 1.5, 1)),
}


def test_scores_classes_and_margins() -> None:
    labels = taught_labels(FOUND, CLASSES, (40, 100), min_ignored_score=0.3)
    # The fourth has too small a score, the fifth is of another class.
    assert [label.class_name for label in labels] == ["Pedestrian", "Cyclist", "DontCare"]
    # Margins of boxes 20, 40 and 10 pixels high; the second is cut to the image.
    wanted = [[8, 9, 24, 35], [0, 0, 100, 40], [69, 19.5, 92, 32.5]]
    np.testing.assert_allclose([label.box for label in labels], wanted, rtol=1e-6)
    assert all(label.truncation is label.occlusion is label.box_3d is None for label in labels)


def test_boxes_outside_the_image_are_left_out() -> None:
    labels = taught_labels(FOUND, {1: TaughtClass("Pedestrian")}, (15, 60), min_ignored_score=0)
    assert [label.box for label in labels] == [(10, 10, 20, 15), (5, 5, 9, 9)]


def test_classes_as_text() -> None:
    assert parse_taught_class("0=Car") == (0, TaughtClass("Car"))
    assert parse_taught_class("12=Person:-.5,0,1,2") == (12, TaughtClass("Person", 0.5, (-0.5, 0, 1, 2)))
    assert parse_taught_class("1=Car@.25") == (1, TaughtClass("Car", 0.25))
    for text in ("Car", "=Car", "-1=Car", "1=", "1=Two words", "1=Car:", "1=Car@", "1=Car@1.5", "1=Car@-.5"):
        with pytest.raises(UserError, match=r"expected NUMBER=CLASS\[@SCORE\]\[:LEFT,TOP,RIGHT,BOTTOM\]"):
            parse_taught_class(text)
    with pytest.raises(UserError, match="class '1=Car:1,2,3': expected 4 finite numbers, found '1 2 3'"):
        parse_taught_class("1=Car:1,2,3")


@pytest.fixture
def teacher(tmp_path: Path) -> DetectionTeacher:
    """A detector that finds a person, perhaps another, and a car in the left half of every image."""
    rows = "0, 0, 10, 20, 0.9,  20, 0, 30, 20, 0.3,  0, 20, 40, 40, 0.8"
    graph = f"""(float[1, 3, 40, 80] image) => (float[3, 5] boxes, int64[3] labels) {{
        rows = Constant<value = float[3, 5] {{{rows}}}>()
        labels = Constant<value = int64[3] {{1, 1, 0}}>()
        mean = ReduceMean<keepdims = 0>(image)
        zero = Sub(mean, mean)
        boxes = Add(rows, zero)
    }}"""
    path = tmp_path / "detector.onnx"
    onnx.save(onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": 17]> detector {graph}'), path)
    return DetectionTeacher(path)


def write_images(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("a", "b"):
        cv2.imwrite(str(folder / f"{name}.png"), np.full((80, 160, 3), 90, np.uint8))
    return folder


def test_a_folder_of_images_becomes_a_set_of_people(tmp_path: Path, teacher: DetectionTeacher) -> None:
    root = tmp_path / "street"
    frames = FrameSet("images", find_frames(write_images(root / "image")))
    (root / "label").mkdir()
    (root / "label" / "b.txt").write_text("")
    classes = {0: TaughtClass("Car"), 1: TaughtClass("Pedestrian")}
    assert teach_labels(frames, teacher, classes, root) == {"Pedestrian": 1, "DontCare": 1, "Car": 1}
    assert (root / "label" / "b.txt").read_text() == ""
    sample = open_data_set("people", root)[0]
    # The images are twice as large as the detector's input.
    assert {
        (sample.class_names[label], *box) for label, box in zip(sample.labels, sample.boxes.tolist(), strict=True)
    } == {("Pedestrian", 0, 0, 20, 40), ("Car", 0, 40, 80, 80)}
    assert sample.ignored.tolist() == [[40, 0, 60, 40]]
    names = [name for name, known in zip(sample.class_names, sample.labelled_classes, strict=True) if known]
    assert names == ["Car", "Pedestrian"]


def test_labels_of_the_set_are_kept_and_its_classes_not_taught(tmp_path: Path, teacher: DetectionTeacher) -> None:
    root = tmp_path / "people"
    write_images(root / "image")
    (root / "label").mkdir()
    own = "Pedestrian -1.00 -1 -10.00 100.00 10.00 120.00 70.00 -1.00 -1.00 -1.00 -1000.00 -1000.00 -1000.00 -10.00\n"
    for name in ("a", "b"):
        (root / "label" / f"{name}.txt").write_text(own)
    frames = open_data_set("people", root)
    classes = {0: TaughtClass("Car"), 1: TaughtClass("Pedestrian")}
    assert teach_labels(frames, teacher, classes, tmp_path / "taught") == {"Car": 2}
    labels = read_labels(tmp_path / "taught" / "label" / "a.txt")
    assert [label.class_name for label in labels] == ["Pedestrian", "Car"]
    assert (tmp_path / "taught" / "label" / "a.txt").read_text().startswith(own)
    with pytest.raises(
        UserError, match="people/people: expected classes that are not labelled in it, found Pedestrian"
    ):
        teach_labels(frames, teacher, {1: TaughtClass("Pedestrian")}, tmp_path / "none")
    assert not (tmp_path / "none").exists()
