"""Pictures as a video that every player opens (H.264, yuv420p, MP4)."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.errors import UserError

#: Ticks per second, as MPEG counts time.
_TICKS = 90_000
#: Nobody waits longer than this for the next picture, seconds.
LONGEST_PAUSE = 10
#: Ticks between two pictures of the same time.
_LEAST_STEP = _TICKS // 1000
#: The last picture is seen for so long, seconds.
_LAST_PICTURE = 0.1


class VideoWriter:
    """An MP4 file in the making, used as a context manager; it appears under its name when it is complete.

    The first picture decides the size; an odd side loses its last row or column, because the format stores colour for
    2x2 pixels.  Pictures of another size are scaled to fit.  Raises UserError if the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.stem}.{os.getpid()}.part.mp4")
        self._stream: av.VideoStream | None = None
        self._last_time_ns = self._last_tick = 0

    def __enter__(self) -> Self:
        try:
            self._container = av.open(str(self._temporary), "w")
        except (av.FFmpegError, OSError) as error:
            raise self._cannot_be_written(error) from error
        return self

    def write(self, image: NDArray[np.uint8], time_ns: int) -> None:
        """Append an RGB image (H, W, 3) of at least 2x2 pixels.

        time_ns: when it was taken, nanoseconds from any start; pictures follow each other as their times do, at least
        1 ms and at most LONGEST_PAUSE apart.
        """
        if self._stream is None:
            self._stream = self._new_stream(image.shape[1] // 2 * 2, image.shape[0] // 2 * 2)
            tick = 0
        else:
            step = round((time_ns - self._last_time_ns) * _TICKS / 1e9)
            tick = self._last_tick + min(max(step, _LEAST_STEP), LONGEST_PAUSE * _TICKS)
        self._last_time_ns, self._last_tick = time_ns, tick
        fitted = _fitted(image, self._stream.width, self._stream.height)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(fitted), format="rgb24")
        frame.pts, frame.time_base = tick, Fraction(1, _TICKS)
        frame.duration = round(_LAST_PICTURE * _TICKS)
        self._encode(frame)

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if exc_type is None and self._stream is not None:
                self._encode(None)
            self._close(exc_type is None)
            if exc_type is None and self._stream is not None:
                self._temporary.replace(self._path)
        finally:
            self._temporary.unlink(missing_ok=True)

    def _new_stream(self, width: int, height: int) -> av.VideoStream:
        # Without pictures that refer to later ones (bf), or a video with a long pause would be said to end too early.
        stream = self._container.add_stream("libx264", options={"crf": "22", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, _TICKS)
        return stream

    def _encode(self, frame: av.VideoFrame | None) -> None:
        assert self._stream is not None
        try:
            self._container.mux(self._stream.encode(frame))
        except (av.FFmpegError, OSError) as error:
            raise self._cannot_be_written(error) from error

    def _close(self, complete: bool) -> None:
        try:
            self._container.close()
        except (av.FFmpegError, OSError) as error:
            # Of a video that is given up the first failure is the news.
            if complete:
                raise self._cannot_be_written(error) from error

    def _cannot_be_written(self, error: av.FFmpegError | OSError) -> UserError:
        return UserError(f"{self._path}: cannot be written: {error.strerror}")


def _fitted(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """The image with at most an odd row and column cut off; one of another size scaled into the middle, on black."""
    if image.shape[0] // 2 * 2 == height and image.shape[1] // 2 * 2 == width:
        return image[:height, :width]
    scale = min(width / image.shape[1], height / image.shape[0])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    canvas = np.zeros((height, width, 3), np.uint8)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    canvas[top : top + size[1], left : left + size[0]] = scaled
    return canvas
