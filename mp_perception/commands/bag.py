"""`mp_perception bag ...`: make bags and look into them.  Starts without torch and without ROS."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Make rosbag2 recordings from KITTI drives and look into any rosbag2; no ROS installation needed.",
    no_args_is_help=True,
)


class StorageFormat(StrEnum):
    """How a bag is stored; ROS 2 reads both."""

    mcap = "mcap"
    sqlite3 = "sqlite3"


@app.command("from-kitti-raw")
def from_kitti_raw(
    drive: Annotated[Path, typer.Argument(help="Drive folder, e.g. 2011_09_26/2011_09_26_drive_0005_sync.")],
    out: Annotated[Path, typer.Argument(help="Folder of the new bag; it must not exist.")],
    storage: Annotated[StorageFormat, typer.Option(help="Storage format of the bag.")] = StorageFormat.mcap,
    frames: Annotated[str, typer.Option(help="Only these frames, FIRST:LAST by number, both included.")] = ":",
) -> None:
    """Turn a synchronised KITTI raw drive into a rosbag2.

    The drive's date folder must hold calib_cam_to_cam.txt and, for scans, calib_velo_to_cam.txt. Images may be .png or
    .jpg. Without time stamps the frames are 0.1 s apart.

    Topics: /kitti/camera_color_left/image_raw and camera_info, the same for camera_color_right where the drive has
    it, /kitti/velo/pointcloud, /tf_static.

    Example: mp_perception bag from-kitti-raw 2011_09_26/2011_09_26_drive_0005_sync street
    """
    from mp_perception.bags.kitti_to_bag import write_raw_drive
    from mp_perception.data.kitti.raw import RawDrive
    from mp_perception.progress import console

    first_frame, last_frame = _frame_range(frames)
    num_frames = write_raw_drive(RawDrive(drive), out, storage.value, first_frame, last_frame)
    size = sum(path.stat().st_size for path in out.iterdir()) / 1e6
    console.print(f"{out}: {num_frames} frames, {size:.1f} MB", highlight=False)


@app.command()
def info(bag: Annotated[Path, typer.Argument(help="Folder of a rosbag2, or its .mcap or .db3 file.")]) -> None:
    """List a bag's topics with type, number of messages, rate and biggest gap between two messages.

    Example: mp_perception bag info street
    """
    from mp_perception.bags.reading import BagReader
    from mp_perception.bags.timing import topic_timings
    from mp_perception.progress import console

    with BagReader(bag) as reader:
        timings = topic_timings(reader)
        duration = (reader.end_ns - reader.start_ns) / 1e9
        lines = [f"{bag}: {reader.message_count} messages in {duration:.3f} s"]
        # Names come last and are never cut: people and grep need them whole.
        lines.append("messages  rate, Hz  biggest gap, s  topic, type")
        for topic in reader.topics.values():
            timing = timings[topic.name]
            rate, gap = _number(timing.rate, 2), _number(timing.biggest_gap, 3)
            lines.append(f"{timing.count:8}  {rate:>8}  {gap:>14}  {topic.name}  {topic.type}")
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def _number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"


def _frame_range(text: str) -> tuple[int | None, int | None]:
    from mp_perception.errors import UserError

    first, separator, last = text.partition(":")
    if not separator or any(part and not part.isdigit() for part in (first, last)):
        raise UserError(f"--frames {text}: expected FIRST:LAST, for example 100:107, :49 or 50:")
    return (int(first) if first else None, int(last) if last else None)
