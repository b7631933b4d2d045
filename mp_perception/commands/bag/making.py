"""`mp_perception bag from-...`: KITTI and synthetic data as bags with ground truth.  Needs neither torch nor ROS."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mp_perception.commands import options


class StorageFormat(StrEnum):
    """Storage format of a bag; ROS 2 reads both."""

    mcap = "mcap"
    sqlite3 = "sqlite3"


NewBag = Annotated[Path, typer.Argument(help="New folder for the bag, or a file that ends in .mcap.")]
Storage = Annotated[StorageFormat, typer.Option(help="Storage format of the bag.")]


def from_kitti_raw(
    drive: Annotated[Path, typer.Argument(help="Drive folder, e.g. 2011_09_26/2011_09_26_drive_0005_sync.")],
    out: NewBag,
    storage: Storage = StorageFormat.mcap,
    frames: Annotated[str, typer.Option(help="Only the frames FIRST:LAST by number, both included.")] = ":",
) -> None:
    """Convert a synchronised KITTI raw drive to a rosbag2.

    The drive's date folder must contain calib_cam_to_cam.txt and, if there are lidar scans, calib_velo_to_cam.txt.
    Images may be .png or .jpg. Without time stamps the frames are 0.1 s apart. Labels are read from
    tracklet_labels.xml and depth from depth/train and depth/val beside the dates, if these exist.

    Topics: /kitti/camera_color_left/image_raw and camera_info, the same for camera_color_right if the drive has it,
    /kitti/velo/pointcloud, /tf_static, and the ground truth below /ground_truth.

    Example: mp_perception bag from-kitti-raw 2011_09_26/2011_09_26_drive_0005_sync street
    """
    from mp_perception.bags.kitti_to_bag import write_raw_drive
    from mp_perception.data.kitti.raw import RawDrive

    first_frame, last_frame = _frame_range(frames)
    _print_written(out, write_raw_drive(RawDrive(drive), out, storage.value, first_frame, last_frame))


def from_kitti_object(
    root: Annotated[Path, typer.Argument(help="Folder that contains training/ (image_2, label_2, calib, ...).")],
    out: NewBag,
    storage: Storage = StorageFormat.mcap,
    split: options.Split = None,
) -> None:
    """Convert frames of KITTI's object data to a rosbag2, 0.1 s apart in the order of their numbers.

    Topics as for from-kitti-raw; each frame has its own calibration, so the transforms are on /tf.

    Example: mp_perception bag from-kitti-object kitti/object val_frames --split val
    """
    from mp_perception.bags.kitti_to_bag import write_objects

    _print_written(out, write_objects(root, split, out, storage.value))


def from_kitti_tracking(
    root: Annotated[Path, typer.Argument(help="Folder that contains training/ (image_02, label_02, calib, ...).")],
    sequence: Annotated[str, typer.Argument(help="Number of the sequence, such as 0001.")],
    out: NewBag,
    storage: Storage = StorageFormat.mcap,
) -> None:
    """Convert a sequence of KITTI's tracking data to a rosbag2 at 10 Hz; topics as for from-kitti-raw.

    Example: mp_perception bag from-kitti-tracking kitti/tracking 0001 sequence_1
    """
    from mp_perception.bags.kitti_to_bag import write_sequence

    _print_written(out, write_sequence(root, sequence, out, storage.value))


def from_synthetic(
    root: Annotated[Path, typer.Argument(help="Output folder of `mp_perception synthetic`, of either layout.")],
    out: NewBag,
    storage: Storage = StorageFormat.mcap,
) -> None:
    """Convert synthetic scenes to a rosbag2; topics as for from-kitti-raw.

    Example: mp_perception bag from-synthetic street street_bag
    """
    from mp_perception.bags.kitti_to_bag import write_synthetic

    _print_written(out, write_synthetic(root, out, storage.value))


def from_recording(
    root: Annotated[Path, typer.Argument(help="Folder with image/, depth/, calib.txt and others, or a part of them.")],
    out: NewBag,
    storage: Storage = StorageFormat.mcap,
    split: options.Split = None,
) -> None:
    """Convert a camera's recording in a folder to a rosbag2, with the topics of a depth camera's driver.

    Without timestamps.txt the frames are 0.1 s apart.

    Topics: /camera/color/image_raw/compressed, /camera/color/camera_info, /camera/aligned_depth_to_color/image_raw, and
    /ground_truth/detections if there are labels.

    Example: mp_perception bag from-recording my_recording my_bag
    """
    from mp_perception.bags.recording_to_bag import write_recording

    _print_written(out, write_recording(root, split, out, storage.value))


def _print_written(out: Path, num_frames: int) -> None:
    from mp_perception.progress import console

    files = out.iterdir() if out.is_dir() else [out]
    size = sum(path.stat().st_size for path in files) / 1e6
    console.print(f"{out}: {num_frames} frames, {size:.1f} MB")


def _frame_range(text: str) -> tuple[int | None, int | None]:
    from mp_perception.errors import UserError

    first, separator, last = text.partition(":")
    if not separator or any(part and not part.isdecimal() for part in (first, last)):
        raise UserError(f"--frames {text}: expected FIRST:LAST, for example 100:107, :49 or 50:")
    return (int(first) if first else None, int(last) if last else None)
