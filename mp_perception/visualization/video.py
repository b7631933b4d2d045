"""Pictures as a video that every player opens (H.264, yuv420p, MP4)."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from numpy.typing import NDArray

from mp_perception.errors import UserError


class VideoWriter:
    """An MP4 file in the making, used as a context manager; it appears under its name when it is complete.

    frame_rate: frames per second.  The first frame decides the size; an odd side loses its last row or column, because
    the format stores colour for 2x2 pixels.  Raises UserError if the file cannot be written.
    """

    def __init__(self, path: Path, frame_rate: float) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.stem}.{os.getpid()}.part.mp4")
        self._frame_rate = Fraction(frame_rate).limit_denominator(1000)
        self._stream: av.VideoStream | None = None

    def __enter__(self) -> Self:
        try:
            self._container = av.open(str(self._temporary), "w")
        except (av.FFmpegError, OSError) as error:
            raise UserError(f"{self._path}: cannot be written: {error.strerror}") from error
        return self

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append an RGB image (H, W, 3) of at least 2x2 pixels."""
        height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
        if self._stream is None:
            self._stream = self._container.add_stream("libx264", rate=self._frame_rate, options={"crf": "22"})
            self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc_type is None and self._stream is not None:
            self._container.mux(self._stream.encode(None))
        self._container.close()
        if exc_type is None and self._stream is not None:
            self._temporary.replace(self._path)
        self._temporary.unlink(missing_ok=True)
