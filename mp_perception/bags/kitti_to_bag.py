"""KITTI's data sets, and synthetic ones in their layouts, as rosbag2 with ground truth; topics.py names what is in it.

All messages of a frame carry the frame's stamp, in the header and as the bag's time.  Pixels, depths, labels and
intrinsics come back from the bag equal in every bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mp_perception.bags.messages import (
    camera_info_message,
    image_message,
    point_cloud_message,
    string_message,
    transforms_message,
)
from mp_perception.bags.topics import (
    CAMERA_NAMES,
    DEPTH_DESCRIPTION_TOPIC,
    DEPTH_TOPIC,
    DETECTIONS_3D_TOPIC,
    DETECTIONS_TOPIC,
    IMU_FRAME,
    LABEL_INFO_TOPIC,
    LABELS_TOPIC,
    SCAN_TOPIC,
    SCANNER_FRAME,
    STATIC_TRANSFORMS_TOPIC,
    TRANSFORMS_TOPIC,
    camera_info_topic,
    image_topic,
)
from mp_perception.bags.truth_messages import (
    detections_3d_message,
    detections_message,
    label_info_message,
    labels_message,
)
from mp_perception.bags.writing import BagWriter, OfferedQos, Storage
from mp_perception.data.frame_sets import FrameSet
from mp_perception.data.image_files import read_image
from mp_perception.data.kitti.calibration_files import KittiCalibration
from mp_perception.data.kitti.labels import KITTI_CLASSES
from mp_perception.data.kitti.object import KittiObjects
from mp_perception.data.kitti.raw import FRAME_PERIOD_NS, RawDrive, read_scan
from mp_perception.data.kitti.raw_frames import KittiRaw
from mp_perception.data.kitti.tracking import KittiTracking
from mp_perception.data.object_label import ObjectLabel
from mp_perception.errors import UserError
from mp_perception.progress import track

#: Stamp of the first frame where the data have none: midnight of KITTI's first day.
_FIRST_STAMP_NS = 1_316_995_200_000_000_000

_LATCHED = OfferedQos(transient_local=True, depth=1)

Transforms = list[tuple[str, str, NDArray[np.floating]]]


@dataclass(frozen=True)
class _Moment:
    """A frame to write.  index: in its data set.  others: further cameras' images.  scan: file, or None."""

    index: int
    stamp_ns: int
    calibration: KittiCalibration
    others: Mapping[int, Path]
    scan: Path | None


def write_raw_drive(
    drive: RawDrive,
    path: Path,
    storage: Storage = "mcap",
    first_frame: int | None = None,
    last_frame: int | None = None,
) -> int:
    """Write a raw drive to a new bag, frame by frame, and return the number of frames.

    Labels come from its tracklets (or label_02), depth from the depth maps that lie as KittiRaw finds them.
    first_frame, last_frame: only the frames with these numbers and between; None for the drive's own.
    Raises UserError if the bag exists, no frame is left, or a file is damaged.
    """
    data_set = KittiRaw(drive.folder)
    moments = [
        _Moment(
            index,
            frame.stamp_ns,
            drive.calibration,
            {camera: image for camera, image in frame.images.items() if camera != 2},
            frame.scan,
        )
        for index, frame in enumerate(drive.frames)
        if (first_frame is None or frame.number >= first_frame) and (last_frame is None or frame.number <= last_frame)
    ]
    if not moments:
        numbers = f"{drive.frames[0].number} to {drive.frames[-1].number}"
        raise UserError(f"{drive.folder}: no frame from {first_frame} to {last_frame}, it has {numbers}")
    return _write(data_set, moments, path, storage, cameras=drive.cameras, fixed=True)


def write_objects(
    root: Path, split: str | None, path: Path, storage: Storage = "mcap", origin: str = "kitti-object"
) -> int:
    """Write frames of KITTI's object layout to a new bag, 0.1 s apart in the order of their names; gives their number.

    origin: kitti-object or synthetic.  As each frame has its own calibration, the transforms move: they are on /tf.
    Raises UserError if the bag exists or a file is missing or damaged.
    """
    data_set = KittiObjects(root, split, origin=origin)
    moments = [
        _Moment(
            index,
            _FIRST_STAMP_NS + index * FRAME_PERIOD_NS,
            data_set.calibration(index),
            {},
            data_set.scan_file(index),
        )
        for index in range(len(data_set))
    ]
    return _write(data_set, moments, path, storage, cameras=(2,), fixed=False)


def write_sequence(root: Path, sequence: str, path: Path, storage: Storage = "mcap") -> int:
    """Write a sequence of KITTI's tracking data (such as 0001) to a new bag; gives the number of frames.

    Raises UserError if there is no such sequence, the bag exists, or a file is missing or damaged.
    """
    data_set = KittiTracking(root)
    if sequence not in data_set.calibrations:
        raise UserError(f"{root}: no sequence {sequence}, it has {', '.join(data_set.calibrations)}")
    calibration = data_set.calibrations[sequence]
    moments = []
    for index, frame in enumerate(data_set.frames):
        name, number = frame.name.split("/")
        if name == sequence:
            scan = root / "training" / "velodyne" / sequence / f"{number}.bin"
            stamp_ns = _FIRST_STAMP_NS + int(number) * FRAME_PERIOD_NS
            moments.append(_Moment(index, stamp_ns, calibration, {}, scan if scan.exists() else None))
    return _write(data_set, moments, path, storage, cameras=(2,), fixed=True)


def write_synthetic(root: Path, path: Path, storage: Storage = "mcap") -> int:
    """Write what `mp_perception synthetic` made, a raw drive or an object set, to a new bag; gives the frames' number.

    Raises UserError if root is neither, the bag exists, or a file is missing or damaged.
    """
    if (root / "training").is_dir():
        return write_objects(root, None, path, storage, origin="synthetic")
    drives = sorted(folder for folder in root.glob("*_*_*/*_drive_*_sync") if folder.is_dir())
    if len(drives) != 1:
        raise UserError(f"{root}: expected training/ or one <date>/<drive>_sync, found {len(drives)} drives")
    return write_raw_drive(RawDrive(drives[0]), path, storage)


def _write(
    data_set: FrameSet,
    moments: Sequence[_Moment],
    path: Path,
    storage: Storage,
    cameras: Sequence[int],
    fixed: bool,
) -> int:
    """fixed: whether all moments have the calibration of the first, so that the transforms are static."""
    has_labels = any(data_set.labels(moment.index) is not None for moment in moments)
    has_depth = any(data_set.frames[moment.index].depth is not None for moment in moments)
    frames = {camera: CAMERA_NAMES[camera] for camera in cameras}
    if has_labels:
        frames[0] = CAMERA_NAMES[0]
    with BagWriter(path, storage) as bag:
        for camera in cameras:
            bag.add_topic(image_topic(camera), "sensor_msgs/msg/Image")
            bag.add_topic(camera_info_topic(camera), "sensor_msgs/msg/CameraInfo")
        if any(moment.scan for moment in moments):
            bag.add_topic(SCAN_TOPIC, "sensor_msgs/msg/PointCloud2")
        first = moments[0]
        transforms = _transforms(first.calibration, frames)
        if transforms and fixed:
            bag.add_topic(STATIC_TRANSFORMS_TOPIC, "tf2_msgs/msg/TFMessage", _LATCHED)
            bag.write(STATIC_TRANSFORMS_TOPIC, first.stamp_ns, transforms_message(transforms, first.stamp_ns))
        elif transforms:
            bag.add_topic(TRANSFORMS_TOPIC, "tf2_msgs/msg/TFMessage")
        if has_labels:
            bag.add_topic(LABELS_TOPIC, "diagnostic_msgs/msg/DiagnosticArray")
            bag.add_topic(DETECTIONS_TOPIC, "vision_msgs/msg/Detection2DArray")
            bag.add_topic(DETECTIONS_3D_TOPIC, "vision_msgs/msg/Detection3DArray")
            bag.add_topic(LABEL_INFO_TOPIC, "vision_msgs/msg/LabelInfo", _LATCHED)
            bag.write(LABEL_INFO_TOPIC, first.stamp_ns, label_info_message(KITTI_CLASSES, first.stamp_ns))
        if has_depth:
            bag.add_topic(DEPTH_TOPIC, "sensor_msgs/msg/Image")
            bag.add_topic(DEPTH_DESCRIPTION_TOPIC, "std_msgs/msg/String", _LATCHED)
            bag.write(DEPTH_DESCRIPTION_TOPIC, first.stamp_ns, string_message(data_set.ground_truth))
        for moment in track(moments, f"writing {path.name}"):
            if transforms and not fixed:
                moving = transforms_message(_transforms(moment.calibration, frames), moment.stamp_ns)
                bag.write(TRANSFORMS_TOPIC, moment.stamp_ns, moving)
            _write_moment(bag, data_set, moment)
    return len(moments)


def _write_moment(bag: BagWriter, data_set: FrameSet, moment: _Moment) -> None:
    stamp = moment.stamp_ns
    sample = data_set[moment.index]
    # Everything else comes before the image, so that whoever works on the image has it already.
    if moment.scan is not None:
        bag.write(SCAN_TOPIC, stamp, point_cloud_message(read_scan(moment.scan), SCANNER_FRAME, stamp))
    labels = data_set.labels(moment.index)
    if labels is not None:
        _write_labels(bag, labels, stamp)
    if sample.depth is not None:
        bag.write(DEPTH_TOPIC, stamp, image_message(sample.depth, "32FC1", CAMERA_NAMES[2], stamp))
    for camera, image in _images(sample.image, moment.others):
        height, width = image.shape[:2]
        frame_id = CAMERA_NAMES[camera]
        intrinsics = moment.calibration.intrinsics(camera, width, height)
        baseline = _stereo_baseline(moment.calibration) if camera == 3 else 0.0
        bag.write(camera_info_topic(camera), stamp, camera_info_message(intrinsics, frame_id, stamp, baseline))
        bag.write(image_topic(camera), stamp, image_message(image, "rgb8", frame_id, stamp))


def _write_labels(bag: BagWriter, labels: Sequence[ObjectLabel], stamp: int) -> None:
    bag.write(LABELS_TOPIC, stamp, labels_message(labels, CAMERA_NAMES[0], stamp))
    bag.write(DETECTIONS_TOPIC, stamp, detections_message(labels, CAMERA_NAMES[2], stamp))
    bag.write(DETECTIONS_3D_TOPIC, stamp, detections_3d_message(labels, CAMERA_NAMES[0], stamp))


def _images(left: NDArray[np.uint8], others: Mapping[int, Path]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    yield 2, left
    for camera, path in others.items():
        yield camera, read_image(path)


def _stereo_baseline(calibration: KittiCalibration) -> float:
    """Metres from camera 2 to the right to camera 3 (some 0.53)."""
    left, right = (calibration.camera_0_to_camera(camera)[0, 3] for camera in (2, 3))
    return float(left - right)


def _transforms(calibration: KittiCalibration, frames: Mapping[int, str]) -> Transforms:
    """(parent, child, pose of the child in the parent) of the cameras whose frames are named, camera 0 for labels.

    The cameras' frames are their rectified optical frames.
    """
    transforms: Transforms = []
    if calibration.velo_to_camera_0 is not None:
        if calibration.imu_to_velo is not None:
            transforms.append((IMU_FRAME, SCANNER_FRAME, np.linalg.inv(calibration.imu_to_velo)))
        for camera in sorted(frames.keys() - {0}):
            transforms.append((SCANNER_FRAME, frames[camera], np.linalg.inv(calibration.velo_to_camera(camera))))
    if 0 in frames:
        # Below camera 2 and not beside it: this shift is what the labels' truth is computed with, so it stays exact.
        transforms.append((frames[2], frames[0], calibration.camera_0_to_camera(2)))
    return transforms
