"""Object data: samples, splits, and refused input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mp_perception.data.kitti.object import KittiObjects
from mp_perception.errors import UserError

MakeSet = Callable[..., Path]

# Camera 2 sees the box's front face at z = 12 - 3.7 / 2 (turned by a right angle its length lies along z).
CAR = "Car 0.00 0 0 30 10 42 20 1.5 1.6 3.7 1.0 1.0 12.0 -1.5707963"
VAN = "Van 0.00 0 0 1 2 9 12 2.0 1.6 3.7 1.0 1.0 12.0 0"
SITTING = "Person_sitting 0.00 0 0 50 10 60 30 1 1 1 1.0 1.0 12.0 0"
TRAM = "Tram 0.00 0 0 50 10 60 30 3 3 9 1.0 1.0 12.0 0"
DONT_CARE = "DontCare -1 -1 -10 40 5 70 25 -1 -1 -1 -1000 -1000 -1000 -10"
NO_3D = "Pedestrian -1 -1 -10 20 5 25 25 -1 -1 -1 -1000 -1000 -1000 -10"


def test_a_sample_has_everything_of_a_frame(make_object_set: MakeSet) -> None:
    objects = KittiObjects(make_object_set(["\n".join([CAR, VAN, TRAM, DONT_CARE, SITTING, NO_3D]), CAR]))
    sample = objects[0]
    assert (sample.name, sample.origin, sample.size) == ("000000", "kitti-object", (32, 64))
    assert [sample.class_names[label] for label in sample.labels] == ["Car", "Van", "Pedestrian"]
    assert sample.boxes.tolist() == [[30, 10, 42, 20], [1, 2, 9, 12], [20, 5, 25, 25]]
    # The ignored region, cut to the image, and the neighbour that is not a class; the tram is background.
    assert sample.ignored.tolist() == [[40, 5, 64, 25], [50, 10, 60, 30]]
    assert sample.labelled_classes.all()
    assert sample.object_depths[0] == pytest.approx(12 - 1.85, abs=1e-3)
    assert np.isnan(sample.object_depths[2])
    assert (sample.intrinsics.fx, sample.intrinsics.cx, sample.intrinsics.width) == (50, 31, 64)
    assert (sample.depth[:, :32] == 20).all()
    assert np.isnan(sample.depth[:, 32:]).all()
    assert objects[1].depth is None


def test_a_van_is_a_neighbour_if_it_is_not_a_class(make_object_set: MakeSet) -> None:
    sample = KittiObjects(make_object_set([VAN]), class_names=("Car", "Tram", "Boat"))[0]
    assert len(sample.boxes) == 0
    assert sample.ignored.tolist() == [[1, 2, 9, 12]]
    assert sample.labelled_classes.tolist() == [True, True, False]


def test_frames_are_sorted_and_selected_by_split(make_object_set: MakeSet) -> None:
    root = make_object_set([CAR] * 4, suffix=".jpg")
    assert [frame.name for frame in KittiObjects(root).frames] == ["000000", "000001", "000002", "000003"]
    (root / "ImageSets").mkdir()
    (root / "ImageSets" / "val.txt").write_text("000003\n000001\n\n")
    for split in ("val", str(root / "ImageSets" / "val.txt")):
        assert [frame.name for frame in KittiObjects(root, split).frames] == ["000001", "000003"]
    for content, message in (
        ("000001\n000009\n", "val.txt:2: expected the name of an image such as 000000, found '000009'"),
        ("000001\n\n000001\n", "val.txt:3: expected every name once"),
        ("\n", "val.txt: expected one name per line, found none"),
    ):
        (root / "ImageSets" / "val.txt").write_text(content)
        with pytest.raises(UserError, match=message):
            KittiObjects(root, "val")
    with pytest.raises(UserError, match="split 'test': no such file"):
        KittiObjects(root, "test")


def test_what_is_missing_or_wrong_is_named(make_object_set: MakeSet) -> None:
    root = make_object_set(["", CAR, CAR.replace("30 10", "50 10")])
    objects = KittiObjects(root)
    assert len(objects[0].boxes) == 0
    with pytest.raises(UserError, match="000002.txt:1: expected a box left top right bottom, found 50 10 42 20"):
        objects[2]
    cv2.imwrite(str(root / "training" / "depth_2" / "000000.png"), np.zeros((16, 64), np.uint16))
    with pytest.raises(UserError, match="000000.png: expected 64x32 pixels as 000000.png, found 64x16"):
        objects[0]
    (root / "training" / "calib" / "000001.txt").write_text("P0: 1 0 0 0 0 1 0 0 0 0 1 0\n")
    with pytest.raises(UserError, match="000001.txt: expected a line 'P2:'"):
        objects[1]
    (root / "training" / "calib" / "000001.txt").unlink()
    with pytest.raises(UserError, match="calib/000001.txt: missing"):
        KittiObjects(root)
    with pytest.raises(UserError, match="image_2: no such folder"):
        KittiObjects(root / "training")


def test_maps_are_replaced_where_the_folder_has_others(make_object_set: MakeSet, tmp_path: Path) -> None:
    objects = KittiObjects(make_object_set([CAR] * 3))
    with pytest.raises(UserError, match="000000.png: missing, and so are the depth maps of all other frames"):
        objects.use_depth_from(tmp_path)
    for name in ("000001", "000002"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((32, 64), 512, np.uint16))
    own = objects[0].depth
    objects.use_depth_from(tmp_path)
    assert np.array_equal(objects[0].depth, own, equal_nan=True)
    assert all((objects[index].depth == 2).all() for index in (1, 2))
