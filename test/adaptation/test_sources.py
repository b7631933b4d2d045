"""What a camera recorded, as one data set."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mp_perception.adaptation.sources import ImageFolders, open_source
from mp_perception.bags.recording_to_bag import write_recording
from mp_perception.bags.topic_choice import ChosenTopics
from mp_perception.data.depth_png import write_depth_png
from mp_perception.data.recording import Recording
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics

LABEL = "Car -1 -1 -10 1 2 9 30 -1 -1 -1 -1000 -1000 -1000 -10\n"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    root = tmp_path / "recording"
    (root / "image").mkdir(parents=True)
    (root / "label").mkdir()
    random = np.random.default_rng(0)
    for number in range(3):
        cv2.imwrite(str(root / "image" / f"{number}.png"), random.integers(0, 255, (32, 64, 3), dtype=np.uint8))
        depth = random.uniform(1, 9, (32, 64)).astype(np.float32)
        depth[number] = np.nan
        write_depth_png(root / "depth" / f"{number}.png", depth)
        (root / "label" / f"{number}.txt").write_text(LABEL if number == 1 else "")
    (root / "calib.txt").write_text("fx 60\nfy 61\ncx 31.5\ncy 15\nwidth 64\nheight 32\n")
    return root


def test_a_bag_of_a_recording_has_its_pixels_depth_camera_and_boxes(recording: Path, tmp_path: Path) -> None:
    assert write_recording(recording, None, tmp_path / "bag") == 3
    original = Recording(recording)
    with open_source([tmp_path / "bag"], ChosenTopics(), None) as frames:
        assert len(frames) == 3
        for index in range(3):
            sample, expected = frames[index], original[index]
            assert (sample.image == expected.image).all()
            np.testing.assert_array_equal(sample.depth, expected.depth)
            assert sample.intrinsics == expected.intrinsics
            assert sample.boxes.tolist() == expected.boxes.tolist()
        seconds = frames.seconds()
        assert seconds is not None
        assert np.diff(seconds) == pytest.approx([0.1, 0.1], abs=1e-6)


def test_folders_in_millimetres(recording: Path) -> None:
    folders = ImageFolders(recording / "image", recording / "depth", (60, 61, 31.5, 15), depth_units=1000)
    expected = Recording(recording)[0]
    assert expected.depth is not None
    with open_source([], ChosenTopics(), folders) as frames:
        np.testing.assert_allclose(frames[0].depth, expected.depth * 0.256, rtol=1e-6)
        assert frames[0].intrinsics == CameraIntrinsics(60, 61, 31.5, 15, 64, 32)


def test_what_is_given_must_be_one_thing(recording: Path) -> None:
    folders = ImageFolders(recording / "image", recording / "nothing", (60, 61, 31.5, 15))
    for recordings, given, words in (
        ([], None, "expected either bags"),
        ([recording], folders, "expected either bags"),
        ([recording, recording], None, "folder of one recording"),
        ([], folders, "no such folder, expected depth maps"),
    ):
        with pytest.raises(UserError, match=words), open_source(recordings, ChosenTopics(), given):
            pass
