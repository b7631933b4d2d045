"""Files of data sets: KITTI's formats, COCO, lists of frames, pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mp_perception.data.coco import CocoFolder
from mp_perception.data.depth_png import read_depth_png
from mp_perception.data.frame_sets import Frame, select_frames
from mp_perception.data.image_files import read_image
from mp_perception.data.kitti.calibration_files import KittiCalibration, read_calibration, read_raw_calibration
from mp_perception.data.kitti.labels import read_labels
from mp_perception.data.kitti.raw import RawDrive, read_scan
from mp_perception.data.kitti.tracking import read_tracking_labels
from mp_perception.data.kitti.tracklets import read_tracklets, tracked_labels
from mp_perception.data.lidar_projection import project_to_depth_map
from reliability.fuzzing.seed_files import (
    LABELS,
    OBJECT_CALIBRATION,
    RAW_CALIBRATION,
    SCAN,
    SEQUENCE_CALIBRATION,
    encoded,
    picture,
)
from reliability.fuzzing.target import fuzz_file

_TRACKLETS = b"""<?xml version="1.0" encoding="UTF-8" standalone="yes" ?>
<!DOCTYPE boost_serialization>
<boost_serialization signature="serialization::archive" version="9">
<tracklets class_id="0"><count>1</count><item_version>1</item_version>
<item><objectType>Car</objectType><h>1.5</h><w>1.6</w><l>3.9</l><first_frame>0</first_frame>
<poses><count>1</count><item><tx>12</tx><ty>1</ty><tz>-1.5</tz><rx>0</rx><ry>0</ry><rz>0.5</rz><state>2</state>
<occlusion>0</occlusion></item></poses><finished>1</finished></item>
</tracklets></boost_serialization>
"""
_COCO = {
    "categories": [{"id": 1, "name": "Car"}, {"id": 3, "name": "person"}],
    "images": [{"id": 7, "file_name": "street.jpg"}, {"id": 8, "file_name": "crossing.jpg"}],
    "annotations": [
        {"image_id": 7, "category_id": 1, "bbox": [10, 20, 30.5, 40], "iscrowd": 0},
        {"image_id": 8, "category_id": 3, "bbox": [0, 0, 5, 9], "iscrowd": 1},
    ],
}


@fuzz_file("000000.txt", lambda: [LABELS.encode()])
def labels(path: Path) -> None:
    """KITTI's object labels."""
    read_labels(path)


@fuzz_file("0000.txt", lambda: ["".join(f"{n} {n} {x}\n" for n, x in enumerate(LABELS.splitlines())).encode()])
def tracking_labels(path: Path) -> None:
    """The labels of a sequence of KITTI's tracking data."""
    read_tracking_labels.__wrapped__(path)  # not through its cache


@fuzz_file("calibration.txt", lambda: [OBJECT_CALIBRATION, SEQUENCE_CALIBRATION])
def calibration(path: Path) -> None:
    """Of the object data, and of a tracking or odometry sequence."""
    calibration = read_calibration(path)
    calibration.intrinsics(2, 1242, 375)
    calibration.camera_0_to_camera(2)
    calibration.velo_to_camera(2)


def _valid_calibration(folder: Path) -> KittiCalibration:
    (folder / "calibration.txt").write_bytes(OBJECT_CALIBRATION)
    return read_calibration(folder / "calibration.txt")


@fuzz_file("calib_cam_to_cam.txt", lambda: [RAW_CALIBRATION])
def raw_calibration(path: Path) -> None:
    """Cameras of a raw drive."""
    calibration = read_raw_calibration(path.parent)
    calibration.intrinsics(2, 1242, 375)
    calibration.camera_0_to_camera(2)


@fuzz_file("calib_velo_to_cam.txt", lambda: [b"calib_time: x\nR: 0 -1 0 0 0 -1 1 0 0\nT: 0 -0.1 -0.3\n"])
def lidar_calibration(path: Path) -> None:
    """The lidar of a raw drive."""
    (path.parent / "calib_cam_to_cam.txt").write_bytes(RAW_CALIBRATION)
    read_raw_calibration(path.parent).velo_to_camera(2)


@fuzz_file("timestamps.txt", lambda: [b"2011-09-26 13:04:32.345808896\n2011-09-26 13:04:32.449188864\n"])
def timestamps(path: Path) -> None:
    """Of a drive of one image."""
    drive = path.parent / "2011_09_26_drive_0001_sync"
    (drive / "image_02" / "data").mkdir(parents=True)
    (drive / "image_02" / "data" / "0000000000.png").touch()
    (path.parent / "calib_cam_to_cam.txt").write_bytes(RAW_CALIBRATION)
    path.rename(drive / "image_02" / "timestamps.txt")
    RawDrive(drive)


@fuzz_file("scan.bin", lambda: [SCAN])
def scan(path: Path) -> None:
    """A lidar scan, projected into the image."""
    calibration = _valid_calibration(path.parent)
    project_to_depth_map(read_scan(path), calibration.velo_to_camera(2), calibration.intrinsics(2, 124, 37))


@fuzz_file("tracklet_labels.xml", lambda: [_TRACKLETS])
def tracklets(path: Path) -> None:
    """Tracklets of a raw drive, as labels of its frames."""
    calibration = _valid_calibration(path.parent)
    lidar_to_camera, label_to_camera = calibration.velo_to_camera(2), calibration.camera_0_to_camera(2)
    for boxes in read_tracklets(path).values():
        tracked_labels(boxes, lidar_to_camera, label_to_camera, calibration.intrinsics(2, 1242, 375))


@fuzz_file("depth.png", lambda: [encoded(".png", np.arange(96, dtype=np.uint16).reshape(8, 12) * 256)], 512)
def depth_png(path: Path) -> None:
    """A 16-bit depth map."""
    read_depth_png(path)


@fuzz_file(
    "image.png", lambda: [encoded(kind, picture()) for kind in (".png", ".jpg", ".bmp", ".webp", ".tiff", ".ppm")], 512
)
def image_file(path: Path) -> None:
    """An image in any format that OpenCV reads."""
    read_image(path)


@fuzz_file("train.txt", lambda: [b"000001\n000002\n\n000009\n"])
def split(path: Path) -> None:
    """A list of frame names."""
    select_frames([Frame(f"{number:06d}", Path("image.png")) for number in range(10)], path.parent, str(path))


@fuzz_file("instances.json", lambda: [json.dumps(_COCO).encode()])
def coco(path: Path) -> None:
    """Boxes in COCO's format, for a folder of two images."""
    for name in ("street.jpg", "crossing.jpg"):
        (path.parent / name).touch()
    frames = CocoFolder(path.parent)
    for index in range(len(frames)):
        frames.labels(index)
