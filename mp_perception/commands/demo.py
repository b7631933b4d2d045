"""`mp_perception demo`: a drive through the real node, over real DDS, with a video of the results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mp_perception.commands import options

#: Folder of the synthetic drive below the output folder.
_KEPT = "synthetic_drive"

#: All outputs of the node but the point cloud, which is off by default, and the pictures as JPEG.
_OUTPUTS = (
    "/detections",
    "/detections_3d",
    "/depth/image",
    "/depth/camera_info",
    "/depth/image_colored",
    "/overlay",
    "/label_info",
    "/markers",
    "/tracks",
    "/tracks/states",
    "/tracks/markers",
    "/diagnostics",
)


def demo(
    drive: Annotated[
        Path | None, typer.Option(help="A KITTI raw drive (..._sync folder). Default: a synthetic drive.")
    ] = None,
    weights: options.Weights = "mobilenet_v2",
    out: Annotated[
        Path, typer.Option(help="Folder for the results. The results of an earlier demo are replaced.")
    ] = Path("demo_output"),
    frames: Annotated[int, typer.Option(min=2, max=5000, help="Frames of the synthetic drive, at 10 Hz.")] = 60,
) -> None:
    """Play a drive through the node and show the results.

    Writes a bag, starts node, recorder and replay as separate processes that communicate over DDS, and leaves in the
    output folder: overlay.mp4, frames/ (overlays) and depth/ (16-bit PNG, metres x 256), named like the drive's images,
    recording/ (a rosbag2 of all outputs), logs/ and summary.json (frames sent, processed, overwritten, stale; latency
    by stage; rate; weights).

    The overlays show tracks: id, class, distance, speed and, below 10 s, time to contact. Speeds are those over the
    ground if the drive has the vehicle's motion (oxts), otherwise relative to the camera, as in the synthetic drive.

    The synthetic drive is rendered once and kept in the output folder, in synthetic_drive/, for the next demo.

    Example: mp_perception demo --drive 2011_09_26/2011_09_26_drive_0005_sync
    """
    from mp_perception.bags.kitti_to_bag import ODOM_FRAME, camera_info_topic, image_topic, write_raw_drive
    from mp_perception.bags.node_recording import read_headers, summarise
    from mp_perception.data.kitti.raw import RawDrive
    from mp_perception.progress import console
    from mp_perception.ros.diagnostics import STAGES
    from mp_perception.ros.replay_session import ReplaySession, network_parameters, run_replay_session

    source = RawDrive(drive) if drive is not None else None
    parameters, _ = network_parameters(*options.split_weights(weights))
    empty_folder(out, drive)
    if source is None:
        source = RawDrive(synthetic_drive(out / _KEPT, frames))
    parameters["tracking"] = "true"
    if source.camera_pose(source.frames[0].number, 2) is not None:
        parameters["odom_frame"] = ODOM_FRAME
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
    names = {frame.stamp_ns: f"{frame.number:010d}.png" for frame in source.frames}
    _write_pictures(out, session.recording, summary, names)
    _print_summary(summary)
    console.print(f"look at {out / 'overlay.mp4'}")
    if summary["network"]["weights"] == "untrained":
        console.print("The weights are untrained: boxes and depth are meaningless.", style="yellow")


def synthetic_drive(folder: Path, num_frames: int) -> Path:
    """A drive of the demo's street, rendered unless an earlier demo left the same one in the folder.

    Each drive is in a folder of its own, whose name depends on the number of frames and on the renderer's source; all
    other drives are deleted.  Returns the drive's folder (..._sync).
    """
    from hashlib import sha256

    from mp_perception import synthetic
    from mp_perception.files import make_folder
    from mp_perception.machine import available_cores
    from mp_perception.synthetic.drive import write_raw_drive

    sources = sorted(Path(synthetic.__path__[0]).glob("*.py"))
    renderer = sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    kept = folder / f"{num_frames}_frames_{renderer}"
    make_folder(folder)
    for other in folder.iterdir():
        if other != kept:
            _delete(other)
    if kept.is_dir():
        return next(kept.glob("*/*_sync"))
    return write_raw_drive(kept, num_frames, seed=5, workers=available_cores())


def empty_folder(folder: Path, drive: Path | None) -> None:
    """Make the output folder, or delete the results of an earlier demo in it, except its synthetic drive.

    drive: what is played, which must remain.

    Raises:
        UserError: the folder holds something else, or the drive.  Nothing has been changed then.
    """
    from mp_perception.errors import UserError
    from mp_perception.files import make_folder

    first = {_KEPT, "drive_bag"}
    known = first | {"recording", "logs", "frames", "depth", "overlay.mp4", "summary.json"}
    if drive is not None and folder.resolve() in (drive.resolve(), *drive.resolve().parents):
        raise UserError(f"{folder}: expected a folder that does not hold the drive {drive}")
    make_folder(folder)
    found = sorted(folder.iterdir())
    names = [entry.name for entry in found]
    # Other programs make folders named frames and depth too; only a demo makes one of the first names.
    foreign = [name for name in names if name not in known] or ([] if first & {*names} else names)
    if foreign:
        raise UserError(f"{folder}: expected no folder or an earlier demo's, found '{foreign[0]}' in it")
    for entry in found:
        if entry.name != _KEPT:
            _delete(entry)


def _delete(path: Path) -> None:
    import shutil

    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _write_pictures(out: Path, recording: Path, summary: dict[str, Any], names: dict[int, str]) -> None:
    """overlay.mp4 (overlay above coloured depth), frames/, depth/ and, last, summary.json.

    names: stamp of an input image, nanoseconds -> file name of its pictures.
    """
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
        for frame in frames:
            video.write(np.concatenate([frame.overlay, frame.colored_depth]), frame.stamp_ns)
            write_png(out / "frames" / names[frame.stamp_ns], frame.overlay)
            write_depth_png(out / "depth" / names[frame.stamp_ns], frame.depth)
    write_atomically(out / "summary.json", json.dumps(summary, indent=1).encode())


def _print_summary(summary: dict[str, Any]) -> None:
    from rich.table import Table

    from mp_perception.progress import console

    frames = summary["frames"]
    counts = Table(title=f"{summary['drive']}: frames")
    for name in frames:
        counts.add_column(name, justify="right")
    counts.add_row(*map(str, frames.values()))
    console.print(counts, soft_wrap=False)
    latency = Table(title="latency, ms (last 100 frames)")
    latency.add_column("stage")
    for name in ("median", "p99"):
        latency.add_column(name, justify="right")
    for stage, values in summary["latency_ms"].items():
        latency.add_row(stage, f"{values['median']:.1f}", f"{values['p99']:.1f}")
    console.print(latency, soft_wrap=False)
    network = summary["network"]
    equal = "equal to the inputs'" if summary["headers_equal_the_inputs"] else "DIFFERENT from the inputs'"
    console.print(
        f"{summary['rate_hz']} Hz, headers {equal}; {network['backbone']}, weights {network['weights']}, "
        f"{network['runtime']} on {network['device']}, {network['threads']} threads"
    )
