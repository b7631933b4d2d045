"""A raw drive of KITTI as a rosbag2, with the topic names that KITTI bags have.

    /kitti/camera_color_left/image_raw    sensor_msgs/Image, rgb8        camera 2
    /kitti/camera_color_left/camera_info  sensor_msgs/CameraInfo
    /kitti/camera_color_right/...         the same for camera 3, if the drive has it
    /kitti/velo/pointcloud                sensor_msgs/PointCloud2        for the frames that have a scan
    /tf_static                            imu_link -> velo_link -> camera_color_left, camera_color_right

All messages of a frame carry the frame's stamp, in the header and as the bag's time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mp_perception.bags.messages import camera_info_message, image_message, point_cloud_message, transforms_message
from mp_perception.bags.writing import BagWriter, OfferedQos, Storage
from mp_perception.data.image_files import read_image
from mp_perception.data.kitti.calibration import KittiCalibration
from mp_perception.data.kitti.raw import RawDrive, RawFrame, read_scan
from mp_perception.errors import UserError
from mp_perception.progress import track

#: Camera number -> name of its frame and of its topics.
CAMERA_NAMES = {2: "camera_color_left", 3: "camera_color_right"}
SCAN_TOPIC = "/kitti/velo/pointcloud"
SCANNER_FRAME = "velo_link"
IMU_FRAME = "imu_link"


def image_topic(camera: int) -> str:
    """Topic of a camera's images."""
    return f"/kitti/{CAMERA_NAMES[camera]}/image_raw"


def camera_info_topic(camera: int) -> str:
    """Topic of a camera's CameraInfo."""
    return f"/kitti/{CAMERA_NAMES[camera]}/camera_info"


def write_raw_drive(
    drive: RawDrive,
    path: Path,
    storage: Storage = "mcap",
    first_frame: int | None = None,
    last_frame: int | None = None,
) -> int:
    """Write a drive to a new bag, frame by frame, and return the number of frames.

    first_frame, last_frame: only the frames with these numbers and between; None for the drive's own.
    Raises UserError if the bag exists, no frame is left, or an image or a scan is damaged.
    """
    frames = [
        frame
        for frame in drive.frames
        if (first_frame is None or frame.number >= first_frame) and (last_frame is None or frame.number <= last_frame)
    ]
    if not frames:
        numbers = f"{drive.frames[0].number} to {drive.frames[-1].number}"
        raise UserError(f"{drive.folder}: no frame from {first_frame} to {last_frame}, it has {numbers}")
    with BagWriter(path, storage) as bag:
        _add_topics(bag, drive, frames)
        transforms = _static_transforms(drive.calibration, drive.cameras)
        if transforms:
            bag.write("/tf_static", frames[0].stamp_ns, transforms_message(transforms, frames[0].stamp_ns))
        for frame in track(frames, f"writing {path.name}"):
            _write_frame(bag, drive, frame)
    return len(frames)


def _add_topics(bag: BagWriter, drive: RawDrive, frames: Sequence[RawFrame]) -> None:
    for camera in drive.cameras:
        bag.add_topic(image_topic(camera), "sensor_msgs/msg/Image")
        bag.add_topic(camera_info_topic(camera), "sensor_msgs/msg/CameraInfo")
    if any(frame.scan for frame in frames):
        bag.add_topic(SCAN_TOPIC, "sensor_msgs/msg/PointCloud2")
    if drive.calibration.velo_to_camera_0 is not None:
        bag.add_topic("/tf_static", "tf2_msgs/msg/TFMessage", OfferedQos(transient_local=True, depth=1))


def _write_frame(bag: BagWriter, drive: RawDrive, frame: RawFrame) -> None:
    stamp = frame.stamp_ns
    # Camera info and scan come before the image, so that whoever works on the image has them already.
    if frame.scan is not None:
        bag.write(SCAN_TOPIC, stamp, point_cloud_message(read_scan(frame.scan), SCANNER_FRAME, stamp))
    for camera, image_path in frame.images.items():
        image = read_image(image_path)
        height, width = image.shape[:2]
        frame_id = CAMERA_NAMES[camera]
        intrinsics = drive.calibration.intrinsics(camera, width, height)
        baseline = _stereo_baseline(drive.calibration) if camera == 3 else 0.0
        bag.write(camera_info_topic(camera), stamp, camera_info_message(intrinsics, frame_id, stamp, baseline))
        bag.write(image_topic(camera), stamp, image_message(image, "rgb8", frame_id, stamp))


def _stereo_baseline(calibration: KittiCalibration) -> float:
    """Metres from camera 2 to the right to camera 3 (some 0.53)."""
    left, right = (calibration.camera_0_to_camera(camera)[0, 3] for camera in (2, 3))
    return float(left - right)


def _static_transforms(
    calibration: KittiCalibration, cameras: Sequence[int]
) -> list[tuple[str, str, NDArray[np.floating]]]:
    """(parent, child, pose of the child in the parent); the cameras' frames are their rectified optical frames."""
    if calibration.velo_to_camera_0 is None:
        return []
    transforms: list[tuple[str, str, NDArray[np.floating]]] = []
    if calibration.imu_to_velo is not None:
        transforms.append((IMU_FRAME, SCANNER_FRAME, np.linalg.inv(calibration.imu_to_velo)))
    for camera in cameras:
        pose = np.linalg.inv(calibration.velo_to_camera(camera))
        transforms.append((SCANNER_FRAME, CAMERA_NAMES[camera], pose))
    return transforms
