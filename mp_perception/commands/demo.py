"""`mp_perception demo`: a drive through the real node, over real DDS, with pictures to look at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mp_perception.commands.network_options import Weights, split_weights

if TYPE_CHECKING:
    from mp_perception.data.kitti.raw import RawDrive

#: All outputs of the node but the point cloud, which is off by default.
_OUTPUTS = (
    "/detections",
    "/depth/image",
    "/depth/camera_info",
    "/depth/image_colored",
    "/overlay",
    "/label_info",
    "/markers",
    "/diagnostics",
)


def demo(
    drive: Annotated[
        Path | None, typer.Option(help="A KITTI raw drive (..._sync folder); without it a synthetic one is made.")
    ] = None,
    weights: Weights = "mobilenet_v2",
    out: Annotated[Path, typer.Option(help="Folder for the results; an earlier demo there is replaced.")] = Path(
        "demo_output"
    ),
    frames: Annotated[int, typer.Option(min=2, max=5000, help="Length of the synthetic drive, frames at 10 Hz.")] = 60,
) -> None:
    """Play a drive through the node and show what comes out.

    Writes a bag, starts node, recorder and replay as separate processes that talk over DDS, and leaves in the output
    folder: overlay.mp4, frames/ (overlays), depth/ (16-bit PNG, metres x 256), recording/ (a rosbag2 of every output),
    logs/ and summary.json (frames sent, processed, overwritten, stale; latency by stage; rate; weights).

    Example: mp_perception demo --drive 2011_09_26/2011_09_26_drive_0005_sync
    """
    from mp_perception.bags.kitti_to_bag import camera_info_topic, image_topic, write_raw_drive
    from mp_perception.bags.node_recording import read_headers, summarise
    from mp_perception.data.kitti.raw import RawDrive
    from mp_perception.progress import console
    from mp_perception.ros.diagnostics import STAGES
    from mp_perception.ros.replay_session import ReplaySession, network_parameters, run_replay_session

    source = RawDrive(drive) if drive is not None else None
    parameters, _ = network_parameters(*split_weights(weights))
    empty_folder(out, drive)
    if source is None:
        source = _synthetic_drive(out / "synthetic_drive", frames)
    session = ReplaySession(
        bag=out / "drive_bag",
        image_topic=image_topic(2),
        camera_info_topic=camera_info_topic(2),
        recording=out / "recording",
        recorded=_OUTPUTS,
        log_folder=out / "logs",
        parameters=parameters,
    )
    write_raw_drive(source, session.bag)
    sent = read_headers(session.bag, session.image_topic)
    diagnostics = run_replay_session(session, (sent[-1][0] - sent[0][0]) / 1e9)
    published = read_headers(session.recording, "/detections")
    summary: dict[str, Any] = {"drive": source.folder.name} | summarise(sent, published, diagnostics, STAGES)
    _write_pictures(out, session.recording, summary)
    _print_summary(summary)
    console.print(f"look at {out / 'overlay.mp4'}", soft_wrap=True)
    if summary["network"]["weights"] == "untrained":
        console.print("The weights are untrained: boxes and depth mean nothing yet.", style="yellow")


def _synthetic_drive(folder: Path, num_frames: int) -> RawDrive:
    from mp_perception.data.kitti.raw import RawDrive
    from mp_perception.machine import available_cores
    from mp_perception.synthetic.drive import write_raw_drive

    return RawDrive(write_raw_drive(folder, num_frames, seed=8, workers=available_cores()))


def empty_folder(folder: Path, drive: Path | None) -> None:
    """Make the output folder, or empty the one of an earlier demo; anything else in the way is the user's.

    drive: what is played, which must stay.  Raises UserError, and changes nothing, if that is not possible.
    """
    import shutil

    from mp_perception.errors import UserError
    from mp_perception.files import make_folder

    first = {"synthetic_drive", "drive_bag"}
    known = first | {"recording", "logs", "frames", "depth", "overlay.mp4", "summary.json"}
    if drive is not None and folder.resolve() in (drive.resolve(), *drive.resolve().parents):
        raise UserError(f"{folder}: expected a folder that does not hold the drive {drive}")
    if folder.is_dir():
        found = sorted(entry.name for entry in folder.iterdir())
        # Folders with frames and depth are not only made here; one of the first is in every demo's.
        foreign = [name for name in found if name not in known] or ([] if first & {*found} else found)
        if foreign:
            raise UserError(f"{folder}: expected no folder or an earlier demo's, found '{foreign[0]}' in it")
        shutil.rmtree(folder)
    make_folder(folder)


def _write_pictures(out: Path, recording: Path, summary: dict[str, Any]) -> None:
    """overlay.mp4 (overlay above coloured depth), frames/, depth/ and, last, summary.json."""
    import json

    import numpy as np

    from mp_perception.bags.node_recording import read_published_frames
    from mp_perception.data.depth_png import write_depth_png
    from mp_perception.files import write_atomically
    from mp_perception.progress import track
    from mp_perception.visualization.prediction_files import write_png
    from mp_perception.visualization.video import VideoWriter

    for name in ("frames", "depth"):
        (out / name).mkdir()
    with VideoWriter(out / "overlay.mp4") as video:
        frames = track(read_published_frames(recording), "pictures", summary["frames"]["processed"])
        for number, frame in enumerate(frames):
            video.write(np.concatenate([frame.overlay, frame.colored_depth]), frame.stamp_ns)
            write_png(out / "frames" / f"{number:06d}.png", frame.overlay)
            write_depth_png(out / "depth" / f"{number:06d}.png", frame.depth)
    write_atomically(out / "summary.json", json.dumps(summary, indent=1).encode())


def _print_summary(summary: dict[str, Any]) -> None:
    from rich.table import Table

    from mp_perception.progress import console

    frames = summary["frames"]
    counts = Table(title=f"{summary['drive']}: frames")
    for name in frames:
        counts.add_column(name, justify="right")
    counts.add_row(*map(str, frames.values()))
    console.print(counts)
    latency = Table(title="latency, ms (last 100 frames)")
    latency.add_column("stage")
    for name in ("median", "p99"):
        latency.add_column(name, justify="right")
    for stage, values in summary["latency_ms"].items():
        latency.add_row(stage, f"{values['median']:.1f}", f"{values['p99']:.1f}")
    console.print(latency)
    network = summary["network"]
    equal = "equal to the inputs'" if summary["headers_equal_the_inputs"] else "DIFFERENT from the inputs'"
    console.print(
        f"{summary['rate_hz']} Hz, headers {equal}; {network['backbone']}, weights {network['weights']}, "
        f"{network['runtime']} on {network['device']}, {network['threads']} threads",
        soft_wrap=True,
    )
