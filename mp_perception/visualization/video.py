"""Pictures as a video that every player opens (H.264, yuv420p, MP4)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.errors import UserError
from mp_perception.files import complete_file

#: Ticks per second, the time base of MPEG.
_TICKS = 90_000
#: Maximum time between two pictures, seconds.
LONGEST_PAUSE = 10
#: Minimum ticks between two pictures.
_MIN_STEP = _TICKS // 1000
#: Duration of the last picture, seconds.
_LAST_PICTURE = 0.1


class VideoWriter:
    """Writes an MP4 file, used as a context manager; the file appears when it is complete (see `complete_file`).

    The first picture decides the size; an odd side loses its last row or column, because the format stores colour for
    2x2 pixels.  Pictures of another size are scaled to fit.  Without pictures no file is written.
    Raises UserError if the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._exit = ExitStack()
        self._stream: av.VideoStream | None = None
        self._last_time_ns = self._last_tick = 0

    def __enter__(self) -> Self:
        self._temporary = self._exit.enter_context(complete_file(self._path))
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._exit.__exit__(exc_type, exc, traceback)

    def write(self, image: NDArray[np.uint8], time_ns: int) -> None:
        """Append an RGB image (H, W, 3) of at least 2x2 pixels.

        time_ns: when it was taken, nanoseconds from any start; pictures follow each other as their times do, at least
        1 ms and at most LONGEST_PAUSE apart.
        """
        with self._reported():
            if self._stream is None:
                self._stream = self._open(image.shape[1] // 2 * 2, image.shape[0] // 2 * 2)
                tick = 0
            else:
                step = round((time_ns - self._last_time_ns) * _TICKS / 1e9)
                tick = self._last_tick + min(max(step, _MIN_STEP), LONGEST_PAUSE * _TICKS)
            self._last_time_ns, self._last_tick = time_ns, tick
            fitted = _fitted(image, self._stream.width, self._stream.height)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(fitted), format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, _TICKS)
            frame.duration = round(_LAST_PICTURE * _TICKS)
            self._container.mux(self._stream.encode(frame))

    def _open(self, width: int, height: int) -> av.VideoStream:
        self._container = av.open(str(self._temporary), "w")
        self._exit.push(self._close)
        # With frames that refer to later ones (bf), the duration of a video with a long pause would be too short.
        stream = self._container.add_stream("libx264", options={"crf": "22", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, _TICKS)
        return stream

    def _close(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc_type is not None:
            # The first error is the one to report.
            with suppress(av.FFmpegError, OSError):
                self._container.close()
            return
        with self._reported():
            assert self._stream is not None
            self._container.mux(self._stream.encode(None))
            self._container.close()

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            raise UserError(f"{self._path}: cannot be written: {error.strerror}") from error


def _fitted(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """The image without an odd last row or column; an image of another size scaled into the middle, on black."""
    if image.shape[0] // 2 * 2 == height and image.shape[1] // 2 * 2 == width:
        return image[:height, :width]
    scale = min(width / image.shape[1], height / image.shape[0])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    canvas = np.zeros((height, width, 3), np.uint8)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    canvas[top : top + size[1], left : left + size[0]] = scaled
    return canvas
