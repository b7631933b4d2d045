"""Result files of frames, and paths that cannot be written."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mp_perception.data.frame_sets import FrameCamera
from mp_perception.errors import UserError
from mp_perception.evaluation.result_files import ResultPaths, write_depth, write_detections
from mp_perception.geometry import CameraIntrinsics
from mp_perception.prediction import Detections, Prediction


def detections(position: list[float]) -> Detections:
    one = np.ones(1, np.float32)
    box = np.array([[10.5, 20.25, 30.0, 40.0]], np.float32)
    return Detections(
        box, one * 0.75, np.array([1]), one, one, one, np.array([position], np.float32), ("Car", "Cyclist")
    )


def test_detections_are_kitti_results_in_the_label_frame(tmp_path: Path) -> None:
    shift = np.eye(4)
    shift[:3, 3] = (0.06, 0.0, 0.5)
    camera = FrameCamera(CameraIntrinsics(50, 50, 31, 15, 64, 32), shift)
    write_detections(tmp_path, "drive/000007", detections([1.0, 2.0, 10.0]), camera)
    line = (tmp_path / "drive" / "000007.txt").read_text()
    assert line == ("Cyclist -1.00 -1 -10.00 10.5 20.25 30 40 -1.00 -1.00 -1.00 0.94 2.00 9.50 -10.00 0.75\n")
    write_detections(tmp_path, "unknown", detections([np.nan, np.nan, 10.0]), camera)
    assert (tmp_path / "unknown.txt").read_text().split()[11:14] == ["-1000.00"] * 3


def test_depth_is_16_bit_at_the_images_size(tmp_path: Path) -> None:
    depth = np.full((16, 32), 12.5, np.float32)
    depth[0, :4] = np.nan
    write_depth(tmp_path, "000001", Prediction(detections([0, 0, 1]), depth, (32, 64)))
    stored = cv2.imread(str(tmp_path / "000001.png"), cv2.IMREAD_UNCHANGED)
    assert (stored.shape, stored.dtype) == ((32, 64), np.uint16)
    assert stored[0, 0] == 0
    assert stored[-1, -1] == 12.5 * 256


def test_paths_that_cannot_be_written_are_refused_before_the_run(tmp_path: Path) -> None:
    ResultPaths(json=tmp_path / "a", report=tmp_path / "b", plots=tmp_path / "new" / "deeper").check()
    (tmp_path / "old.txt").write_text("")
    for paths, message in (
        (ResultPaths(report=tmp_path), "expected a file for the report, found a folder"),
        (ResultPaths(json=tmp_path / "a", report=tmp_path / "a"), "found it named twice"),
        (ResultPaths(plots=tmp_path / "a", depth=tmp_path / "a"), "found it named twice"),
        (ResultPaths(detections=tmp_path), "expected a new or empty folder, found something there"),
        (ResultPaths(plots=tmp_path / "old.txt" / "below"), "is not a folder that can be written to"),
    ):
        with pytest.raises(UserError, match=message):
            paths.check()


def test_a_report_without_its_libraries_is_refused_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mp_perception.evaluation.result_files.find_spec", lambda library: None)
    ResultPaths(json=tmp_path / "figures.json").check()
    with pytest.raises(UserError, match=r"report.html: needs jinja2: pip install 'mp_perception\[reports\]'"):
        ResultPaths(report=tmp_path / "report.html").check()
    with pytest.raises(UserError, match="plots: needs matplotlib"):
        ResultPaths(plots=tmp_path / "plots").check()
