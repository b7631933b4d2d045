"""Which frames are examples, and that their pictures show what they say."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mp_perception.evaluation.report.example_frames import (
    MAX_PICTURE_SIZE,
    choose_frames,
    draw_depth,
    draw_objects,
    example_frames,
    write_examples,
)
from mp_perception.visualization.depth_colors import color_depth


def names(count: int) -> list[str]:
    return [f"{i:03d}" for i in range(count)]


def test_worst_and_best_are_the_ends_of_the_ranking(make_job) -> None:
    _, evaluation = make_job(names(6), [0.3, 0.1, 0.6, 0.2, 0.5, 0.4], [3, 3, 1, 3, 0, 3], size=(96, 320))
    assert choose_frames(evaluation) == {
        "worst depth": ["002", "004", "005"],
        "worst detection": ["004", "002"],
        "best depth": ["001", "003", "000"],
    }


def test_the_worst_frames_of_a_video_are_not_one_scene(make_job) -> None:
    """Errors that rise and fall slowly: without a distance, all three would be neighbours."""
    errors = [0.2 + 0.1 * np.sin(i / 20) for i in range(200)]
    _, evaluation = make_job(names(200), errors, [3] * 90 + [0] * 20 + [3] * 90, size=(48, 160))
    chosen = choose_frames(evaluation)
    worst = [int(name) for name in chosen["worst depth"]]
    assert worst[0] == max(range(200), key=lambda i: errors[i])
    assert all(abs(a - b) >= 10 for a in worst for b in worst if a != b)
    assert chosen["worst detection"] == ["090", "100"]


def test_one_frame_alone_is_the_best_and_frames_without_depth_have_no_rank(make_job) -> None:
    _, evaluation = make_job(names(2), [0.1, None], [3, 3])
    assert choose_frames(evaluation) == {"worst depth": [], "worst detection": [], "best depth": ["000"]}


def test_captions_say_why_a_frame_was_chosen(make_job) -> None:
    job, evaluation = make_job(names(2), [0.1, 0.2], [3, 1])
    captions = {example.kind: example.caption for example in example_frames(job, evaluation, None)}
    labelled = "Labelled: 1 Car, 1 Pedestrian, 1 Cyclist."
    known = "over the pixels whose true depth is known."
    assert captions == {
        "worst depth": f"Mean relative error 0.200 {known} {labelled}",
        "worst detection": f"Objects missed: 2, false alarms: 0 (KITTI's moderate rules). {labelled}",
        "best depth": f"Mean relative error 0.100 {known} {labelled}",
    }


def test_colours_are_depths_and_errors(make_job) -> None:
    job, _ = make_job(["a"], [0.4], [3])
    predicted, true, error = draw_depth(job.data_set[0], job.data_set.recorded_prediction(0))
    # True depth is 10 m everywhere, predicted 14 m: an error of 0.4 of at most 0.5, orange.
    expected = color_depth(np.array([[14, 10]], dtype=np.float32), scale_bar=False)[0]
    np.testing.assert_array_equal(np.median(predicted.pixels, axis=(0, 1)), expected[0])
    np.testing.assert_array_equal(np.median(true.pixels, axis=(0, 1)), expected[1])
    turbo = cv2.applyColorMap(np.array([[204]], np.uint8), cv2.COLORMAP_TURBO)[0, 0, ::-1]
    np.testing.assert_allclose(np.median(error.pixels, axis=(0, 1)), turbo, atol=1)


def test_detected_and_true_boxes_are_drawn(make_job) -> None:
    job, _ = make_job(["a"], [0.4], [3])
    prediction = job.data_set.recorded_prediction(0)
    # Two of the three detections are shown; a true box lies where none of them is.
    picture = draw_objects(job.data_set[0], prediction.detections[:2], [(200, 30, 240, 85)])
    assert picture.title == "detected, in colour: 1 Car, 1 Pedestrian; labelled, in white"
    differences = np.abs(picture.pixels.astype(int) - 128)
    assert differences[30:80, 20:150].max() > 60
    np.testing.assert_array_equal(picture.pixels[60, 200], 255)
    assert differences[50:60, 210:230].max() == 0


def test_pictures_are_small_whatever_the_image_is(make_job) -> None:
    job, evaluation = make_job(["a"], [0.4], [3], size=(1500, 4000), noise=127)
    (example,) = example_frames(job, evaluation, None)
    assert len(example.pictures) == 4
    for picture in example.pictures:
        height, width = picture.pixels.shape[:2]
        assert width <= MAX_PICTURE_SIZE[0]
        assert width / height == pytest.approx(4000 / 1500, rel=0.02)


def test_the_folder_has_each_example_as_one_picture(make_job, tmp_path: Path) -> None:
    job, evaluation = make_job([f"drive/{i}" for i in range(3)], [0.1, 0.2, 0.3], [3, 3, 3])
    write_examples(tmp_path, example_frames(job, evaluation, None))
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["best_depth_1_drive_0.jpg", "best_depth_2_drive_1.jpg", "worst_depth_1_drive_2.jpg"]
    picture = cv2.imread(str(tmp_path / files[0]))
    assert picture.shape == (4 * 96, 320, 3)
    assert picture.std() > 30
