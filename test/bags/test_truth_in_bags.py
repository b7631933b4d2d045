"""Data sets written to bags and read again: equal in every bit, whatever the layout and the storage."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from mp_perception.bags.contents import BagContents, read_contents
from mp_perception.bags.frames import BagFrames
from mp_perception.bags.kitti_to_bag import write_objects, write_raw_drive, write_sequence, write_synthetic
from mp_perception.bags.reading import BagReader
from mp_perception.bags.topic_choice import ChosenTopics
from mp_perception.data.data_sets import open_data_set
from mp_perception.data.frame_sets import FrameSet
from mp_perception.data.kitti.raw import RawDrive
from mp_perception.errors import UserError
from mp_perception.synthetic.drive import write_object_set
from mp_perception.synthetic.drive import write_raw_drive as write_synthetic_drive
from mp_perception.synthetic.sensors import camera_of_size

CAMERA = camera_of_size(320, 96)
NUM_FRAMES = 3


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("streets") / "object"
    write_object_set(root, NUM_FRAMES, seed=3, camera=CAMERA)
    # One frame without a depth map.
    (root / "training" / "depth_2" / "000001.png").unlink()
    return root


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drive") / "raw"
    write_synthetic_drive(root, NUM_FRAMES, seed=5, camera=CAMERA)
    return root


@pytest.fixture(scope="module")
def tracking(streets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The streets as a sequence of KITTI's tracking data."""
    root = tmp_path_factory.mktemp("tracking")
    source, target = streets / "training", root / "training"
    for folder in ("image_02/0004", "velodyne/0004", "label_02", "calib"):
        (target / folder).mkdir(parents=True)
    lines = []
    for number in range(NUM_FRAMES):
        name = f"{number:06d}"
        (target / "image_02" / "0004" / f"{name}.png").write_bytes((source / "image_2" / f"{name}.png").read_bytes())
        (target / "velodyne" / "0004" / f"{name}.bin").write_bytes((source / "velodyne" / f"{name}.bin").read_bytes())
        labels = (source / "label_2" / f"{name}.txt").read_text().splitlines()
        lines += [f"{number} {track} {line}" for track, line in enumerate(labels)]
    (target / "label_02" / "0004.txt").write_text("\n".join(lines))
    calibration = (source / "calib" / "000000.txt").read_text()
    names = {"R0_rect:": "R_rect", "Tr_velo_to_cam:": "Tr_velo_cam", "Tr_imu_to_velo:": "Tr_imu_velo"}
    for before, after in names.items():
        calibration = calibration.replace(before, after)
    (target / "calib" / "0004.txt").write_text(calibration)
    return root


def contents_of(bag: Path, asked: ChosenTopics | None = None) -> BagContents:
    with BagReader(bag) as reader:
        return read_contents(reader, asked or ChosenTopics(), bag.name)


def check_equal(bag: Path, data_set: FrameSet) -> BagFrames:
    frames = BagFrames([contents_of(bag)])
    assert len(frames) == len(data_set) == NUM_FRAMES
    for index in range(NUM_FRAMES):
        before, after = data_set[index], frames[index]
        height, width = before.size
        for field in fields(before):
            if field.name in ("name", "origin"):
                continue
            first, second = getattr(before, field.name), getattr(after, field.name)
            if isinstance(first, np.ndarray):
                assert np.array_equal(first, second, equal_nan=first.dtype.kind == "f"), field.name
            else:
                assert first == second, field.name
        assert frames.labels(index) == data_set.labels(index)
        skies = [
            np.zeros((height, width), bool) if sky is None else sky for sky in (data_set.sky(index), frames.sky(index))
        ]
        unmeasured = True if before.depth is None else np.isnan(before.depth)
        assert np.array_equal(skies[0] & unmeasured, skies[1])
        cameras = [source.camera(index, width, height) for source in (data_set, frames)]
        assert np.array_equal(cameras[0].label_to_camera, cameras[1].label_to_camera)  # type: ignore[union-attr]
    assert frames.problems == []
    return frames


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_objects(streets: Path, tmp_path: Path, storage: str) -> None:
    assert write_objects(streets, "train", tmp_path / "bag", storage) == NUM_FRAMES  # type: ignore[arg-type]
    data_set = open_data_set("kitti-object", streets, "train")
    frames = check_equal(tmp_path / "bag", data_set)
    assert frames.ground_truth == data_set.ground_truth
    assert [frames.depth(index) is None for index in range(NUM_FRAMES)] == [False, True, False]
    assert any(frames.labels(index) for index in range(NUM_FRAMES))


def test_synthetic_streets_of_both_layouts(streets: Path, drive: Path, tmp_path: Path) -> None:
    write_synthetic(streets, tmp_path / "streets")
    frames = check_equal(tmp_path / "streets", open_data_set("synthetic", streets))
    assert frames.ground_truth == "exact depth of the synthetic scene"
    write_synthetic(drive, tmp_path / "drive")
    check_equal(tmp_path / "drive", open_data_set("kitti-raw", drive))
    with pytest.raises(UserError, match=r"expected training/ or one <date>/<drive>_sync, found 0 drives"):
        write_synthetic(tmp_path, tmp_path / "nothing")


def test_part_of_a_drive_keeps_its_truth(drive: Path, tmp_path: Path) -> None:
    (folder,) = drive.glob("*/*_sync")
    assert write_raw_drive(RawDrive(folder), tmp_path / "bag", first_frame=1, last_frame=1) == 1
    frames = BagFrames([contents_of(tmp_path / "bag")])
    data_set = open_data_set("kitti-raw", drive)
    assert frames.labels(0) == data_set.labels(1)
    assert np.array_equal(frames[0].depth, data_set[1].depth, equal_nan=True)  # type: ignore[arg-type]


def test_a_sequence(tracking: Path, tmp_path: Path) -> None:
    assert write_sequence(tracking, "0004", tmp_path / "bag") == NUM_FRAMES
    frames = BagFrames([contents_of(tmp_path / "bag")])
    data_set = open_data_set("kitti-tracking", tracking)
    for index in range(NUM_FRAMES):
        assert np.array_equal(frames.image(index), data_set.image(index))
        assert frames.labels(index) == data_set.labels(index)
        # The files have no depth maps: the scan is projected.
        assert np.isfinite(frames.depth(index)).sum() > 50  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no sequence 0009, it has 0004"):
        write_sequence(tracking, "0009", tmp_path / "other")


def test_detection_arrays_alone_tell_the_boxes(streets: Path, tmp_path: Path) -> None:
    """Whoever knows vision_msgs only finds the same 2D boxes, and the 3D boxes to a rounding."""
    write_objects(streets, None, tmp_path / "bag")
    data_set = open_data_set("kitti-object", streets)
    bag = contents_of(tmp_path / "bag", ChosenTopics(detections="/ground_truth/detections"))
    frames = BagFrames([bag])
    without_3d = tuple(replace(frame, detections_3d=None) for frame in bag.frames)
    flat_only = BagFrames([replace(bag, frames=without_3d)])
    for index in range(NUM_FRAMES):
        expected = data_set.labels(index)
        assert expected is not None
        found, flat = frames.labels(index), flat_only.labels(index)
        assert found is not None
        assert flat is not None
        boxes = [(label.class_name, label.box) for label in expected]
        assert [(label.class_name, label.box) for label in found] == boxes
        assert [(label.class_name, label.box) for label in flat] == boxes
        shift = data_set.camera(index, 320, 96).label_to_camera[:3, 3]  # type: ignore[union-attr]
        for before, after in zip(expected, found, strict=True):
            if after.box_3d is not None:
                assert after.box_3d.dimensions == pytest.approx(before.box_3d.dimensions)
                assert after.box_3d.bottom_centre == pytest.approx(np.array(before.box_3d.bottom_centre) + shift)
        assert any(label.box_3d is not None for label in found) == any(label.box_3d is not None for label in expected)
