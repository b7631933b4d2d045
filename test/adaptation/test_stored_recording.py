"""A recording as the training reads it: parts apart in time, the same pixels and metres."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mp_perception.adaptation.recording_checks import Finding
from mp_perception.adaptation.stored_recording import (
    HELD_OUT,
    TRAINING,
    read_findings,
    split_frames,
    store_findings,
    store_recording,
)
from mp_perception.data.frame_sets import DroppedFrameError, Frame, FrameCamera, FrameSet
from mp_perception.data.object_label import ObjectLabel
from mp_perception.data.recording import Recording
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics


@given(st.integers(3, 3000))
def test_the_last_fifth_is_held_out_behind_a_gap(count: int) -> None:
    training, held = split_frames(["bag"] * count)
    assert training[0] == 0
    assert held[-1] == count - 1
    assert len(held) == pytest.approx(count / 5, abs=0.51)
    assert held[0] - training[-1] > max(1, 0.04 * count - 1)


@given(st.lists(st.integers(1, 50), min_size=2, max_size=6))
def test_whole_bags_are_held_out(sizes: list[int]) -> None:
    bag_of = [f"bag{number}" for number, size in enumerate(sizes) for _ in range(size)]
    training, held = split_frames(bag_of)
    assert sorted([*training, *held]) == list(range(len(bag_of)))
    assert max(training) < min(held)
    assert not {bag_of[i] for i in training} & {bag_of[i] for i in held}
    without_first = len(held) - sizes[int(bag_of[held[0]][3:])]
    assert without_first < 0.2 * len(bag_of)  # no more bags than needed


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(UserError, match="two parts, found 2"):
        split_frames(["bag"] * 2)


class Frames(FrameSet):
    """Thirty frames with their number as brightness and depth; one is unusable, one has no depth."""

    def __init__(self, focal_length: float = 100.0) -> None:
        super().__init__("frames", [Frame(f"{number:03}", Path(), Path()) for number in range(30)])
        self.focal_length = focal_length

    def image(self, index: int) -> NDArray[np.uint8]:
        if index == 3:
            raise DroppedFrameError("image unusable", "frame 3")
        return np.full((32, 64, 3), 5 * index, np.uint8)

    def depth(self, index: int) -> NDArray[np.float32]:
        return np.full((32, 64), np.nan if index == 4 else 1 + index / 16, np.float32)

    def camera(self, index: int, width: int, height: int) -> FrameCamera:
        return FrameCamera(CameraIntrinsics(self.focal_length if index == 9 else 100.0, 100, 31, 15, width, height))

    def labels(self, index: int) -> list[ObjectLabel] | None:
        return [ObjectLabel("Car", (1, 2, 30, 20))] if index == 5 else None

    def seconds(self) -> NDArray[np.float64]:
        return 1000 + np.arange(30) / 10


def test_frames_are_stored_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = Frames()
    store_recording(source, tmp_path, max_frames=300)
    training, held = Recording(tmp_path, TRAINING), Recording(tmp_path, HELD_OUT)
    assert [frame.name for frame in held.frames] == [f"{i:06}" for i in range(24, 30)]
    numbers = [int(frame.name) for frame in training.frames]
    assert numbers == [i for i in range(23) if i not in (3, 4)]
    for place, number in enumerate(numbers):
        sample = training[place]
        assert sample.intrinsics == CameraIntrinsics(100, 100, 31, 15, 64, 32)
        assert sample.depth is not None
        assert (sample.depth == 1 + number / 16).all()
        assert np.abs(sample.image.astype(int) - 5 * number).max() <= 1
        assert len(training.labels(place) or []) == (number == 5)
    seconds = held.seconds()
    assert seconds is not None
    assert seconds == pytest.approx(1000 + np.arange(24, 30) / 10)
    text = capsys.readouterr().err
    assert "1 of 29 frames are left out: image unusable" in text
    assert "1 of 29 frames are left out: no depth" in text


def test_a_long_recording_is_sampled_evenly(tmp_path: Path) -> None:
    store_recording(Frames(), tmp_path, max_frames=8)
    names = [int(frame.name) for frame in Recording(tmp_path, TRAINING).frames]
    assert len(names) in (7, 8)  # frame 3 is unusable
    assert np.diff(names).max() <= 7
    assert len(Recording(tmp_path, HELD_OUT)) == 2


def test_a_camera_that_changes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="009: expected one camera in the whole recording"):
        store_recording(Frames(focal_length=120.0), tmp_path, max_frames=300)


def test_findings_outlast_a_run(tmp_path: Path) -> None:
    findings = [
        Finding("warn", "holes", "65% of the pixels have no depth", np.full((8, 8, 3), 100, np.uint8)),
        Finding("mended", "reading", "depth registered"),
    ]
    store_findings(findings, tmp_path)
    first, second = read_findings(tmp_path)
    assert (first.severity, first.name, first.text) == ("warn", "holes", "65% of the pixels have no depth")
    assert first.picture is not None
    assert np.abs(first.picture.astype(int) - 100).max() <= 2
    assert second == findings[1]
