"""A bag as the folder of a recording (data/recording.py): files that labelling tools open and trainings read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mp_perception.bags.frames import BagFrames
from mp_perception.data.coco import format_annotations
from mp_perception.data.depth_png import write_depth_png
from mp_perception.data.frame_sets import DroppedFrameError
from mp_perception.data.object_label import ObjectLabel
from mp_perception.data.recording import format_camera, format_times
from mp_perception.errors import UserError
from mp_perception.files import complete_folder, write_atomically
from mp_perception.geometry import CameraIntrinsics
from mp_perception.messages.images import encode_jpeg
from mp_perception.progress import track

#: High enough that a network sees no difference.
_JPEG_QUALITY = 95

#: From an image and its camera to labels.
Labeller = Callable[[NDArray[np.uint8], CameraIntrinsics | None], Sequence[ObjectLabel]]


@dataclass
class WrittenRecording:
    """What was written: numbers of images, depth maps, labelled images and boxes.

    left_out: reason -> frames that are not written, or not completely.  mended: what was corrected, one line each.
    """

    images: int = 0
    depth_maps: int = 0
    labelled: int = 0
    boxes: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    mended: list[str] = field(default_factory=list)


def write_recording(frames: BagFrames, out: Path, step: int = 1, label: Labeller | None = None) -> WrittenRecording:
    """Write every `step`-th frame of a bag into a new folder, which appears when it is complete.

    label: labels the images for which the bag has no boxes; None leaves them unlabelled.
    Raises UserError if the folder exists or cannot be written, no image can be read, or the camera info changes.
    """
    written = WrittenRecording()
    times: dict[str, int] = {}
    sizes: list[tuple[str, tuple[int, int]]] = []
    labels: dict[str, Sequence[ObjectLabel]] = {}
    camera: CameraIntrinsics | None = None
    with complete_folder(out) as folder:
        for index in track(range(0, len(frames), step), "writing"):
            _, bag_frame = frames.place(index)
            try:
                image = frames.image(index)
            except DroppedFrameError as error:
                written.left_out[error.reason] += 1
                continue
            name, (height, width) = bag_frame.name, image.shape[:2]
            written.left_out.update(what for what, _ in frames.problems)
            seen = frames.camera(index, width, height)
            if seen is not None and camera not in (None, seen.intrinsics):
                raise UserError(f"{frames.frames[index].image}: expected one camera info, found another at {name} ns")
            camera = seen.intrinsics if seen is not None else camera
            write_atomically(folder / "image" / f"{name}.jpg", encode_jpeg(image, _JPEG_QUALITY).tobytes())
            times[name] = bag_frame.stamp_ns
            if (depth := frames.depth(index)) is not None:
                write_depth_png(folder / "depth" / f"{name}.png", depth)
                written.depth_maps += 1
            found: Sequence[ObjectLabel] | None = frames.labels(index)
            if found is None and label is not None:
                found = label(image, camera)
            if found is not None:
                sizes.append((f"{name}.jpg", (width, height)))
                labels[f"{name}.jpg"] = found
        if not times:
            raise UserError(f"{frames.title}: expected images, found none that can be read")
        write_atomically(folder / "timestamps.txt", format_times(times).encode())
        if camera is not None:
            write_atomically(folder / "calib.txt", format_camera(camera).encode())
        if labels:
            content = format_annotations(sizes, labels, _categories(frames, labels))
            write_atomically(folder / "annotations.json", content)
    written.images, written.labelled = len(times), len(labels)
    written.boxes = sum(map(len, labels.values()))
    written.mended = frames.mended
    return written


def _categories(frames: BagFrames, labels: Mapping[str, Sequence[ObjectLabel]]) -> list[str]:
    """The classes that the bag labels, and the others that occur."""
    known = [name for name, known in zip(frames.class_names, frames.labelled_classes, strict=True) if known]
    return list(dict.fromkeys([*known, *sorted({label.class_name for found in labels.values() for label in found})]))
