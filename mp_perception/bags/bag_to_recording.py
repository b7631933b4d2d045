"""A bag as the folder of a recording (data/recording.py): files that labelling tools open and trainings read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mp_perception.bags.frames import BagFrames
from mp_perception.data.frame_sets import DroppedFrameError
from mp_perception.data.object_label import ObjectLabel
from mp_perception.data.recording_writing import RecordingWriter
from mp_perception.errors import UserError
from mp_perception.files import complete_folder
from mp_perception.geometry import CameraIntrinsics
from mp_perception.progress import track

#: From an image and its camera to labels.
Labeller = Callable[[NDArray[np.uint8], CameraIntrinsics | None], Sequence[ObjectLabel]]


@dataclass
class WrittenRecording:
    """What was written: numbers of images, depth maps, labelled images and boxes.

    left_out: reason -> frames that are not written, or not completely.
    """

    images: int = 0
    depth_maps: int = 0
    labelled: int = 0
    boxes: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


def write_recording(frames: BagFrames, out: Path, step: int = 1, label: Labeller | None = None) -> WrittenRecording:
    """Write every `step`-th frame of a bag into a new folder, which appears when it is complete.

    label: labels the images for which the bag has no boxes; None leaves them unlabelled.
    Raises UserError if the folder exists or cannot be written, no image can be read, or the camera info changes.
    """
    written = WrittenRecording()
    camera: CameraIntrinsics | None = None
    with complete_folder(out) as folder:
        writer = RecordingWriter(folder, frames.labelled_names)
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
            camera = seen.intrinsics if seen is not None else camera
            depth = frames.depth(index)
            found: Sequence[ObjectLabel] | None = frames.labels(index)
            if found is None and label is not None:
                found = label(image, camera)
            writer.write(name, image, depth, camera, bag_frame.stamp_ns, found)
            written.images += 1
            written.depth_maps += depth is not None
            if found is not None:
                written.labelled += 1
                written.boxes += len(found)
        if not written.images:
            raise UserError(f"{frames.title}: expected images, found none that can be read")
        writer.finish()
    return written
