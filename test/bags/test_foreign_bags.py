"""Bags that others made: kitti2bag's, converted to ROS 2, and kitti2mcap's, as they come."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap.writer import CompressionType, Writer
from rosbags.rosbag1 import Writer as Rosbag1Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from mp_perception.bags.contents import BagContents
from mp_perception.bags.frames import BagFrames
from mp_perception.bags.message_types import bag_header, new_message, type_store
from mp_perception.bags.opening import open_contents
from mp_perception.bags.topic_choice import ChosenTopics
from mp_perception.geometry import CameraIntrinsics
from mp_perception.messages.camera_info import camera_info_message
from mp_perception.messages.images import image_message
from mp_perception.messages.points import points_message
from mp_perception.messages.poses import quaternion, transforms_message

START = 1_317_042_272_000_000_000
MS = 1_000_000
#: The rectified camera, and the one that took the picture before it was rectified.
RECTIFIED = CameraIntrinsics(50.0, 50.0, 31.2, 15.2, 64, 32)
#: A point of the scanner 10 m ahead and where it is in the picture: scanner and camera are in one place.
POINT = np.array([[10.0, 1.0, 0.5, 0.3]])
PIXEL = (int(15.2 - 0.5 * 5 + 0.5), int(31.2 - 1.0 * 5 + 0.5))
#: Poses in the body's frame: the scanner turned half round, the camera looking ahead.
SCANNER = np.diag([-1.0, -1, 1, 1])
CAMERA = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


def contents(path: Path, workspace: Path) -> BagContents:
    return open_contents(path, ChosenTopics(), path.name, workspace)


def check(bag: BagContents, image: np.ndarray) -> None:
    frames = BagFrames([bag])
    sample = frames[0]
    assert np.array_equal(sample.image, image)
    assert sample.intrinsics == RECTIFIED
    assert sample.depth is not None
    assert [tuple(pixel) for pixel in np.argwhere(np.isfinite(sample.depth))] == [PIXEL]
    assert sample.depth[PIXEL] == pytest.approx(10)
    assert (frames.problems, bag.notes) == ([], ())


def test_a_bag_of_kitti2bag_after_rosbags_convert(tmp_path: Path) -> None:
    store = get_typestore(Stores.ROS1_NOETIC)
    store.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", "tf2_msgs/msg/TFMessage"))
    types = store.types

    def header(frame: str, stamp_ns: int) -> Any:
        seconds, nanoseconds = divmod(stamp_ns, 10**9)
        stamp = types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
        return types["std_msgs/msg/Header"](seq=0, stamp=stamp, frame_id=frame)

    image = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    info = types["sensor_msgs/msg/CameraInfo"](
        header=header("camera_color_left", START),
        height=32,
        width=64,
        distortion_model="plumb_bob",
        # kitti2bag's images are rectified, its K and D are those of the camera before that: P is right.
        D=np.array([-0.37, 0.2, 0.002, 0.001, -0.07]),
        K=np.array([66.0, 0, 33, 0, 66, 16, 0, 0, 1]),
        R=np.eye(3).ravel(),
        P=np.array([50.0, 0, 31.2, 3.1, 0, 50, 15.2, 0.01, 0, 0, 1, 0.003]),
        binning_x=0,
        binning_y=0,
        roi=types["sensor_msgs/msg/RegionOfInterest"](x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
    )
    picture = types["sensor_msgs/msg/Image"](
        header=header("camera_color_left", START),
        height=32,
        width=64,
        encoding="bgr8",
        is_bigendian=0,
        step=192,
        data=image[..., ::-1].reshape(-1),
    )
    field = types["sensor_msgs/msg/PointField"]
    cloud = types["sensor_msgs/msg/PointCloud2"](
        header=header("velo_link", START + 7 * MS),
        height=1,
        width=1,
        fields=[field(name=name, offset=4 * i, datatype=7, count=1) for i, name in enumerate(["x", "y", "z", "i"])],
        is_bigendian=False,
        point_step=16,
        row_step=16,
        data=(SCANNER @ [*POINT[0, :3], 1])[:4].astype("<f4").view(np.uint8),
        is_dense=True,
    )
    transforms = types["tf2_msgs/msg/TFMessage"](
        transforms=[
            types["geometry_msgs/msg/TransformStamped"](
                header=header("/imu_link", START),
                child_frame_id=f"/{child}",
                transform=types["geometry_msgs/msg/Transform"](
                    translation=types["geometry_msgs/msg/Vector3"](x=0.0, y=0.0, z=0.0),
                    rotation=types["geometry_msgs/msg/Quaternion"](
                        **dict(zip("xyzw", map(float, quaternion(pose[:3, :3])), strict=True))
                    ),
                ),
            )
            for child, pose in (("velo_link", SCANNER), ("camera_color_left", CAMERA))
        ]
    )
    topics = {
        "/tf_static": transforms,
        "/kitti/camera_color_left/image_raw": picture,
        "/kitti/camera_color_left/camera_info": info,
        "/kitti/velo/pointcloud": cloud,
    }
    with Rosbag1Writer(tmp_path / "kitti.bag") as bag:
        for topic, message in topics.items():
            connection = bag.add_connection(topic, message.__msgtype__, typestore=store)
            bag.write(connection, START, store.serialize_ros1(message, message.__msgtype__))
    convert = [str(Path(sys.executable).parent / "rosbags-convert"), "--src", "kitti.bag", "--dst", "converted"]
    subprocess.run(convert, cwd=tmp_path, check=True, timeout=100)
    check(contents(tmp_path / "converted", tmp_path), image)


@pytest.mark.parametrize("chunked", [True, False])
def test_a_file_of_kitti2mcap(tmp_path: Path, chunked: bool) -> None:
    """Names, frames and clocks of kitti2mcap 0.1.1; once with chunks, as it writes, and once without any index."""
    image = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    transforms = [("base_link", "velodyne", SCANNER), ("base_link", "camera_color_left", CAMERA)]
    moving = [("map", "base_link", np.eye(4))]
    scan = np.array([[*(SCANNER @ [*POINT[0, :3], 1])[:3], 0.3]])
    left, scanner = bag_header("camera_color_left", START), bag_header("velodyne", START + 3 * MS)
    messages = [
        ("/tf_static", START, transforms_message(new_message, transforms, START)),
        ("/kitti/camera_color_left/image_raw", START, image_message(new_message, image, "rgb8", left)),
        ("/kitti/camera_color_left/camera_info", START, camera_info_message(new_message, RECTIFIED, left)),
        ("/kitti/velodyne_points", START + 3 * MS, points_message(new_message, scan, scanner)),
        ("/tf", START + 4 * MS, transforms_message(new_message, moving, START + 4 * MS)),
    ]
    path = tmp_path / "drive.mcap"
    with path.open("wb") as stream:
        writer = Writer(stream, compression=CompressionType.ZSTD, use_chunking=chunked)
        writer.start("ros2")
        for topic, time_ns, message in messages:
            name = str(message.__msgtype__)
            schema = writer.register_schema(name, "ros2msg", type_store().generate_msgdef(name)[0].encode())
            channel = writer.register_channel(topic, "cdr", schema)
            data = bytes(type_store().serialize_cdr(message, name))
            writer.add_message(channel, time_ns, data, time_ns)
        writer.finish()
    check(contents(path, tmp_path), image)
