"""A raw drive as a bag: pixels, camera, points and transforms."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mp_perception.bags.kitti_to_bag import write_raw_drive
from mp_perception.bags.reading import BagReader
from mp_perception.bags.writing import Storage
from mp_perception.commands.bag import app
from mp_perception.data.kitti.raw import SYNTHETIC_DATE, RawDrive
from mp_perception.data.kitti.raw_frames import KittiRaw
from mp_perception.errors import UserError
from mp_perception.synthetic.drive import write_raw_drive as write_synthetic_drive
from mp_perception.synthetic.sensors import camera_of_size

MakeDrive = Callable[..., Path]
LEFT = "/kitti/camera_color_left/image_raw"


def decoded(path: Path) -> dict[str, list[tuple[int, Any]]]:
    """Topic -> (time, message) of a whole bag."""
    with BagReader(path) as reader:
        found: dict[str, list[tuple[int, Any]]] = {topic: [] for topic in reader.topics}
        for message in reader.messages():
            found[message.topic].append((message.time_ns, reader.decode(message)))
    return found


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_everything_in_the_drive_is_in_the_bag(make_raw_drive: MakeDrive, tmp_path: Path, storage: Storage) -> None:
    drive = RawDrive(make_raw_drive())
    assert write_raw_drive(drive, tmp_path / "bag", storage) == 3
    found = decoded(tmp_path / "bag")
    assert {topic: len(messages) for topic, messages in found.items()} == {
        "/kitti/camera_color_left/camera_info": 3,
        "/kitti/camera_color_left/image_raw": 3,
        "/kitti/camera_color_right/camera_info": 3,
        "/kitti/camera_color_right/image_raw": 3,
        "/kitti/velo/pointcloud": 1,
        "/tf_static": 1,
    }
    for camera, name in ((2, "camera_color_left"), (3, "camera_color_right")):
        for frame, (time_ns, message) in zip(drive.frames, found[f"/kitti/{name}/image_raw"], strict=True):
            expected = cv2.imread(str(frame.images[camera]))[..., ::-1]
            assert (message.encoding, message.header.frame_id) == ("rgb8", name)
            assert np.array_equal(message.data.reshape(32, 64, 3), expected)
            stamp = message.header.stamp
            assert time_ns == frame.stamp_ns == stamp.sec * 10**9 + stamp.nanosec
    ((time_ns, cloud),) = found["/kitti/velo/pointcloud"]
    assert time_ns == drive.frames[1].stamp_ns
    assert drive.frames[1].scan is not None
    assert cloud.data.tobytes() == drive.frames[1].scan.read_bytes()


def test_camera_info_is_that_of_the_rectified_pair(make_raw_drive: MakeDrive, tmp_path: Path) -> None:
    write_raw_drive(RawDrive(make_raw_drive()), tmp_path / "bag")
    found = decoded(tmp_path / "bag")
    left = found["/kitti/camera_color_left/camera_info"][0][1]
    right = found["/kitti/camera_color_right/camera_info"][0][1]
    assert left.k.tolist() == right.k.tolist() == [50, 0, 31, 0, 50, 15, 0, 0, 1]
    assert left.p.tolist() == [50, 0, 31, 0, 0, 50, 15, 0, 0, 0, 1, 0]
    # 0.06 m and 0.48 m on either side of camera 0: -50 * 0.54
    assert right.p.tolist() == pytest.approx([50, 0, 31, -27, 0, 50, 15, 0, 0, 0, 1, 0])
    assert (left.width, left.height) == (64, 32)


def matrix(transform: Any) -> np.ndarray:
    rotation, translation = transform.rotation, transform.translation
    axis = np.array([rotation.x, rotation.y, rotation.z])
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    pose = np.eye(4)
    pose[:3, :3] = np.eye(3) + 2 * rotation.w * cross + 2 * cross @ cross
    pose[:3, 3] = [translation.x, translation.y, translation.z]
    return pose


def test_transforms_bring_points_of_the_scanner_into_the_camera(make_raw_drive: MakeDrive, tmp_path: Path) -> None:
    write_raw_drive(RawDrive(make_raw_drive()), tmp_path / "bag")
    ((_, message),) = decoded(tmp_path / "bag")["/tf_static"]
    poses = {(t.header.frame_id, t.child_frame_id): matrix(t.transform) for t in message.transforms}
    assert set(poses) == {
        ("imu_link", "velo_link"),
        ("velo_link", "camera_color_left"),
        ("velo_link", "camera_color_right"),
    }
    # 10 m ahead, 1 m left, 0.5 m up -> camera 0: (-1, -0.6, 9.7) -> camera 2 (0.06 m left of it)
    in_camera = np.linalg.inv(poses["velo_link", "camera_color_left"]) @ [10, 1, 0.5, 1]
    assert in_camera[:3] == pytest.approx([-0.94, -0.6, 9.7])
    # the scanner's origin in the IMU's frame: calib_imu_to_velo turned round
    assert poses["imu_link", "velo_link"][:3, 3] == pytest.approx([0.8, -0.3, 0.8])


def test_the_vehicles_motion_starts_at_zero(make_raw_drive: MakeDrive, tmp_path: Path) -> None:
    """A vehicle that looks north and rolls 2 m to the east with each frame, while it turns to the left."""
    drive = RawDrive(make_raw_drive())
    folder = drive.folder / "oxts" / "data"
    folder.mkdir(parents=True)
    degrees = math.degrees(2 / (6378137 * math.cos(math.radians(49))))
    for frame in drive.frames:
        yaw = math.pi / 2 + 0.1 * frame.number
        values = [49, 8 + degrees * frame.number, 110, 0, 0, yaw, *[0] * 24]
        (folder / f"{frame.number:010d}.txt").write_text(" ".join(map(repr, values)))
    write_raw_drive(drive, tmp_path / "bag")
    found = decoded(tmp_path / "bag")["/tf"]
    assert [time_ns for time_ns, _ in found] == [frame.stamp_ns for frame in drive.frames]
    for number, (_, message) in enumerate(found):
        (transform,) = message.transforms
        assert (transform.header.frame_id, transform.child_frame_id) == ("odom", "imu_link")
        pose = matrix(transform.transform)
        assert pose[:3, 3] == pytest.approx([0, -2 * number, 0], abs=1e-5)  # x forward, y left
        assert pose[:2, 0] == pytest.approx([math.cos(0.1 * number), math.sin(0.1 * number)])


def test_late_listeners_get_the_transforms(make_raw_drive: MakeDrive, tmp_path: Path) -> None:
    write_raw_drive(RawDrive(make_raw_drive()), tmp_path / "bag")
    with BagReader(tmp_path / "bag") as reader:
        assert [topic.name for topic in reader.topics.values() if topic.transient_local] == ["/tf_static"]


def test_a_drive_with_one_camera_and_no_scanner(make_raw_drive: MakeDrive, tmp_path: Path) -> None:
    folder = make_raw_drive(cameras=(2,), suffix=".jpg")
    (folder / "velodyne_points" / "data" / "0000000001.bin").unlink()
    (folder.parent / "calib_velo_to_cam.txt").unlink()
    write_raw_drive(RawDrive(folder), tmp_path / "bag")
    with BagReader(tmp_path / "bag") as reader:
        assert list(reader.topics) == ["/kitti/camera_color_left/camera_info", LEFT]


@pytest.mark.parametrize("damage", ["image", "scan", "size"])
def test_a_damaged_file_leaves_no_bag(make_raw_drive: MakeDrive, tmp_path: Path, damage: str) -> None:
    folder = make_raw_drive()
    image, scan = folder / "image_02/data/0000000002.png", folder / "velodyne_points/data/0000000001.bin"
    if damage == "image":
        image.write_bytes(image.read_bytes()[:20])
    elif damage == "scan":
        scan.write_bytes(b"123")
    else:
        cv2.imwrite(str(image), np.zeros((32, 65, 3), np.uint8))
    expected = {"image": image.name, "scan": scan.name, "size": "64x32 pixels, found one of 65x32"}[damage]
    with pytest.raises(UserError, match=expected):
        write_raw_drive(RawDrive(folder), tmp_path / "bag")
    assert [path.name for path in tmp_path.iterdir()] == ["2011_09_26"]


def test_the_commands(make_raw_drive: MakeDrive, tmp_path: Path) -> None:
    drive, bag = str(make_raw_drive()), str(tmp_path / "bag")
    made = CliRunner().invoke(app, ["from-kitti-raw", drive, bag, "--frames", "1:", "--storage", "sqlite3"])
    assert made.exit_code == 0, made.output
    assert "2 frames" in made.output
    assert [path.name for path in Path(bag).glob("*.db3")] == ["bag.db3"]
    shown = CliRunner().invoke(app, ["info", bag])
    assert shown.exit_code == 0, shown.output
    assert "10 messages in 0.103 s" in shown.output
    rows = [line.split() for line in shown.output.splitlines()]
    assert ["2", "9.69", "0.103", LEFT, "sensor_msgs/msg/Image"] in rows
    assert ["1", "-", "-", "/kitti/velo/pointcloud", "sensor_msgs/msg/PointCloud2"] in rows
    wrong = CliRunner().invoke(app, ["from-kitti-raw", drive, bag + "2", "--frames", "1"])
    assert isinstance(wrong.exception, UserError)
    outside = CliRunner().invoke(app, ["from-kitti-raw", drive, bag + "2", "--frames", "7:9"])
    assert "no frame from 7 to 9, it has 0 to 2" in str(outside.exception)


def test_bag_commands_need_neither_torch_nor_ros(make_raw_drive: MakeDrive, tmp_path: Path) -> None:
    program = (
        "import sys; from mp_perception.commands.bag import app; "
        "app(sys.argv[1:4], standalone_mode=False); app(['info', sys.argv[3]], standalone_mode=False); "
        "sys.exit(' '.join({'torch', 'rclpy'} & set(sys.modules)) or 0)"
    )
    command = [sys.executable, "-c", program, "from-kitti-raw", str(make_raw_drive()), str(tmp_path / "bag")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_a_synthetic_drive_is_not_taken_for_one_of_kittis(make_raw_drive: MakeDrive, tmp_path: Path) -> None:
    drive = write_synthetic_drive(tmp_path / "raw", 2, seed=5, camera=camera_of_size(320, 96))
    assert drive.parent.name == SYNTHETIC_DATE
    write_raw_drive(RawDrive(drive), tmp_path / "bag")
    (description,) = decoded(tmp_path / "bag")["/ground_truth/depth/description"]
    assert description[1].data == KittiRaw(drive).ground_truth == "exact depth of the synthetic scene"
    assert KittiRaw(make_raw_drive()).ground_truth == "depth maps of the data set"
