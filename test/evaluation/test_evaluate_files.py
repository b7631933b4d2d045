"""Result files and folders, shares of several processes, depth by distance, pictures and tables."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from mp_perception.data.frame_sets import FrameCamera
from mp_perception.errors import UserError
from mp_perception.evaluation.depth_by_distance import DepthByDistance, mean_relative_error
from mp_perception.evaluation.distributed import process_number, share_of_images, threads_per_process
from mp_perception.evaluation.files import (
    check_result_folder,
    describe_origin,
    result_folder,
    write_depth,
    write_detections,
)
from mp_perception.evaluation.tables import measure_network, paper_tables
from mp_perception.geometry import CameraIntrinsics
from mp_perception.inference.predictor import Predictor
from mp_perception.network.checkpoint import write_checkpoint
from mp_perception.network.multitask import MultiTaskNetwork, describe_network
from mp_perception.prediction import Detections, Prediction


def detections(position: list[float]) -> Detections:
    one = np.ones(1, np.float32)
    box = np.array([[10.5, 20.25, 30.0, 40.0]], np.float32)
    return Detections(
        box, one * 0.75, np.array([1]), one, one, one, np.array([position], np.float32), ("Car", "Cyclist")
    )


def test_detections_are_kitti_results_in_camera_0s_frame(tmp_path: Path) -> None:
    shift = np.eye(4)
    shift[:3, 3] = (0.06, 0.0, 0.5)
    camera = FrameCamera(CameraIntrinsics(50, 50, 31, 15, 64, 32), shift)
    write_detections(tmp_path, "drive/000007", detections([1.0, 2.0, 10.0]), camera)
    line = (tmp_path / "drive" / "000007.txt").read_text()
    assert line == (
        "Cyclist -1.00 -1 -10.00 10.50 20.25 30.00 40.00 -1.00 -1.00 -1.00 0.94 2.00 9.50 -10.00 0.750000\n"
    )
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


def test_a_folder_appears_complete_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "results"
    with result_folder(target, "7", is_first=True) as folder:
        assert folder is not None
        (folder / "a.txt").write_text("a")
        # Another process of the same run writes into the same folder, and neither renames nor removes it.
        with result_folder(target, "7", is_first=False) as other:
            assert other == folder
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["a.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def fail_while_writing(target: Path) -> None:
    with result_folder(target, "7", is_first=True) as folder:
        assert folder is not None
        (folder / "a.txt").write_text("a")
        raise UserError("scan 3 is broken")


def test_nothing_is_left_of_a_run_that_failed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="scan 3 is broken"):
        fail_while_writing(tmp_path / "results")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_results_is_refused(tmp_path: Path) -> None:
    check_result_folder(tmp_path / "new" / "deeper")
    check_result_folder(tmp_path)
    (tmp_path / "old.txt").write_text("")
    with pytest.raises(UserError, match="expected no such folder or an empty one, found something there"):
        check_result_folder(tmp_path)
    with pytest.raises(UserError, match="is not a folder that can be written to"):
        check_result_folder(tmp_path / "old.txt" / "below")


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
def test_every_image_goes_to_exactly_one_process(monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    taken = []
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    for number in range(processes):
        monkeypatch.setenv("RANK", str(number))
        assert process_number() == number
        taken += share_of_images(7)
    assert sorted(taken) == list(range(7))


def test_threads_are_as_wanted_in_every_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert threads_per_process(3) == 3
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "100000")
    assert threads_per_process(0) == 1


def test_depth_by_distance_by_hand() -> None:
    truth = np.array([[4.0, 12.0, 12.0, np.nan, 90.0]], np.float32)
    found = np.array([[5.0, 12.0, 18.0, 1.0, 1.0]], np.float32)
    measured = DepthByDistance()
    measured.add(truth, found)
    rows = {(row["from"], row["to"]): row for row in measured.result()}
    assert rows[0, 5]["rel"] == pytest.approx(0.25)
    assert rows[10, 15]["rel"] == pytest.approx(0.25)
    assert rows[10, 15]["d1"] == 0.5
    assert [row["pixels"] for row in rows.values()] == [1, 0, 2, *[0] * 8]
    assert mean_relative_error(truth, found) == pytest.approx((0.25 + 0 + 0.5) / 3)
    assert mean_relative_error(truth, np.full_like(truth, np.nan)) is None


def printed(tables: list) -> str:
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    for table in tables:
        console.print(table)
    return console.export_text()


def test_the_papers_first_table_counts_what_the_paper_counts(tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    write_checkpoint(path, MultiTaskNetwork(describe_network("mobilenet_v2")))
    predictor = Predictor.load(weights=path, input_size=(96, 320), num_threads=1)
    assert describe_origin(predictor)["weights"]["parameters"] == 2_439_024
    figures = measure_network(predictor, None)
    text = printed(paper_tables([figures]))
    for word in ("36.7", "29.1", "~2.4 M", "~75.1 M", "2,439,024", "here, network alone", "320x96", "RTX 2080 Ti"):
        assert word in text
    assert "Table 2" not in text


def test_the_papers_unknown_figures_are_named_unknown(tmp_path: Path) -> None:
    figures = measure_network(Predictor.load("mobilenet_v2", input_size=(96, 320), num_threads=1), None)
    row = dict.fromkeys(("d1", "d2", "d3", "rel", "rmse", "log10"), 0.5) | {"images": 3, "count": 4}
    depth = row | {"rmse_in_paper_units": 0.128, "correct": row | {"images": 2}}
    people = {"People": row, "Vehicle": row}
    result = {"depth": depth, "objects": people | {"correct": people}}
    text = printed(paper_tables([type(figures)("mine", None, 1.0, 1.0, "here", result)]))
    assert text.count("Table 3") == 2
    # Two networks of the paper's, seven cells each, in three tables; each cell in two lines.
    assert text.count("known") - text.count("not known") == 3 * 2 * 7
    assert "mine, faulty" in text
    assert "mine, faulty: rmse 0.128 if the paper's unit is 3.906 m" in text
