"""Tracking data: labels and calibration of sequences."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mp_perception.data.kitti.tracking import KittiTracking
from mp_perception.errors import UserError

CALIBRATION = """P0: 50 0 31 0 0 50 15 0 0 0 1 0
P2: 50 0 31 3 0 50 15 0 0 0 1 0
R_rect 1 0 0 0 1 0 0 0 1
Tr_velo_cam 0 -1 0 0 0 0 -1 -0.1 1 0 0 -0.3
Tr_imu_velo 1 0 0 0 0 1 0 0 0 0 1 0
"""
LABELS = """0 0 Car 0 0 0 10 5 30 25 1.5 1.6 3.7 -2.6 1 12 0
0 -1 DontCare -1 -1 -10 40 5 50 25 -1 -1 -1 -1000 -1000 -1000 -10
2 1 Person 0 0 0 20 5 30 25 1 1 1 0 1 12 0
2 0 Car 0 0 0 12 5 32 25 1.5 1.6 3.7 -2.6 1 12 0
"""


@pytest.fixture
def tracking(tmp_path: Path) -> Path:
    training = tmp_path / "training"
    images = training / "image_02" / "0000"
    images.mkdir(parents=True)
    for number in range(3):
        cv2.imwrite(str(images / f"{number:06d}.png"), np.zeros((32, 64, 3), np.uint8))
    for kind, text in (("label_02", LABELS), ("calib", CALIBRATION)):
        (training / kind).mkdir()
        (training / kind / "0000.txt").write_text(text)
    return tmp_path


def test_labels_are_assigned_to_their_frames(tracking: Path) -> None:
    frames = KittiTracking(tracking)
    assert [frame.name for frame in frames.frames] == ["0000/000000", "0000/000001", "0000/000002"]
    samples = list(frames)
    assert [sample.boxes.tolist() for sample in samples] == [[[10, 5, 30, 25]], [], [[12, 5, 32, 25]]]
    # an ignored region, and a sitting person, which is a neighbour of the class Pedestrian
    assert [sample.ignored.tolist() for sample in samples] == [[[40, 5, 50, 25]], [], [[20, 5, 30, 25]]]
    assert samples[0].intrinsics.cx == 31
    assert samples[0].object_depths[0] == pytest.approx(12 - 0.8)


def test_labels_name_the_same_object_in_all_frames(tracking: Path) -> None:
    frames = KittiTracking(tracking)
    identities = [{label.class_name: label.identity for label in frames.labels(i)} for i in range(3)]
    assert identities == [{"Car": 0, "DontCare": None}, {}, {"Person_sitting": 1, "Car": 0}]
    assert [frames.stamp(i) for i in range(3)] == pytest.approx([0.0, 0.1, 0.2])


@pytest.mark.parametrize("numbers", ["two 1", "\u00b2 1", "9" * 5000 + " 1", "-1 1", "2 one"])
def test_a_wrong_frame_or_track_is_named(tracking: Path, numbers: str) -> None:
    labels = tracking / "training" / "label_02" / "0000.txt"
    labels.write_text(LABELS.replace("2 1 Person", f"{numbers} Person"))
    with pytest.raises(UserError, match="0000.txt:3: expected frame, track and a label"):
        KittiTracking(tracking)[0]
    labels.unlink()
    with pytest.raises(UserError, match="label_02/0000.txt: missing"):
        KittiTracking(tracking)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("R_rect 1", "R_rect 2", "0000.txt:3: expected a rotation matrix"),
        ("Tr_velo_cam 0", "Tr_velo_cam nan", "0000.txt:4: Tr_velo_cam: expected 12 finite numbers"),
    ],
)
def test_a_wrong_line_without_colon_is_named(tracking: Path, old: str, new: str, message: str) -> None:
    (tracking / "training" / "calib" / "0000.txt").write_text(CALIBRATION.replace(old, new))
    with pytest.raises(UserError, match=message):
        KittiTracking(tracking)[0]
