"""The files of both layouts, read with the readers of real KITTI data."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from mp_perception.commands.synthetic import synthetic
from mp_perception.data.boxes_3d import box_corners
from mp_perception.data.depth_png import read_depth_png
from mp_perception.data.image_files import read_image
from mp_perception.data.kitti.calibration_files import read_calibration
from mp_perception.data.kitti.labels import read_labels
from mp_perception.data.kitti.raw import RawDrive, read_scan
from mp_perception.errors import UserError
from mp_perception.geometry import box_iou
from mp_perception.synthetic.drive import write_object_set, write_raw_drive
from mp_perception.synthetic.sensors import camera_of_size

CAMERA = camera_of_size(416, 128)


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("raw") / "street"
    assert write_raw_drive(out, 3, seed=4, camera=CAMERA) == out / "2026_01_01" / "2026_01_01_drive_0004_sync"
    return out


@pytest.fixture(scope="module")
def objects(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("object") / "set"
    write_object_set(out, 4, seed=2, camera=CAMERA)
    return out


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def read_mask(path: Path) -> np.ndarray:
    """The mask (H, W) in a PNG file, whose pixels have one bit."""
    assert path.read_bytes()[24:26] == bytes([1, 0])  # bits per sample, greyscale (PNG specification, IHDR)
    return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) == 255


def test_raw_drive_is_read_back(raw):
    drive = RawDrive(raw / "2026_01_01" / "2026_01_01_drive_0004_sync")
    assert [frame.number for frame in drive.frames] == [0, 1, 2]
    assert np.diff([frame.stamp_ns for frame in drive.frames]).tolist() == [100_000_000] * 2
    assert drive.calibration.intrinsics(2, 416, 128) == CAMERA
    depth_folder = raw / "depth" / "train" / drive.name / "proj_depth" / "groundtruth" / "image_02"
    for frame in drive.frames:
        assert read_image(frame.images[2]).shape == (128, 416, 3)
        depth = read_depth_png(depth_folder / f"{frame.number:010d}.png")
        # Below the horizon is the ground or something on it; above it, what has no depth is sky.
        assert np.isfinite(depth[80:]).all()
        assert depth[127, 208] == pytest.approx(1.65 * CAMERA.fy / (127 - CAMERA.cy), rel=0.01)
        sky = read_mask(drive.folder / "sky_02" / f"{frame.number:010d}.png")
        np.testing.assert_array_equal(sky[:50], np.isnan(depth[:50]))
        assert not sky[80:].any()
        assert 0.05 < sky[:40].mean() < 1
    moving = [read_image(frame.images[2]).astype(int) for frame in drive.frames]
    assert np.abs(moving[0] - moving[2]).mean() > 2


def test_points_of_the_point_cloud_are_on_the_depth_map(raw):
    drive = RawDrive(raw / "2026_01_01" / "2026_01_01_drive_0004_sync")
    frame = drive.frames[1]
    assert frame.scan is not None
    scan = read_scan(frame.scan)
    lidar_to_camera = drive.calibration.velo_to_camera(2)
    points = scan[:, :3] @ lidar_to_camera[:3, :3].T + lidar_to_camera[:3, 3]
    columns, rows = np.floor(CAMERA.project(points)).astype(int).T
    depth = read_depth_png(raw / "depth/train" / drive.name / "proj_depth/groundtruth/image_02/0000000001.png")
    assert len(scan) > 1000
    assert min(columns.min(), rows.min()) >= 0
    np.testing.assert_allclose(depth[rows, columns], points[:, 2], atol=1 / 512 + 1e-4)
    elevation = np.rad2deg(np.arcsin(scan[:, 2] / np.linalg.norm(scan[:, :3], axis=1)))
    assert -25.5 < elevation.min() < elevation.max() < 3.0
    assert 0 <= scan[:, 3].min() <= scan[:, 3].max() <= 1


def test_object_set_is_read_back_and_its_3d_boxes_enclose_its_2d_boxes(objects):
    names = (objects / "ImageSets" / "train.txt").read_text().split()
    assert names == ["000000", "000001", "000002", "000003"]
    checked = people = 0
    for name in names:
        training = objects / "training"
        assert read_image(training / "image_2" / f"{name}.png").shape == (128, 416, 3)
        assert read_depth_png(training / "depth_2" / f"{name}.png").shape == (128, 416)
        assert read_mask(training / "sky_2" / f"{name}.png").shape == (128, 416)
        assert len(read_scan(training / "velodyne" / f"{name}.bin")) > 1000
        calibration = read_calibration(training / "calib" / f"{name}.txt")
        for label in read_labels(training / "label_2" / f"{name}.txt"):
            if label.box_3d is None or label.truncation or label.box_3d.bottom_centre[2] < 6:
                continue
            image = np.column_stack([box_corners(label.box_3d), np.ones(8)]) @ calibration.projections[2].T
            points = image[:, :2] / image[:, 2:] + 0.5
            around = np.concatenate([points.min(axis=0), points.max(axis=0)])
            box = np.array(label.box)
            # Labels have two decimals of a metre: half a pixel at the minimum distance.
            assert (around[:2] <= box[:2] + 0.7).all()
            assert (around[2:] >= box[2:] - 0.7).all()
            assert box_iou(around[None], box[None])[0, 0] > 0.45
            if label.class_name in ("Pedestrian", "Cyclist"):
                # Two decimals of a metre are up to a pixel at the minimum distance.
                np.testing.assert_allclose(box, np.clip(around, 0, (416, 128, 416, 128)), atol=1.0)
                people += 1
            checked += 1
    assert checked >= 10
    assert people >= 3


def test_every_object_frame_is_another_street(objects):
    images = [read_image(objects / "training" / "image_2" / f"{n:06d}.png").astype(int) for n in range(4)]
    for first in range(4):
        for second in range(first):
            assert np.abs(images[first] - images[second]).mean() > 10


def test_the_number_of_workers_changes_no_byte(tmp_path):
    small = camera_of_size(160, 64)
    write_raw_drive(tmp_path / "one", 2, 9, small, 1)
    write_raw_drive(tmp_path / "two", 2, 9, small, 2)
    one, two = files_of(tmp_path / "one"), files_of(tmp_path / "two")
    assert len(one) >= 12
    assert one == two


@pytest.mark.parametrize("write", [write_raw_drive, write_object_set])
def test_a_folder_with_other_files_is_refused(tmp_path, write):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(UserError, match="expected a new or empty folder"):
        write(tmp_path, 1, 1, CAMERA)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_command_writes_what_its_options_say(tmp_path):
    app = typer.Typer()
    app.command()(synthetic)
    runner = CliRunner()
    out = tmp_path / "set"
    arguments = [str(out), "--layout", "object", "--frames", "1", "--seed", "3", "--size", "160x64", "--workers", "1"]
    result = runner.invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "1 frames" in result.output
    image = cv2.imread(str(out / "training" / "image_2" / "000000.png"))
    assert image is not None
    assert image.shape == (64, 160, 3)
    for size in ("160", "160x", "9x9", "160x99999", "axb"):
        refused = runner.invoke(app, [str(tmp_path / "other"), "--size", size])
        assert isinstance(refused.exception, UserError)
        assert not (tmp_path / "other").exists()
