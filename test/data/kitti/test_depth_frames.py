"""The depth data's official layout, the selection, and raw drives with what lies beside them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mp_perception.data.kitti.depth_sets import KittiDepth, KittiDepthSelection
from mp_perception.data.kitti.projected_scans import projection_tasks
from mp_perception.data.kitti.raw import RawDrive, read_scan
from mp_perception.data.kitti.raw_frames import KittiRaw
from mp_perception.data.lidar_projection import project_to_depth_map
from mp_perception.errors import UserError

MakeDrive = Callable[..., Path]


def write_map(root: Path, drive: str, kind: str, camera: int, number: int, metres: int, part: str = "train") -> None:
    folder = root / part / drive / "proj_depth" / kind / f"image_0{camera}"
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / f"{number:010d}.png"), np.full((32, 64), metres * 256, np.uint16))


@pytest.fixture
def drive(make_raw_drive: MakeDrive) -> Path:
    folder = make_raw_drive()
    depth = folder.parent.parent / "depth"
    write_map(depth, folder.name, "groundtruth", 2, 1, 11)
    write_map(depth, folder.name, "velodyne_raw", 2, 0, 12)
    write_map(depth, folder.name, "velodyne_raw", 2, 1, 13)
    write_map(depth, folder.name, "velodyne_raw", 3, 2, 14)
    return folder


def test_the_ground_truth_comes_before_the_scans(drive: Path) -> None:
    frames = KittiDepth(drive.parent.parent)
    assert [frame.name for frame in frames.frames] == [
        f"{drive.name}/image_02/0000000001",
        f"{drive.name}/image_03/0000000002",
    ]
    left, right = frames
    assert ((left.depth == 11).all(), (right.depth == 14).all()) == (True, True)
    assert left.intrinsics.fx == 50
    np.testing.assert_array_equal(
        right.image, cv2.imread(str(drive / "image_03" / "data" / "0000000002.png"))[..., ::-1]
    )


def test_parts_and_files_of_names_are_splits(drive: Path, tmp_path: Path) -> None:
    root = drive.parent.parent
    with pytest.raises(UserError, match="expected depth maps of val, found none"):
        KittiDepth(root, "val")
    names = tmp_path / "names.txt"
    names.write_text(f"{drive.name}/image_03/0000000002\n")
    assert len(KittiDepth(root, str(names))) == 1
    with pytest.raises(UserError, match="split 'test': no such file"):
        KittiDepth(root, "test")


def test_what_is_missing_is_named(drive: Path) -> None:
    root = drive.parent.parent
    (drive / "image_03" / "data" / "0000000002.png").unlink()
    with pytest.raises(UserError, match="image_03/data/0000000002.png: missing"):
        KittiDepth(root)
    shutil.rmtree(root / "depth")
    with pytest.raises(UserError, match="proj_depth"):
        KittiDepth(root)


def test_the_selection_has_its_own_names(tmp_path: Path) -> None:
    folder = tmp_path / "depth_selection" / "val_selection_cropped"
    for kind in ("image", "groundtruth_depth", "intrinsics"):
        (folder / kind).mkdir(parents=True)
    stem = "2011_09_26_drive_0002_sync_{}_0000000005_image_02"
    cv2.imwrite(str(folder / "image" / f"{stem.format('image')}.png"), np.zeros((4, 6, 3), np.uint8))
    depth = folder / "groundtruth_depth" / f"{stem.format('groundtruth_depth')}.png"
    cv2.imwrite(str(depth), np.full((4, 6), 512, np.uint16))
    intrinsics = folder / "intrinsics" / f"{stem.format('image')}.txt"
    intrinsics.write_text("721.5 0.0 596.5 0.0 721.6 149.8 0.0 0.0 1.0")
    for root in (tmp_path, folder):
        (sample,) = KittiDepthSelection(root)
        camera = sample.intrinsics
        assert (camera.fx, camera.fy, camera.cx, camera.cy) == (721.5, 721.6, 596.5, 149.8)
        assert (sample.depth == 2).all()
    intrinsics.write_text("721.5 0.0")
    with pytest.raises(UserError, match="image_02.txt:1: expected the nine numbers"):
        list(KittiDepthSelection(tmp_path))
    depth.unlink()
    with pytest.raises(UserError, match="groundtruth_depth_0000000005_image_02.png: missing"):
        KittiDepthSelection(tmp_path)


def test_raw_drives_take_depth_from_beside_them_and_labels_where_they_are(drive: Path) -> None:
    for root in (drive, drive.parent, drive.parent.parent):
        frames = KittiRaw(root)
        assert [frame.name for frame in frames.frames] == [f"{drive.name}/{number:010d}" for number in range(3)]
        assert [frame.depth is not None for frame in frames.frames] == [False, True, False]
        assert not frames[0].labelled_classes.any()
    (drive / "label_02").mkdir()
    for number in range(3):
        (drive / "label_02" / f"{number:010d}.txt").write_text(
            "Car 0.00 0 0 10 5 30 25 1.5 1.6 3.7 1.0 1.0 12.0 0\n" * number
        )
    assert [len(sample.boxes) for sample in KittiRaw(drive)] == [0, 1, 2]
    with pytest.raises(UserError, match="expected raw drives"):
        KittiRaw(drive / "image_02")


def test_scans_are_projected_into_the_official_layout(make_raw_drive: MakeDrive, tmp_path: Path) -> None:
    folder = make_raw_drive()
    points = np.random.default_rng(0).uniform([5, -3, -1, 0], [30, 3, 1, 1], (200, 4)).astype(np.float32)
    points.tofile(folder / "velodyne_points" / "data" / "0000000001.bin")
    drive = RawDrive(folder)
    tasks = projection_tasks(drive, tmp_path / "depth")
    maps = tmp_path / "depth" / "train" / drive.name / "proj_depth" / "velodyne_raw"
    assert list(tasks) == [maps / f"image_0{camera}" / "0000000001.png" for camera in (2, 3)]
    for camera, (path, task) in zip((2, 3), tasks.items(), strict=True):
        path.parent.mkdir(parents=True)
        task()
        calibration = drive.calibration
        expected = project_to_depth_map(
            read_scan(drive.frames[1].scan), calibration.velo_to_camera(camera), calibration.intrinsics(camera, 64, 32)
        )
        found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) / 256
        np.testing.assert_allclose(found, np.nan_to_num(expected), atol=1 / 256)
        assert (found > 0).sum() > 50


@pytest.mark.shared_data
def test_the_shared_depth_frames_are_all_there(shared_data: Path) -> None:
    frames = KittiDepth(shared_data / "kitti")
    kinds = {frame.depth.parts[-3] for frame in frames.frames}
    assert kinds == {"groundtruth", "velodyne_raw"}
    assert all(np.isfinite(frames[index].depth).sum() > 10_000 for index in (0, len(frames) // 2, -1))
