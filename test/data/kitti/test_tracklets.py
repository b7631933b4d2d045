"""Tracklets: geometry by hand, untrusted files, and labels of a real drive converted by other code."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from mp_perception.data.kitti.labels import read_labels
from mp_perception.data.kitti.raw_frames import KittiRaw
from mp_perception.data.kitti.tracklets import TrackedBox, read_tracklets, tracked_labels
from mp_perception.data.object_label import IGNORED_REGION
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics, box_iou

POSE = (
    "<item><tx>{x}</tx><ty>1</ty><tz>-1.5</tz><rx>0</rx><ry>0</ry><rz>0.5</rz>"
    "<state>2</state><occlusion>{o}</occlusion></item>"
)
FILE = """<?xml version="1.0" encoding="UTF-8" standalone="yes" ?>
<!DOCTYPE boost_serialization>
<boost_serialization signature="serialization::archive" version="9">
<tracklets class_id="0"><count>1</count><item_version>1</item_version>
<item><objectType>Person (sitting)</objectType><h>1.5</h><w>0.6</w><l>0.8</l><first_frame>7</first_frame>
<poses><count>2</count>{poses}</poses><finished>1</finished></item>
</tracklets></boost_serialization>
"""
CAMERA = CameraIntrinsics(fx=50, fy=50, cx=31, cy=15, width=64, height=32)
# Lidar: x forward, y left, z up; camera: x right, y down, z forward, in the same place.
LIDAR_TO_CAMERA = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])


def test_boxes_are_assigned_to_their_frames(tmp_path: Path) -> None:
    path = tmp_path / "tracklet_labels.xml"
    path.write_text(FILE.format(poses=POSE.format(x=10, o=1) + POSE.format(x=11, o=-1)))
    assert read_tracklets(path) == {
        7: [TrackedBox("Person_sitting", (1.5, 0.6, 0.8), (10, 1, -1.5), 0.5, 1, 1)],
        8: [TrackedBox("Person_sitting", (1.5, 0.6, 0.8), (11, 1, -1.5), 0.5, None, 1)],
    }


def test_a_box_straight_ahead_by_hand() -> None:
    # 2 m wide, 4 m long along the line of sight, 1 m high, its bottom 1 m below the camera, front face at z = 8.
    (label,) = tracked_labels([TrackedBox("Car", (1, 2, 4), (10, 0, -1), 0, 0)], LIDAR_TO_CAMERA, np.eye(4), CAMERA)
    assert label.box_3d.bottom_centre == pytest.approx((0, 1, 10))
    assert label.box_3d.rotation_y == pytest.approx(-math.pi / 2)
    # The front face spans x -1..1, y 0..1 at z = 8; image points are principal point + 0.5.
    assert label.box == pytest.approx((31.5 - 50 / 8, 15.5, 31.5 + 50 / 8, 15.5 + 50 / 8))
    assert label.truncation == pytest.approx(0)


def test_a_box_beside_the_camera_is_cut_at_the_near_plane_and_one_behind_it_is_left_out() -> None:
    # 1 m wide, on the right, from 2 m behind the camera to 2 m before it, 0.2 m high.
    beside = TrackedBox("Car", (0.2, 1, 4), (0, -1.2, -0.1), 0, 0)
    (label,) = tracked_labels([beside], LIDAR_TO_CAMERA, np.eye(4), CAMERA)
    # At the near plane (z = 0.1) its edges span x 0.7..1.7, y -0.1..0.1: u = 31.5 + 500 * x, v = 15.5 + 500 * y; at its
    # far end (z = 2) u begins at 31.5 + 25 * 0.7.  Nearly all of that lies outside the image.
    assert label.class_name == IGNORED_REGION
    assert label.box == pytest.approx((31.5 + 17.5, 0, 64, 32))
    behind = TrackedBox("Car", (1, 1, 4), (-5, 0, -1), 0, 0)
    above = TrackedBox("Car", (1, 1, 4), (10, 0, 9), 0, 0)
    assert tracked_labels([behind, above], LIDAR_TO_CAMERA, np.eye(4), CAMERA) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<a>", "cannot be read as tracklets"),
        ("<a/>", "expected an element <tracklets>"),
        ('<!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>', "cannot be read as tracklets"),
        (FILE.format(poses=POSE.format(x="nan", o=0)), "tracklet 1, frame 7: expected a number in <tx>, found 'nan'"),
        (FILE.format(poses="<item/>"), "tracklet 1, frame 7: expected a number in <tx>, found None"),
        (FILE.replace("<h>1.5</h>", "<h>0</h>").format(poses=""), "tracklet 1: expected positive dimensions"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "tracklet_labels.xml"
    path.write_text(content)
    with pytest.raises(UserError, match=f"tracklet_labels.xml.*{message}"):
        read_tracklets(path)


@pytest.mark.shared_data
def test_labels_of_a_real_drive_equal_those_of_another_converter(shared_data: Path) -> None:
    folder = shared_data / "kitti" / "raw" / "2011_09_26" / "2011_09_26_drive_0005_sync"
    frames = KittiRaw(folder)
    num_objects = num_extra = 0
    for index, frame in enumerate(frames.frames):
        theirs = read_labels(folder / "label_02_from_tracklets" / f"{frame.name.split('/')[1]}.txt")
        ours = frames.labels(index)
        if theirs:
            overlaps = box_iou(np.array([label.box for label in theirs]), np.array([label.box for label in ours]))
        for number, label in enumerate(theirs):
            same = ours[int(overlaps[number].argmax())]
            assert same.class_name == label.class_name
            # Theirs counts pixel centres as whole numbers: half a pixel to the left and above.
            shift = 0.5 if label.truncation == 0 else 1.5
            assert same.box == pytest.approx(np.array(label.box) + 0.5, abs=shift)
            assert same.box_3d.bottom_centre == pytest.approx(label.box_3d.bottom_centre, abs=0.02)
            assert math.cos(same.box_3d.rotation_y - label.box_3d.rotation_y) > 0.999
        num_objects += len(theirs)
        num_extra += len(ours) - len(theirs)
    assert num_objects > 600
    # The converter left out what is an ignored region here.
    assert num_extra == sum(
        label.class_name == IGNORED_REGION for index in range(len(frames)) for label in frames.labels(index)
    )
