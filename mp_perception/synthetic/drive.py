"""Writes synthetic data in KITTI's layouts: a raw drive with its depth maps, or an object set of single frames.

Frames are drawn by several processes; what is written depends on the seed alone.  The output folder appears when
everything in it is complete.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import cv2
import numpy as np

from mp_perception.data.boxes_3d import box_corners
from mp_perception.data.depth_png import encode_depth_png
from mp_perception.data.kitti.labels import write_labels
from mp_perception.data.kitti.raw import SYNTHETIC_DATE
from mp_perception.data.object_label import IGNORED_REGION, Box3D, ObjectLabel
from mp_perception.data.parallel_files import worker_processes
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics
from mp_perception.progress import track
from mp_perception.synthetic.render import KITTI_CAMERA, RenderedFrame, RenderedObject, render
from mp_perception.synthetic.scene import Scene
from mp_perception.synthetic.sensors import (
    CAMERA_SHIFTS,
    object_calibration_file,
    raw_calibration_files,
    simulate_scan,
)
from mp_perception.synthetic.streets import random_scene

#: KITTI's frame rate.
FRAMES_PER_SECOND = 10

#: Lower than this, in pixels, an object becomes an ignored region: it is too small to be recognised.
LOWEST_LABEL = 10

#: Classes that are boxed around their 3D box.  In KITTI's training frames a Cyclist's box is as wide as that one (ratio
#: 1.02) and a Pedestrian's .39 as wide as high; around what is seen of ours it would be .33.
PEOPLE = ("Pedestrian", "Cyclist")

#: A corner nearer than this, metres, has no place in the image.
_NEAREST_CORNER = 0.5


@dataclass(frozen=True)
class Written:
    """What was written: the drive folder or the object set's folder, and how many frames and labels by class."""

    folder: Path
    num_frames: int
    labels: dict[str, int]


def write_raw_drive(
    out: Path, num_frames: int, seed: int, camera: CameraIntrinsics = KITTI_CAMERA, workers: int = 1
) -> Written:
    """One drive through one street at 10 Hz, as KITTI raw data.

    <out>/2026_01_01/ holds the calibration and 2026_01_01_drive_NNNN_sync/ with image_02 (images, time stamps),
    velodyne_points and label_02 (one label file per frame); <out>/depth/train/<drive>/proj_depth/groundtruth/image_02
    the exact depth.  Raises UserError if out exists and is not empty.
    """
    drive = f"{SYNTHETIC_DATE}_drive_{seed % 10_000:04d}_sync"
    with _complete_or_absent(out) as folder:
        recording, depth = folder / SYNTHETIC_DATE / drive, folder / "depth" / "train" / drive
        for path in ("image_02/data", "velodyne_points/data", "label_02"):
            (recording / path).mkdir(parents=True)
        (depth / "proj_depth/groundtruth/image_02").mkdir(parents=True)
        for name, text in raw_calibration_files(camera).items():
            (folder / SYNTHETIC_DATE / name).write_text(text)
        date = SYNTHETIC_DATE.replace("_", "-")
        seconds = (divmod(number, FRAMES_PER_SECOND) for number in range(num_frames))
        stamps = [
            f"{date} {12 + second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}."
            f"{part * 1_000_000_000 // FRAMES_PER_SECOND:09d}\n"
            for second, part in seconds
        ]
        (recording / "image_02" / "timestamps.txt").write_text("".join(stamps))
        write = partial(_write_raw_frame, recording, depth, seed, num_frames, camera)
        labels = _write_frames(write, num_frames, workers)
    return Written(out / SYNTHETIC_DATE / drive, num_frames, labels)


def write_object_set(
    out: Path, num_frames: int, seed: int, camera: CameraIntrinsics = KITTI_CAMERA, workers: int = 1
) -> Written:
    """Single frames, each of another street, as KITTI's object data.

    <out>/training/ holds image_2, label_2, calib, velodyne and the exact depth in depth_2; <out>/ImageSets/train.txt
    lists the frames.  Raises UserError if out exists and is not empty.
    """
    with _complete_or_absent(out) as folder:
        for name in ("image_2", "label_2", "calib", "velodyne", "depth_2"):
            (folder / "training" / name).mkdir(parents=True)
        (folder / "ImageSets").mkdir()
        (folder / "ImageSets" / "train.txt").write_text("".join(f"{number:06d}\n" for number in range(num_frames)))
        labels = _write_frames(partial(_write_object_frame, folder / "training", seed, camera), num_frames, workers)
    return Written(out, num_frames, labels)


def label_of(seen: RenderedObject, camera: CameraIntrinsics) -> ObjectLabel:
    """The label of a rendered object; an ignored region if it is hidden or too small to be told.

    People are boxed as KITTI's annotators do it, around their 3D box, which arms and legs do not fill.
    """
    x1, y1, x2, y2 = (float(edge) for edge in seen.box)
    if seen.occlusion == 3 or y2 - y1 < LOWEST_LABEL:
        return ObjectLabel(IGNORED_REGION, (x1, y1, x2, y2))
    height, width, length = (float(measure) for measure in seen.dimensions)
    # Labels count from camera 0, the picture is camera 2's.
    x, y, z = (float(value) for value in seen.location - CAMERA_SHIFTS[2])
    box_3d = Box3D((x, y, z), (height, width, length), seen.rotation_y)
    box = _projected_box(box_3d, camera) if seen.label in PEOPLE else None
    return ObjectLabel(seen.label, box or (x1, y1, x2, y2), seen.truncation, seen.occlusion, box_3d)


def _projected_box(box: Box3D, camera: CameraIntrinsics) -> tuple[float, float, float, float] | None:
    """The 2D box around the 3D box's corners as the camera sees them; None where a corner is too near."""
    corners = box_corners(box) + CAMERA_SHIFTS[2]
    if corners[:, 2].min() < _NEAREST_CORNER:
        return None
    points = np.clip(camera.project(corners), 0, (camera.width, camera.height))
    (x1, y1), (x2, y2) = points.min(axis=0), points.max(axis=0)
    return float(x1), float(y1), float(x2), float(y2)


@contextmanager
def _complete_or_absent(out: Path) -> Iterator[Path]:
    """A folder beside out that becomes out at the end, or is removed if anything goes wrong."""
    out = out.absolute()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: expected no such file or an empty folder, found something there")
    partial_folder = out.parent / f".{out.name}.{os.getpid()}.part"
    try:
        partial_folder.mkdir(parents=True)
        yield partial_folder
        if out.exists():
            out.rmdir()
        partial_folder.rename(out)
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(partial_folder, ignore_errors=True)


def _write_frames(write: Callable[[int], list[str]], num_frames: int, workers: int) -> dict[str, int]:
    """Calls write for every frame number, in processes if there are several workers; counts the labels by class."""
    counts: dict[str, int] = {}

    def count(labels: list[str]) -> None:
        for label in labels:
            counts[label] = counts.get(label, 0) + 1

    if workers == 1:
        for number in track(range(num_frames), "drawing"):
            count(write(number))
        return counts
    with worker_processes(min(workers, num_frames)) as pool:
        tasks = [pool.submit(write, number) for number in range(num_frames)]
        for task in track(as_completed(tasks), "drawing", num_frames):
            count(task.result())
    return counts


@lru_cache(maxsize=1)
def _scene(seed: int, duration: float) -> Scene:
    return random_scene(seed, duration)


def _write_raw_frame(
    recording: Path, depth: Path, seed: int, num_frames: int, camera: CameraIntrinsics, number: int
) -> list[str]:
    scene = _scene(seed, (num_frames - 1) / FRAMES_PER_SECOND)
    frame = render(scene, camera, number / FRAMES_PER_SECOND)
    name = f"{number:010d}"
    return _write_frame(
        frame,
        camera,
        recording / "image_02" / "data" / f"{name}.png",
        depth / "proj_depth" / "groundtruth" / "image_02" / f"{name}.png",
        recording / "label_02" / f"{name}.txt",
        recording / "velodyne_points" / "data" / f"{name}.bin",
    )


def _write_object_frame(training: Path, seed: int, camera: CameraIntrinsics, number: int) -> list[str]:
    # Neighbouring seeds must not share streets, so frame and seed are mixed.
    mixed = int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0])
    frame = render(random_scene(mixed), camera)
    name = f"{number:06d}"
    (training / "calib" / f"{name}.txt").write_text(object_calibration_file(camera))
    return _write_frame(
        frame,
        camera,
        training / "image_2" / f"{name}.png",
        training / "depth_2" / f"{name}.png",
        training / "label_2" / f"{name}.txt",
        training / "velodyne" / f"{name}.bin",
    )


def _write_frame(
    frame: RenderedFrame, camera: CameraIntrinsics, image: Path, depth: Path, label: Path, scan: Path
) -> list[str]:
    """Writes one frame's files; gives the classes of its labels."""
    done, encoded = cv2.imencode(".png", frame.image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
    assert done
    image.write_bytes(encoded.tobytes())
    # A KITTI depth map ends at 255.99 m: what is farther has no measurement.
    measurable = np.where(frame.depth < 255.99, frame.depth, np.nan)
    depth.write_bytes(encode_depth_png(measurable))
    labels = [label_of(seen, camera) for seen in frame.objects]
    write_labels(label, labels)
    simulate_scan(frame, camera).astype("<f4").tofile(scan)
    return [entry.class_name for entry in labels]
