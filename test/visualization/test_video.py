"""Videos: pictures at their own times, complete or absent."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from mp_perception.errors import UserError
from mp_perception.visualization.video import LONGEST_PAUSE, VideoWriter

SECOND = 1_000_000_000


def grey(value: int, height: int = 32, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def decoded(path: Path) -> tuple[list[float], list[np.ndarray], float]:
    """Times, pictures and length in seconds."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        stream = container.streams.video[0]
        assert stream.duration is not None
        assert stream.time_base is not None
        length = float(stream.duration * stream.time_base)
        return [float(frame.time) for frame in frames], [frame.to_ndarray(format="rgb24") for frame in frames], length


def test_pictures_are_shown_at_their_own_times(tmp_path: Path) -> None:
    start = 1_316_995_200 * SECOND
    times = [0.0, 0.1, 0.25, 0.25, 3.0, 1000.0, 1000.1]
    with VideoWriter(tmp_path / "out.mp4") as video:
        for number, seconds in enumerate(times):
            video.write(grey(30 * number), start + round(seconds * SECOND))
    found, pictures, length = decoded(tmp_path / "out.mp4")
    # Equal times are a millisecond apart, and long pauses are shortened.
    pause = 3.0 + LONGEST_PAUSE
    np.testing.assert_allclose(found, [0.0, 0.1, 0.25, 0.251, 3.001, pause + 0.001, pause + 0.101], atol=2e-5)
    np.testing.assert_allclose([picture.mean() for picture in pictures], [30 * n for n in range(7)], atol=3)
    assert pause < length < pause + 0.5


def test_odd_and_other_sizes_fit_the_first_picture(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "out.mp4") as video:
        video.write(grey(200, 33, 65), 0)
        video.write(grey(200, 32, 32), SECOND)
    _, (first, second), _ = decoded(tmp_path / "out.mp4")
    assert first.shape == second.shape == (32, 64, 3)
    # Half as wide: in the middle, with black beside it.
    assert second[:, 20:44].mean() == pytest.approx(200, abs=4)
    assert second[:, :12].mean() < 4
    assert second[:, 52:].mean() < 4


def test_an_interrupted_video_or_one_without_pictures_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_text("earlier")

    def interrupt() -> None:
        with VideoWriter(target) as video:
            video.write(grey(0), 0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    with VideoWriter(target):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert target.read_text() == "earlier"


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    def write() -> None:
        with VideoWriter(tmp_path / "file" / "out.mp4") as video:
            video.write(grey(0), 0)

    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/out.mp4: cannot be written: "):
        write()
