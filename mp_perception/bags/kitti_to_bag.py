"""KITTI's data sets, and synthetic ones in their layouts, as rosbag2 with ground truth.

All messages of a frame carry the frame's stamp, in the header and as the bag's time.  Pixels, depths, labels and
intrinsics come back from the bag equal in every bit.  docs/bags.md lists the topics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mp_perception.bags.message_types import bag_header, new_message
from mp_perception.bags.truth_messages import boxes_3d_message, boxes_message, labels_message
from mp_perception.bags.writing import LATCHED, BagWriter, Storage
from mp_perception.data.frame_sets import FrameSet
from mp_perception.data.image_files import read_image
from mp_perception.data.kitti.calibration_files import KittiCalibration
from mp_perception.data.kitti.labels import KITTI_CLASSES
from mp_perception.data.kitti.object import KittiObjects
from mp_perception.data.kitti.raw import FRAME_PERIOD_NS, RawDrive, read_scan
from mp_perception.data.kitti.raw_frames import KittiRaw
from mp_perception.data.kitti.tracking import KittiTracking
from mp_perception.errors import UserError
from mp_perception.messages.camera_info import camera_info_message
from mp_perception.messages.detections import label_info_message
from mp_perception.messages.header import Message
from mp_perception.messages.images import image_message
from mp_perception.messages.points import points_message
from mp_perception.messages.poses import transforms_message
from mp_perception.progress import track

#: Camera number -> name of its frame and of its topics.  Camera 0 is the frame that KITTI's labels are in.
_CAMERA_NAMES = {0: "camera_gray_left", 2: "camera_color_left", 3: "camera_color_right"}
_SCANNER_FRAME = "velo_link"
_IMU_FRAME = "imu_link"
#: The fixed frame of REP 105: where the IMU is in the first frame of the bag.
ODOM_FRAME = "odom"
_TRUTH = "/ground_truth"

#: Stamp of the first frame where the data have none: midnight of KITTI's first day.
_FIRST_STAMP_NS = 1_316_995_200_000_000_000


@dataclass(frozen=True)
class _FrameToWrite:
    """index: in its data set.  other_images: of further cameras, by their numbers.  scan: file, or None."""

    index: int
    stamp_ns: int
    calibration: KittiCalibration
    scan: Path | None
    other_images: Mapping[int, Path] = field(default_factory=dict)


def image_topic(camera: int) -> str:
    """Topic of a camera's images."""
    return f"/kitti/{_CAMERA_NAMES[camera]}/image_raw"


def camera_info_topic(camera: int) -> str:
    """Topic of a camera's CameraInfo."""
    return f"/kitti/{_CAMERA_NAMES[camera]}/camera_info"


def write_raw_drive(
    drive: RawDrive,
    path: Path,
    storage: Storage = "mcap",
    first_frame: int | None = None,
    last_frame: int | None = None,
) -> int:
    """Write a raw drive to a new bag, frame by frame, and return the number of frames.

    Labels come from its tracklets (or label_02), depth from the depth maps that KittiRaw finds.
    first_frame, last_frame: numbers of the first and last frame to write; None for the drive's own.
    Raises UserError if the bag exists, no frame is left, or a file is damaged.
    """
    frames = [
        _FrameToWrite(index, frame.stamp_ns, drive.calibration, frame.scan, _without_left(frame.images))
        for index, frame in enumerate(drive.frames)
        if (first_frame is None or frame.number >= first_frame) and (last_frame is None or frame.number <= last_frame)
    ]
    if not frames:
        numbers = f"{drive.frames[0].number} to {drive.frames[-1].number}"
        raise UserError(f"{drive.folder}: no frame from {first_frame} to {last_frame}, it has {numbers}")
    return _write(KittiRaw(drive.folder), frames, path, storage)


def write_objects(
    root: Path, split: str | None, path: Path, storage: Storage = "mcap", origin: str = "kitti-object"
) -> int:
    """Write frames of KITTI's object layout to a new bag, 0.1 s apart in the order of their names; gives their number.

    origin: kitti-object or synthetic.  As each frame has its own calibration, the transforms move: they are on /tf.
    Raises UserError if the bag exists or a file is missing or damaged.
    """
    data_set = KittiObjects(root, split, origin=origin)
    frames = [
        _FrameToWrite(i, _FIRST_STAMP_NS + i * FRAME_PERIOD_NS, data_set.calibration(i), data_set.scan_file(i))
        for i in range(len(data_set))
    ]
    return _write(data_set, frames, path, storage)


def write_sequence(root: Path, sequence: str, path: Path, storage: Storage = "mcap") -> int:
    """Write a sequence of KITTI's tracking data (such as 0001) to a new bag; gives the number of frames.

    Raises UserError if the sequence is missing, the bag exists, or a file is missing or damaged.
    """
    data_set = KittiTracking(root)
    if sequence not in data_set.calibrations:
        raise UserError(f"{root}: no sequence {sequence}, it has {', '.join(data_set.calibrations)}")
    frames = []
    for index, frame in enumerate(data_set.frames):
        name, number = frame.name.split("/")
        if name == sequence:
            scan = root / "training" / "velodyne" / sequence / f"{number}.bin"
            stamp_ns = _FIRST_STAMP_NS + int(number) * FRAME_PERIOD_NS
            calibration = data_set.calibrations[sequence]
            frames.append(_FrameToWrite(index, stamp_ns, calibration, scan if scan.exists() else None))
    return _write(data_set, frames, path, storage)


def write_synthetic(root: Path, path: Path, storage: Storage = "mcap") -> int:
    """Write a raw drive or object set made by `mp_perception synthetic` to a new bag; gives the number of frames.

    Raises UserError if root is neither, the bag exists, or a file is missing or damaged.
    """
    if (root / "training").is_dir():
        return write_objects(root, None, path, storage, origin="synthetic")
    drives = sorted(folder for folder in root.glob("*_*_*/*_drive_*_sync") if folder.is_dir())
    if len(drives) != 1:
        raise UserError(f"{root}: expected training/ or one <date>/<drive>_sync, found {len(drives)} drives")
    return write_raw_drive(RawDrive(drives[0]), path, storage)


def _without_left(images: Mapping[int, Path]) -> dict[int, Path]:
    return {camera: image for camera, image in images.items() if camera != 2}


def _write(data_set: FrameSet, frames: Sequence[_FrameToWrite], path: Path, storage: Storage) -> int:
    has_labels = any(data_set.labels(frame.index) is not None for frame in frames)
    has_depth = any(data_set.frames[frame.index].depth is not None for frame in frames)
    first = frames[0]
    fixed = all(frame.calibration is first.calibration for frame in frames)
    with BagWriter(path, storage) as bag:
        if fixed and (transforms := _transforms(first, has_labels)) is not None:
            _write_latched(bag, "/tf_static", first.stamp_ns, transforms)
        if has_labels:
            label_info = label_info_message(new_message, KITTI_CLASSES, 0.0, bag_header("", first.stamp_ns))
            _write_latched(bag, f"{_TRUTH}/label_info", first.stamp_ns, label_info)
        if has_depth:
            description = new_message("std_msgs/msg/String", data=data_set.ground_truth)
            _write_latched(bag, f"{_TRUTH}/depth/description", first.stamp_ns, description)
        for frame in track(frames, f"writing {path.name}"):
            if not fixed and (transforms := _transforms(frame, has_labels)) is not None:
                bag.write("/tf", frame.stamp_ns, transforms)
            if (odometry := _odometry(data_set, first, frame)) is not None:
                bag.write("/tf", frame.stamp_ns, odometry)
            _write_frame(bag, data_set, frame)
    return len(frames)


def _write_latched(bag: BagWriter, topic: str, stamp_ns: int, message: Message) -> None:
    bag.add_topic(topic, message.__msgtype__, LATCHED)
    bag.write(topic, stamp_ns, message)


def _write_frame(bag: BagWriter, data_set: FrameSet, frame: _FrameToWrite) -> None:
    stamp_ns = frame.stamp_ns

    def header(camera: int) -> Message:
        return bag_header(_CAMERA_NAMES[camera], stamp_ns)

    sample, labels = data_set[frame.index], data_set.labels(frame.index)
    # Everything else comes before the image, so that it has arrived when the image is processed.
    if frame.scan is not None:
        points = points_message(new_message, read_scan(frame.scan), bag_header(_SCANNER_FRAME, stamp_ns))
        bag.write("/kitti/velo/pointcloud", stamp_ns, points)
    if labels is not None:
        bag.write(f"{_TRUTH}/labels", stamp_ns, labels_message(labels, header(0)))
        bag.write(f"{_TRUTH}/detections", stamp_ns, boxes_message(labels, header(2)))
        bag.write(f"{_TRUTH}/detections_3d", stamp_ns, boxes_3d_message(labels, header(0)))
    depth = sample.depth
    if (sky := data_set.sky(frame.index)) is not None:
        depth = np.full(sky.shape, np.nan, dtype=np.float32) if depth is None else depth
        depth = np.where(sky & np.isnan(depth), np.float32(np.inf), depth)
    if depth is not None:
        bag.write(f"{_TRUTH}/depth/image", stamp_ns, image_message(new_message, depth, "32FC1", header(2)))
    images = {2: sample.image} | {camera: read_image(image) for camera, image in frame.other_images.items()}
    for camera, image in images.items():
        height, width = image.shape[:2]
        intrinsics = frame.calibration.intrinsics(camera, width, height)
        baseline = _stereo_baseline(frame.calibration) if camera == 3 else 0.0
        info = camera_info_message(new_message, intrinsics, header(camera), baseline)
        bag.write(camera_info_topic(camera), stamp_ns, info)
        bag.write(image_topic(camera), stamp_ns, image_message(new_message, image, "rgb8", header(camera)))


def _stereo_baseline(calibration: KittiCalibration) -> float:
    """Metres from camera 2 to the right to camera 3 (some 0.53)."""
    left, right = (calibration.camera_0_to_camera(camera)[0, 3] for camera in (2, 3))
    return float(left - right)


def _odometry(data_set: FrameSet, first: _FrameToWrite, frame: _FrameToWrite) -> Message | None:
    """TFMessage of the IMU in the fixed frame; None if the data set has no poses."""
    calibration, pose = frame.calibration, data_set.pose(frame.index)
    start = data_set.pose(first.index)
    if pose is None or start is None or calibration.imu_to_velo is None:
        return None
    imu_to_camera = calibration.velo_to_camera(2) @ calibration.imu_to_velo
    moved = np.linalg.inv(start @ imu_to_camera) @ pose @ imu_to_camera
    return transforms_message(new_message, [(ODOM_FRAME, _IMU_FRAME, moved)], frame.stamp_ns)


def _transforms(frame: _FrameToWrite, has_labels: bool) -> Message | None:
    """TFMessage of the scanner, the IMU, the cameras, and camera 0 for labels; None if nothing is known.

    The cameras' frames are their rectified optical frames.
    """
    calibration = frame.calibration
    transforms: list[tuple[str, str, NDArray[np.floating]]] = []
    if calibration.velo_to_camera_0 is not None:
        if calibration.imu_to_velo is not None:
            transforms.append((_IMU_FRAME, _SCANNER_FRAME, np.linalg.inv(calibration.imu_to_velo)))
        for camera in (2, *frame.other_images):
            pose = np.linalg.inv(calibration.velo_to_camera(camera))
            transforms.append((_SCANNER_FRAME, _CAMERA_NAMES[camera], pose))
    if has_labels:
        # Below camera 2 and not beside it: this shift is what the labels' truth is computed with, so it stays exact.
        transforms.append((_CAMERA_NAMES[2], _CAMERA_NAMES[0], calibration.camera_0_to_camera(2)))
    return transforms_message(new_message, transforms, frame.stamp_ns) if transforms else None
