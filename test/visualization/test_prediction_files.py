"""What `predict` writes: the JSON's keys, the depth map's units, complete files only."""

import json

import cv2
import numpy as np
import pytest

from mp_perception.data.depth_png import read_depth_png
from mp_perception.errors import UserError
from mp_perception.prediction import Detections, Prediction
from mp_perception.visualization.prediction_files import write_prediction


@pytest.fixture
def prediction():
    detections = Detections(
        boxes=np.array([[10, 20, 30.126, 40], [1, 2, 3, 4]], np.float32),
        scores=np.array([0.9, 0.4], np.float32),
        labels=np.array([1, 0]),
        depth=np.array([12.5, np.nan], np.float32),
        depth_std=np.array([0.25, np.nan], np.float32),
        valid_fraction=np.array([1, 0], np.float32),
        position=np.array([[1, 2, 12.5], [np.nan, np.nan, np.nan]], np.float32),
        class_names=("Car", "Pedestrian"),
    )
    depth = np.full((24, 32), 12.5, np.float32)
    depth[:, :16] = np.nan
    return Prediction(detections, depth, (48, 64), {"inference": 3.14159})


def test_three_files(prediction, tmp_path):
    image = np.zeros((48, 64, 3), np.uint8)
    write_prediction(tmp_path / "drive" / "7", "7.png", image, prediction)
    assert {file.name for file in (tmp_path / "drive").iterdir()} == {"7.json", "7_depth.png", "7_overlay.png"}
    assert json.loads((tmp_path / "drive" / "7.json").read_text()) == {
        "image": "7.png",
        "width": 64,
        "height": 48,
        "detections": [
            {
                "class": "Pedestrian",
                "score": 0.9,
                "box": [10, 20, 30.13, 40],
                "depth": 12.5,
                "depth_std": 0.25,
                "position": [1, 2, 12.5],
            },
            {"class": "Car", "score": 0.4, "box": [1, 2, 3, 4], "depth": None, "depth_std": None, "position": None},
        ],
        "timings_ms": {"inference": 3.142},
    }
    stored = cv2.imread(str(tmp_path / "drive" / "7_depth.png"), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16
    assert stored[0, 63] == 12.5 * 256
    assert stored[0, 0] == 0
    assert np.isnan(read_depth_png(tmp_path / "drive" / "7_depth.png")[0, 0])


def test_a_folder_that_cannot_be_created_is_named(prediction, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="7_overlay.png: cannot be written: "):
        write_prediction(tmp_path / "file" / "7", "7.png", np.zeros((48, 64, 3), np.uint8), prediction)
