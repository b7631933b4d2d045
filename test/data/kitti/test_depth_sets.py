"""Data sets with depth maps: the official layout of the depth data, the selection, odometry, stereo."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mp_perception.data.depth_png import write_depth_png
from mp_perception.data.kitti.depth_sets import KittiDepth, KittiDepthSelection, KittiOdometry, KittiStereo
from mp_perception.errors import UserError

MakeDrive = Callable[..., Path]


def write_image(path: Path, width: int = 64, height: int = 32) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))


def write_depth(path: Path, width: int = 64, height: int = 32, metres: float = 10) -> None:
    write_depth_png(path, np.full((height, width), metres, np.float32))


@pytest.fixture
def drive(make_raw_drive: MakeDrive) -> Path:
    folder = make_raw_drive()
    maps = folder.parent.parent / "depth" / "train" / folder.name / "proj_depth"
    write_depth(maps / "groundtruth" / "image_02" / "0000000001.png", metres=11)
    write_depth(maps / "velodyne_raw" / "image_02" / "0000000000.png", metres=12)
    write_depth(maps / "velodyne_raw" / "image_02" / "0000000001.png", metres=13)
    write_depth(maps / "velodyne_raw" / "image_03" / "0000000002.png", metres=14)
    return folder


def test_ground_truth_is_preferred_to_single_scans(drive: Path) -> None:
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


def test_splits_are_parts_or_files_of_names(drive: Path, tmp_path: Path) -> None:
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


def test_the_selection_pairs_images_with_maps_by_its_own_names(tmp_path: Path) -> None:
    folder = tmp_path / "depth_selection" / "val_selection_cropped"
    stem = "2011_09_26_drive_0002_sync_{}_0000000005_image_02"
    write_image(folder / "image" / f"{stem.format('image')}.png")
    depth = folder / "groundtruth_depth" / f"{stem.format('groundtruth_depth')}.png"
    write_depth(depth)
    intrinsics = folder / "intrinsics" / f"{stem.format('image')}.txt"
    intrinsics.parent.mkdir()
    intrinsics.write_text("721.5 0.0 596.5 0.0 721.6 149.8 0.0 0.0 1.0")
    for root in (tmp_path, folder):
        (sample,) = KittiDepthSelection(root)
        camera = sample.intrinsics
        assert (camera.fx, camera.fy, camera.cx, camera.cy) == (721.5, 721.6, 596.5, 149.8)
        assert (sample.depth == 10).all()
    intrinsics.write_text("721.5 0.0")
    with pytest.raises(UserError, match="image_02.txt:1: camera matrix: expected 9 finite numbers"):
        list(KittiDepthSelection(tmp_path))
    depth.unlink()
    with pytest.raises(UserError, match="groundtruth_depth_0000000005_image_02.png: missing"):
        KittiDepthSelection(tmp_path)


def test_odometry_has_the_frames_with_depth(tmp_path: Path) -> None:
    sequence = tmp_path / "sequences" / "04"
    for number in range(3):
        write_image(sequence / "image_2" / f"{number:06d}.jpg")
    write_depth(sequence / "depth_2" / "000001.png")
    (sequence / "calib.txt").write_text("P2: 50 0 31 3 0 50 15 0 0 0 1 0\nTr: 0 -1 0 0 0 0 -1 -0.1 1 0 0 -0.3\n")
    (sample,) = KittiOdometry(tmp_path)
    assert (sample.name, len(sample.boxes), sample.intrinsics.fx) == ("04/000001", 0, 50)
    assert not sample.labelled_classes.any()
    assert (sample.depth == 10).all()
    (sequence / "depth_2" / "000001.png").unlink()
    with pytest.raises(UserError, match="SS/depth_2: expected depth maps"):
        KittiOdometry(tmp_path)


def test_the_size_of_a_stereo_image_tells_its_camera(tmp_path: Path) -> None:
    training = tmp_path / "training"
    write_image(training / "image_2" / "000001_10.png", 1241, 376)
    write_depth(training / "depth_2" / "000001_10.png", 1241, 376)
    write_image(training / "image_2" / "000001_11.png", 1241, 376)
    (sample,) = KittiStereo(tmp_path)
    assert (sample.name, sample.intrinsics.fx, sample.intrinsics.cx) == ("000001_10", 718.856, 607.1928)
    write_image(training / "image_2" / "000002_10.png")
    write_depth(training / "depth_2" / "000002_10.png")
    with pytest.raises(UserError, match="000002_10.png: expected an image of KITTI's sizes .*, found 64x32"):
        list(KittiStereo(tmp_path))


@pytest.mark.shared_data
def test_real_depth_maps_have_thousands_of_measurements(shared_data: Path) -> None:
    frames = KittiDepth(shared_data / "kitti")
    kinds = {frame.depth.parts[-3] for frame in frames.frames}
    assert kinds == {"groundtruth", "velodyne_raw"}
    assert all(np.isfinite(frames[index].depth).sum() > 10_000 for index in (0, len(frames) // 2, -1))
