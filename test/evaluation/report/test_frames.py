"""Which frames are kept, and that their pictures show what they say."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mp_perception.data.samples import Sample
from mp_perception.evaluation.report.frames import (
    MAX_PICTURE_BYTES,
    MAX_PICTURE_SIZE,
    NUM_FRAMES,
    FrameGallery,
    KeptFrame,
    draw_frame,
    frame_plots,
)
from mp_perception.evaluation.report.plots import render
from mp_perception.prediction import Prediction
from mp_perception.visualization.depth_colors import color_depth

MakeFrame = Callable[..., tuple[Sample, Prediction]]


def pixels(frame: KeptFrame, title: str) -> np.ndarray:
    (picture,) = (picture for picture in frame.pictures if picture.title == title)
    decoded = cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape[1::-1] == picture.size
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(int)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=14), st.integers(1, 4))
def test_best_and_worst_are_those_of_the_whole_sorted_list(
    make_frame: MakeFrame, errors: list[int], num_parts: int
) -> None:
    parts = [FrameGallery(0.3) for _ in range(num_parts)]
    for i, error in enumerate(errors):
        parts[i % num_parts].add(*make_frame(f"{i:02d}", error / 100, size=(8, 16)))
    for part in parts[1:]:
        parts[0].merge(part)
    ranked = [f"{i:02d}" for _, i in sorted((error, i) for i, error in enumerate(errors))]
    best, worst = ([frame.name for frame in frames] for frames in (parts[0].best(), parts[0].worst()))
    assert best == ranked[: min(NUM_FRAMES, (len(ranked) + 1) // 2)]
    assert worst == ranked[::-1][: min(NUM_FRAMES, len(ranked) // 2)]


def test_only_frames_that_are_kept_are_drawn(make_frame: MakeFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def count(*values: object) -> KeptFrame:
        drawn.append(values)
        return draw_frame(*values)

    monkeypatch.setattr("mp_perception.evaluation.report.frames.draw_frame", count)
    gallery = FrameGallery(0.3)
    frames = [make_frame(f"{i:02d}", 0.1 + 0.01 * (i % 2), size=(8, 16)) for i in range(100)]
    for frame in frames:
        gallery.add(*frame)
    assert NUM_FRAMES * 2 <= len(drawn) < 60
    assert len(gallery._best) == len(gallery._worst) == NUM_FRAMES


def test_a_frame_without_depth_is_no_candidate(make_frame: MakeFrame) -> None:
    sample, prediction = make_frame("a", 0.1)
    gallery = FrameGallery(0.3)
    gallery.add(Sample("b", "test", sample.image, sample.class_names), prediction)
    assert gallery.best() == gallery.worst() == []


def test_colours_are_depths_and_errors(make_frame: MakeFrame) -> None:
    frame = draw_frame(*make_frame("a", 0.4, size=(96, 320)), 0.4, 0.75)
    # True depth is 10 m everywhere, predicted 14 m: an error of 0.4 of at most 0.5, orange.
    predicted, true = color_depth(np.array([[14, 10]], dtype=np.float32), scale_bar=False)[0]
    np.testing.assert_allclose(np.median(pixels(frame, "predicted depth"), axis=(0, 1)), predicted, atol=6)
    np.testing.assert_allclose(np.median(pixels(frame, "true depth"), axis=(0, 1)), true, atol=6)
    turbo = cv2.applyColorMap(np.array([[204]], np.uint8), cv2.COLORMAP_TURBO)[0, 0, ::-1]
    np.testing.assert_allclose(np.median(pixels(frame, "error map"), axis=(0, 1)), turbo, atol=6)
    assert np.abs(pixels(frame, "image") - 128).max() < 6
    # Two of the three detections have a score of 0.75.
    assert frame.objects == {"Car": 1, "Pedestrian": 1}
    assert "1 Car, 1 Pedestrian" in frame.pictures[0].description
    objects = pixels(frame, "objects")
    assert np.abs(objects[30:80, 20:150] - 128).max() > 60
    assert np.abs(objects[30:90, 198:260] - 128).max() < 20


def test_pictures_are_small_whatever_they_show(make_frame: MakeFrame) -> None:
    frame = draw_frame(*make_frame("a", 0.4, size=(1500, 4000), noise=127), 0.4, 0.3)
    for picture in frame.pictures:
        assert len(picture.jpeg) <= MAX_PICTURE_BYTES
        assert picture.size[0] <= MAX_PICTURE_SIZE[0]
        assert picture.size[0] / picture.size[1] == pytest.approx(4000 / 1500, rel=0.02)


def test_the_folder_has_each_kept_frame_as_one_picture(make_frame: MakeFrame) -> None:
    gallery = FrameGallery(0.3)
    for i in range(3):
        gallery.add(*make_frame(f"drive/{i}", 0.1 * (i + 1)))
    plots = frame_plots(gallery)
    assert [plot.name for plot in plots] == ["best_1_drive_0", "best_2_drive_1", "worst_1_drive_2"]
    picture = cv2.imdecode(np.frombuffer(render(plots[0], "png"), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[0] > 1000
    assert picture.std() > 30
