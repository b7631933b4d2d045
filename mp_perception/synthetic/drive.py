"""Writes synthetic scenes in KITTI's layouts: a raw drive with depth maps, or an object set of single frames.

The seed alone determines what is written, not the number of processes.  The output folder appears when it is complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.data.boxes_3d import box_corners
from mp_perception.data.depth_png import encode_depth_png
from mp_perception.data.kitti.labels import write_labels
from mp_perception.data.kitti.raw import FRAME_PERIOD_NS, SYNTHETIC_DATE
from mp_perception.data.object_label import IGNORED_REGION, Box3D, ObjectLabel
from mp_perception.data.parallel_files import make_missing
from mp_perception.files import complete_folder
from mp_perception.geometry import CameraIntrinsics
from mp_perception.synthetic.raster import NEAR
from mp_perception.synthetic.render import KITTI_CAMERA, render
from mp_perception.synthetic.sensors import (
    CAMERA_SHIFTS,
    object_calibration_file,
    raw_calibration_files,
    simulate_point_cloud,
)
from mp_perception.synthetic.streets import random_scene

#: An object of fewer rows becomes an ignored region: it is too small to be recognised.
MIN_LABEL_HEIGHT = 10

#: Classes whose box is that around their 3D box.  In KITTI's training frames the box of a Cyclist has the width of that
#: one (ratio 1.02), and that of a Pedestrian .39 of its height; around the visible silhouette it would be .33.
PEOPLE = ("Pedestrian", "Cyclist")


def write_raw_drive(
    out: Path, num_frames: int, seed: int, camera: CameraIntrinsics = KITTI_CAMERA, workers: int = 1
) -> Path:
    """One drive through one street at 10 Hz, as KITTI raw data; returns the drive's folder.

    <out>/2026_01_01/ holds the calibration and 2026_01_01_drive_NNNN_sync/ with image_02 (images, time stamps),
    velodyne_points, and one file per frame in label_02 and sky_02 (1-bit masks of the sky);
    <out>/depth/train/<drive>/proj_depth/groundtruth/image_02 holds the exact depth.

    Raises:
        UserError: out exists and is not an empty folder, or cannot be written.
    """
    name = f"{SYNTHETIC_DATE}_drive_{seed % 10_000:04d}_sync"
    with complete_folder(out) as folder:
        date, depth = folder / SYNTHETIC_DATE, folder / "depth" / "train" / name
        drive = date / name
        files = _Folders(
            images=drive / "image_02" / "data",
            depth=depth / "proj_depth" / "groundtruth" / "image_02",
            sky=drive / "sky_02",
            labels=drive / "label_02",
            points=drive / "velodyne_points" / "data",
        )
        times = [number * FRAME_PERIOD_NS / 1e9 for number in range(num_frames)]
        moments = [_Moment(seed, times[-1], time) for time in times]
        _write_frames(files, 10, moments, camera, workers)
        for file, text in raw_calibration_files(camera).items():
            (date / file).write_text(text)
        noon = datetime.strptime(f"{SYNTHETIC_DATE} 12", "%Y_%m_%d %H")
        stamps = [f"{noon + timedelta(seconds=time):%Y-%m-%d %H:%M:%S.%f}000\n" for time in times]
        (drive / "image_02" / "timestamps.txt").write_text("".join(stamps))
    return out / SYNTHETIC_DATE / name


def write_object_set(
    out: Path, num_frames: int, seed: int, camera: CameraIntrinsics = KITTI_CAMERA, workers: int = 1
) -> Path:
    """Single frames, each of another street, as KITTI's object data; returns `out`.

    <out>/training/ holds image_2, label_2, calib, velodyne, the exact depth in depth_2, and masks of the sky in sky_2;
    <out>/ImageSets/train.txt lists the frames.

    Raises:
        UserError: out exists and is not an empty folder, or cannot be written.
    """
    with complete_folder(out) as folder:
        training = folder / "training"
        files = _Folders(*(training / name for name in ("image_2", "depth_2", "sky_2", "label_2", "velodyne")))
        # Seed and frame are mixed, so that sets of neighbouring seeds have no street in common.
        seeds = (np.random.SeedSequence([seed, number]).generate_state(1, np.uint64) for number in range(num_frames))
        names = _write_frames(files, 6, [_Moment(int(mixed[0])) for mixed in seeds], camera, workers)
        (training / "calib").mkdir()
        for name in names:
            (training / "calib" / f"{name}.txt").write_text(object_calibration_file(camera))
        (folder / "ImageSets").mkdir()
        (folder / "ImageSets" / "train.txt").write_text("".join(f"{name}\n" for name in names))
    return out


def annotated(label: ObjectLabel, camera: CameraIntrinsics) -> ObjectLabel:
    """A rendered object's label as KITTI's annotators give it: an ignored region if it is hidden or too small.

    They boxed people around their 3D box, which arms and legs do not fill.
    """
    if label.occlusion == 3 or label.box[3] - label.box[1] < MIN_LABEL_HEIGHT or label.box_3d is None:
        return ObjectLabel(IGNORED_REGION, label.box)
    # Labels refer to camera 0; the image is camera 2's.
    x, y, z = (np.array(label.box_3d.bottom_centre) - CAMERA_SHIFTS[2]).tolist()
    box_3d = replace(label.box_3d, bottom_centre=(x, y, z))
    box = _projected_box(box_3d, camera) if label.class_name in PEOPLE else None
    return replace(label, box=box or label.box, box_3d=box_3d)


def _projected_box(box: Box3D, camera: CameraIntrinsics) -> tuple[float, float, float, float] | None:
    """The 2D box around the projected corners of a 3D box; None where a corner is too near."""
    corners = box_corners(box) + CAMERA_SHIFTS[2]
    if corners[:, 2].min() < NEAR:
        return None
    points = np.clip(camera.project(corners), 0, (camera.width, camera.height))
    (x1, y1), (x2, y2) = points.min(axis=0), points.max(axis=0)
    return float(x1), float(y1), float(x2), float(y2)


class _Folders(NamedTuple):
    """Where the files of each frame are."""

    images: Path
    depth: Path
    sky: Path
    labels: Path
    points: Path


class _Moment(NamedTuple):
    """A street, which its seed and duration determine, and a time in it, seconds."""

    seed: int
    duration: float = 0.0
    time: float = 0.0


def _write_frames(
    files: _Folders, digits: int, moments: Sequence[_Moment], camera: CameraIntrinsics, workers: int
) -> list[str]:
    """Writes the frames in several processes; returns their names: numbers of so many digits."""
    for folder in files:
        folder.mkdir(parents=True)
    names = [f"{number:0{digits}d}" for number in range(len(moments))]
    tasks = {
        files.images / f"{name}.png": partial(_write_frame, files, name, moment, camera)
        for name, moment in zip(names, moments, strict=True)
    }
    make_missing(tasks, min(workers, len(tasks)), "rendering")
    return names


def _write_frame(files: _Folders, name: str, moment: _Moment, camera: CameraIntrinsics) -> None:
    frame = render(_scene(moment.seed, moment.duration), camera, moment.time)
    (files.images / f"{name}.png").write_bytes(_encode_png(frame.image[..., ::-1], cv2.IMWRITE_PNG_COMPRESSION))
    # The format ends at 256 m: points that are farther are unknown in the file.
    stored_depth = np.where(frame.depth < 255.99, frame.depth, np.nan)
    (files.depth / f"{name}.png").write_bytes(encode_depth_png(stored_depth))
    (files.sky / f"{name}.png").write_bytes(_encode_png(frame.sky.astype(np.uint8) * 255, cv2.IMWRITE_PNG_BILEVEL))
    write_labels(files.labels / f"{name}.txt", [annotated(label, camera) for label in frame.labels])
    simulate_point_cloud(frame, camera).astype("<f4").tofile(files.points / f"{name}.bin")


#: All frames of a drive show the same scene.
_scene = lru_cache(maxsize=1)(random_scene)


def _encode_png(image: NDArray[np.uint8], setting: int) -> bytes:
    """The bytes of a PNG file; setting: what OpenCV is to set to 1."""
    done, encoded = cv2.imencode(".png", image, [setting, 1])
    assert done
    return encoded.tobytes()
