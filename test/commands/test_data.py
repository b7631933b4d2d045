"""`mp_perception data`: files written, resumed, refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from mp_perception.commands.data import app
from mp_perception.errors import UserError


def data(*arguments: object) -> str:
    """What `mp_perception data ARGUMENTS` prints; raises what the command raises."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False).output


@pytest.fixture
def object_set(tmp_path: Path) -> Path:
    """Three frames of noise, two of them with a sparse depth map."""
    training = tmp_path / "object" / "training"
    for kind in ("image_2", "label_2", "calib", "depth_2"):
        (training / kind).mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(3):
        cv2.imwrite(
            str(training / "image_2" / f"{number:06d}.png"), random.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        )
        (training / "label_2" / f"{number:06d}.txt").write_text("")
        (training / "calib" / f"{number:06d}.txt").write_text("P2: 1 0 0 0 0 1 0 0 0 0 1 0\n")
    for number in (0, 2):
        depth = random.integers(500, 20_000, (20, 30)).astype(np.uint16)
        depth[random.random((20, 30)) < 0.9] = 0
        cv2.imwrite(str(training / "depth_2" / f"{number:06d}.png"), depth)
    return tmp_path / "object"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_maps_are_filled_once(object_set: Path, tmp_path: Path, workers: str) -> None:
    out = tmp_path / "filled"
    arguments = ["complete-depth", object_set, out, "--dataset", "kitti-object", "--workers", workers]
    assert "2 maps filled, 0 existed already" in data(*arguments)
    assert sorted(path.name for path in out.iterdir()) == ["000000.png", "000002.png"]
    for path in out.iterdir():
        sparse = cv2.imread(str(object_set / "training" / "depth_2" / path.name), cv2.IMREAD_UNCHANGED)
        filled = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert (filled > 0).all()
        assert (filled[sparse > 0] == sparse[sparse > 0]).all()
    (out / "000002.png").unlink()
    (out / "000000.png").write_bytes(b"kept")
    assert "1 maps filled, 1 existed already" in data(*arguments)
    assert (out / "000000.png").read_bytes() == b"kept"
    assert (out / "000002.png").exists()


def test_what_cannot_be_read_is_named(object_set: Path, tmp_path: Path) -> None:
    arguments = ["complete-depth", object_set, tmp_path / "filled", "--dataset", "kitti-object"]
    (object_set / "training" / "depth_2" / "000002.png").write_bytes(b"no image")
    for workers in ("1", "2"):
        with pytest.raises(UserError, match="000002.png: expected a 16-bit depth PNG"):
            data(*arguments, "--workers", workers)
    assert not (tmp_path / "filled" / "000002.png").exists()
    for path in (object_set / "training" / "depth_2").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="expected frames with depth maps, found none"):
        data(*arguments)


@pytest.mark.shared_data
def test_scans_become_maps_and_drives_without_scans_are_refused(shared_data: Path, tmp_path: Path) -> None:
    raw = shared_data / "kitti" / "raw" / "2011_09_26"
    drive = "2011_09_26_drive_0001_sync"
    output = data("project-lidar", raw / drive, "--out", tmp_path / "depth", "--workers", 1)
    assert "2 maps written, 0 existed already" in output
    written = sorted(path.relative_to(tmp_path / "depth" / "train" / drive) for path in tmp_path.rglob("*.png"))
    assert [str(path) for path in written] == [
        f"proj_depth/velodyne_raw/image_0{camera}/0000000005.png" for camera in (2, 3)
    ]


def write_teacher(path: Path, graph: str) -> Path:
    onnx.save(onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": 17]> teacher {graph}'), path)
    return path


def test_a_depth_network_teaches_what_lidar_did_not_see(object_set: Path, tmp_path: Path) -> None:
    red_of_image = """(float[1, 3, 20, 30] image) => (float[1, 1, 20, 30] map) {
        first = Constant<value = int64[1] {0}>()
        second = Constant<value = int64[1] {1}>()
        map = Slice(image, first, second, second)
    }"""
    model = write_teacher(tmp_path / "red.onnx", red_of_image)
    training, out = object_set / "training", tmp_path / "taught"
    true_depths = {}
    for name in ("000000", "000002"):
        red = cv2.imread(str(training / "image_2" / f"{name}.png"))[..., 2]
        true_depths[name] = np.rint(256 / (0.3 * red / 255 + 0.05)).astype(np.uint16)
        lidar = np.where(np.arange(30) % 2, true_depths[name], 0).astype(np.uint16)
        cv2.imwrite(str(training / "depth_2" / f"{name}.png"), lidar)
    arguments = ["teach", "depth", model, "--dataset", "kitti-object", "--root", object_set, "--out", out]
    output = data(*arguments)
    assert "2 maps written (2 by lidar), 0 existed already, 1 frames left out" in output
    assert "1 / depth = 0.3 x inverse depth of the model + 0.05" in output
    assert "rel 0.00" in output
    assert "d1 1.000" in output
    for name, true_depth in true_depths.items():
        taught = cv2.imread(str(out / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_allclose(taught, true_depth, rtol=0.01)
    assert "0 maps written, 2 existed already, 1 frames left out" in data(*arguments)
    with pytest.raises(UserError, match="expected metric depth"):
        data(*arguments, "--kind", "metric")


def test_a_detector_labels_a_folder_of_images(object_set: Path, tmp_path: Path) -> None:
    graph = """(float[1, 3, 20, 30] image) => (float[1, 1, 1, 7] found) {
        row = Constant<value = float[1, 1, 1, 7] {0, 3, 0.75, 0.5, 0.25, 0.8, 0.75}>()
        mean = ReduceMean<keepdims = 0>(image)
        zero = Sub(mean, mean)
        found = Add(row, zero)
    }"""
    model = write_teacher(tmp_path / "detector.onnx", graph)
    images = object_set / "training" / "image_2"
    arguments = ["teach", "labels", model, "--root", images, "--out", tmp_path / "out"]
    output = data(*arguments, "--class", "3=Cyclist:0,-0.1,0,0.2")
    assert f"{tmp_path / 'out' / 'label'}: 3 files; added 3 Cyclist" in output
    line = (tmp_path / "out" / "label" / "000001.txt").read_text()
    assert line.startswith("Cyclist -1.00 -1 -10.00 15.00 4.00 24.00 17.00 -1.00")


def test_a_recording_of_one_view_is_refused_with_its_picture(tmp_path: Path) -> None:
    root, random = tmp_path / "hall", np.random.default_rng(0)
    (root / "image").mkdir(parents=True)
    (root / "depth").mkdir()
    (root / "calib.txt").write_text("fx 60\nfy 60\ncx 31.5\ncy 23.5\nwidth 64\nheight 48\n")
    view = random.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    for number in range(20):
        cv2.imwrite(str(root / "image" / f"{number:03d}.png"), view)
        depth = random.integers(500, 900, (48, 64)).astype(np.uint16)
        cv2.imwrite(str(root / "depth" / f"{number:03d}.png"), depth)
    pictures = tmp_path / "faults"
    with pytest.raises(UserError, match="hall: the recording would teach wrong depth: motion"):
        data("check", root, "--pictures", pictures)
    assert [path.name for path in pictures.iterdir()] == ["motion.png"]
    with pytest.raises(UserError, match="expected a new or empty folder"):
        data("check", root, "--pictures", pictures)
