"""Writes the folder of a recording, whose layout data/recording.py describes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2

from mp_perception.arrays import DepthMap, RgbImage
from mp_perception.data.coco import format_annotations
from mp_perception.data.depth_png import write_depth_png
from mp_perception.data.object_label import ObjectLabel
from mp_perception.data.recording import format_camera, format_times
from mp_perception.errors import UserError
from mp_perception.files import write_atomically
from mp_perception.geometry import CameraIntrinsics

#: High enough that a network sees no difference.
_JPEG_QUALITY = 95


class RecordingWriter:
    """Writes frame by frame; the folder is complete after `finish`.

    folder: empty.  categories: labelled classes; the others that occur are added.
    """

    def __init__(self, folder: Path, categories: Sequence[str] = ()) -> None:
        self._folder = folder
        self._categories = categories
        self._times: dict[str, int] = {}
        self._labelled: list[tuple[str, tuple[int, int], Sequence[ObjectLabel]]] = []
        self._camera: CameraIntrinsics | None = None

    def write(
        self,
        name: str,
        image: RgbImage,
        depth: DepthMap | None,
        camera: CameraIntrinsics | None,
        stamp_ns: int | None,
        labels: Sequence[ObjectLabel] | None,
    ) -> None:
        """Write a frame; None for what is unknown.  Raises UserError if the camera is not that of the frames before."""
        if camera is not None:
            if self._camera not in (None, camera):
                raise UserError(f"frame {name}: expected one camera in the whole recording, found it changed here")
            self._camera = camera
        good, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        assert good
        file = f"{name}.jpg"
        write_atomically(self._folder / "image" / file, data.tobytes())
        if depth is not None:
            write_depth_png(self._folder / "depth" / f"{name}.png", depth)
        if stamp_ns is not None:
            self._times[name] = stamp_ns
        if labels is not None:
            self._labelled.append((file, (image.shape[1], image.shape[0]), labels))

    def finish(self) -> None:
        """Write what describes all frames."""
        if self._times:
            write_atomically(self._folder / "timestamps.txt", format_times(self._times).encode())
        if self._camera is not None:
            write_atomically(self._folder / "calib.txt", format_camera(self._camera).encode())
        if self._labelled:
            occurring = sorted({label.class_name for _, _, labels in self._labelled for label in labels})
            categories = list(dict.fromkeys([*self._categories, *occurring]))
            write_atomically(self._folder / "annotations.json", format_annotations(self._labelled, categories))
