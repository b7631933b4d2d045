"""Raw drives: frames, stamps, labels, depth maps, and refused input."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mp_perception.data.depth_png import write_depth_png
from mp_perception.data.kitti.projected_scans import projection_tasks
from mp_perception.data.kitti.raw import RawDrive, read_scan
from mp_perception.data.kitti.raw_frames import KittiRaw
from mp_perception.data.lidar_projection import project_to_depth_map
from mp_perception.errors import UserError

MakeDrive = Callable[..., Path]

# 2011-09-26 13:04:32 UTC, by `date -u -d '2011-09-26 13:04:32' +%s`
SECONDS = 1317042272


def test_frames_are_sorted_and_paired(make_raw_drive: MakeDrive) -> None:
    drive = RawDrive(make_raw_drive())
    assert drive.cameras == (2, 3)
    assert [frame.number for frame in drive.frames] == [0, 1, 2]
    assert [frame.scan is not None for frame in drive.frames] == [False, True, False]
    assert drive.frames[2].images[3] == drive.folder / "image_03" / "data" / "0000000002.png"
    # every nanosecond counts: a float of seconds would lose the last digits
    assert [frame.stamp_ns - SECONDS * 10**9 for frame in drive.frames] == [345808896, 449188864, 552435968]


def test_jpeg_images_and_one_camera_are_enough(make_raw_drive: MakeDrive) -> None:
    drive = RawDrive(make_raw_drive(suffix=".jpg", cameras=(2,)))
    assert drive.cameras == (2,)
    assert drive.frames[0].images[2].suffix == ".jpg"


def test_missing_stamps_mean_ten_hertz(make_raw_drive: MakeDrive) -> None:
    folder = make_raw_drive()
    (folder / "image_02" / "timestamps.txt").unlink()
    stamps = [frame.stamp_ns for frame in RawDrive(folder).frames]
    assert np.diff(stamps).tolist() == [100_000_000, 100_000_000]
    assert stamps[0] == 1316995200 * 10**9  # midnight of the drive's date: a stamp of zero would mean "no stamp"


def test_a_short_file_of_stamps_continues_at_ten_hertz(make_raw_drive: MakeDrive) -> None:
    folder = make_raw_drive(num_frames=5)
    stamps = [frame.stamp_ns - SECONDS * 10**9 for frame in RawDrive(folder).frames]
    assert stamps == [345808896, 449188864, 552435968, 652435968, 752435968]


def test_a_part_of_a_drive_keeps_its_stamps(make_raw_drive: MakeDrive) -> None:
    folder = make_raw_drive()
    for camera in ("image_02", "image_03"):
        (folder / camera / "data" / "0000000000.png").unlink()
    frames = RawDrive(folder).frames
    assert [(frame.number, frame.stamp_ns - SECONDS * 10**9) for frame in frames] == [(1, 449188864), (2, 552435968)]


@pytest.mark.parametrize("line", ["half past one", "2011-09-26", "2011-02-30 13:04:32.1", "2011-09-26 25:04:32.1", ""])
def test_an_ill_formed_stamp_is_named(make_raw_drive: MakeDrive, line: str) -> None:
    folder = make_raw_drive()
    (folder / "image_02" / "timestamps.txt").write_text(f"2011-09-26 13:04:32.3\n{line}\n2011-09-26 13:04:32.5\n")
    with pytest.raises(UserError, match=r"timestamps.txt:2: expected"):
        RawDrive(folder)


def test_missing_files_are_named(make_raw_drive: MakeDrive) -> None:
    folder = make_raw_drive()
    (folder / "image_03" / "data" / "0000000001.png").unlink()
    with pytest.raises(UserError, match=r"image_03/data/0000000001.png: missing .* frames 0 to 2"):
        RawDrive(folder)
    (folder.parent / "calib_velo_to_cam.txt").unlink()
    shutil.rmtree(folder / "image_03")
    with pytest.raises(UserError, match=r"calib_velo_to_cam.txt: missing, but .* has scans"):
        RawDrive(folder)
    (folder.parent / "calib_cam_to_cam.txt").unlink()
    with pytest.raises(UserError, match=r"calib_cam_to_cam.txt: missing"):
        RawDrive(folder)


def test_a_folder_that_is_not_a_drive_is_refused(make_raw_drive: MakeDrive, tmp_path: Path) -> None:
    folder = make_raw_drive()
    with pytest.raises(UserError, match="nowhere: no such folder"):
        RawDrive(tmp_path / "nowhere")
    with pytest.raises(UserError, match="expected a KITTI raw drive whose name ends in _sync"):
        RawDrive(folder.parent)
    shutil.rmtree(folder / "image_02")
    with pytest.raises(UserError, match=r"image_02/data: expected images .* found none"):
        RawDrive(folder)


def test_two_files_for_one_frame_are_refused(make_raw_drive: MakeDrive) -> None:
    folder = make_raw_drive()
    images = folder / "image_02" / "data"
    (images / "0000000001.jpg").write_bytes((images / "0000000001.png").read_bytes())
    with pytest.raises(UserError, match="one file per frame"):
        RawDrive(folder)


def test_a_scan_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "0000000000.bin"
    points = np.arange(8, dtype="<f4").reshape(2, 4)
    path.write_bytes(points.tobytes())
    assert np.array_equal(read_scan(path), points)
    path.write_bytes(points.tobytes()[:-1])
    with pytest.raises(UserError, match=r"0000000000.bin: expected points of 16 bytes, found 31 bytes"):
        read_scan(path)
    points[1, 2] = np.nan
    path.write_bytes(points.tobytes())
    with pytest.raises(UserError, match=r"0000000000.bin: expected finite coordinates, found 1 points"):
        read_scan(path)


def test_raw_frames_have_depth_maps_and_labels_if_the_drive_has(make_raw_drive: MakeDrive) -> None:
    drive = make_raw_drive()
    maps = drive.parent.parent / "depth" / "train" / drive.name / "proj_depth" / "groundtruth" / "image_02"
    maps.mkdir(parents=True)
    write_depth_png(maps / "0000000001.png", np.full((32, 64), 11, np.float32))
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
        task()
        calibration = drive.calibration
        expected = project_to_depth_map(
            read_scan(drive.frames[1].scan), calibration.velo_to_camera(camera), calibration.intrinsics(camera, 64, 32)
        )
        found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) / 256
        np.testing.assert_allclose(found, np.nan_to_num(expected), atol=1 / 256)
        assert (found > 0).sum() > 50
