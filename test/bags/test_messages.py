"""Arrays into messages, with ROS's meaning of every field."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mp_perception.bags.message_types import type_store
from mp_perception.bags.messages import (
    camera_info_message,
    image_message,
    new_message,
    point_cloud_message,
    quaternion,
    transforms_message,
)
from mp_perception.geometry import CameraIntrinsics

STAMP = 1317042272_345808896


def test_an_image_that_is_a_view_arrives_row_by_row() -> None:
    image = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)
    message = image_message(image[:, ::2], "rgb8", "camera", STAMP)
    assert (message.height, message.width, message.step, message.encoding) == (2, 2, 6, "rgb8")
    assert message.data.tolist() == [0, 1, 2, 6, 7, 8, 12, 13, 14, 18, 19, 20]
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1317042272, 345808896)
    assert message.header.frame_id == "camera"


@pytest.mark.parametrize(("encoding", "dtype"), [("16UC1", np.uint16), ("32FC1", np.float32), ("mono8", np.uint8)])
def test_one_channel_images_keep_their_values(encoding: str, dtype: type) -> None:
    depth = np.array([[1, 2, 3], [4, 5, 255]], dtype=dtype)
    message = image_message(depth, encoding, "camera", STAMP)
    assert message.step == 3 * depth.itemsize
    assert np.array_equal(message.data.view(dtype).reshape(2, 3), depth)


@pytest.mark.parametrize(
    ("encoding", "image"),
    [("rgb8", np.zeros((2, 2), np.uint8)), ("32FC1", np.zeros((2, 2))), ("jpeg", np.zeros((2, 2, 3), np.uint8))],
)
def test_an_array_that_does_not_fit_is_refused(encoding: str, image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected"):
        image_message(image, encoding, "camera", STAMP)


def test_camera_info_of_a_rectified_pair() -> None:
    message = camera_info_message(CameraIntrinsics(50, 60, 31, 15, 64, 32), "camera", STAMP, stereo_baseline=0.5)
    assert message.k.tolist() == [50, 0, 31, 0, 60, 15, 0, 0, 1]
    # sensor_msgs/CameraInfo: "Tx = -fx' * B" for the right camera
    assert message.p.tolist() == [50, 0, 31, -25, 0, 60, 15, 0, 0, 0, 1, 0]
    assert message.r.tolist() == [1, 0, 0, 0, 1, 0, 0, 0, 1]
    assert (message.d.tolist(), message.distortion_model) == ([0] * 5, "plumb_bob")
    assert (message.width, message.height) == (64, 32)


def test_a_point_cloud_has_four_floats_a_point() -> None:
    points = np.array([[1, 2, 3, 0.5], [4, 5, 6, 0.25]])
    message = point_cloud_message(points, "velo_link", STAMP)
    assert [(field.name, field.offset, field.datatype, field.count) for field in message.fields] == [
        ("x", 0, 7, 1),
        ("y", 4, 7, 1),
        ("z", 8, 7, 1),
        ("intensity", 12, 7, 1),
    ]
    assert (message.height, message.width, message.point_step, message.row_step) == (1, 2, 16, 32)
    assert np.array_equal(message.data.view("<f4").reshape(2, 4), points)
    assert message.is_dense


def test_transforms_survive_serialisation() -> None:
    pose = np.eye(4)
    pose[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]  # 90 degrees about z
    pose[:3, 3] = [1, 2, 3]
    store = type_store()
    message = transforms_message([("velo_link", "camera", pose)], STAMP)
    data = store.serialize_cdr(message, "tf2_msgs/msg/TFMessage")
    (found,) = store.deserialize_cdr(data, "tf2_msgs/msg/TFMessage").transforms
    assert (found.header.frame_id, found.child_frame_id) == ("velo_link", "camera")
    translation, rotation = found.transform.translation, found.transform.rotation
    assert (translation.x, translation.y, translation.z) == (1, 2, 3)
    half = np.sqrt(0.5)
    assert [rotation.x, rotation.y, rotation.z, rotation.w] == pytest.approx([0, 0, half, half])


@given(st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda values: np.linalg.norm(values) > 0.1))
def test_quaternions_turn_as_their_matrices(values: tuple[float, float, float, float]) -> None:
    x, y, z, w = np.array(values) / np.linalg.norm(values)
    matrix = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    found = quaternion(matrix)
    assert abs(found @ [x, y, z, w]) == pytest.approx(1)  # q and -q are the same rotation
    assert found[3] >= 0


def test_fields_that_are_left_out_are_zero_or_empty() -> None:
    marker = new_message("visualization_msgs/msg/Marker", id=7)
    assert (marker.id, marker.ns, marker.frame_locked, marker.scale.z) == (7, "", False, 0.0)
    assert (marker.header.stamp.sec, marker.points, marker.texture.data.dtype) == (0, [], np.uint8)
    assert new_message("geometry_msgs/msg/PoseWithCovariance").covariance.tolist() == [0.0] * 36


@pytest.mark.parametrize("name", sorted(type_store().fielddefs))
def test_a_message_of_every_type_can_be_written_and_read(name: str) -> None:
    data = type_store().serialize_cdr(new_message(name), name)
    read = type_store().deserialize_cdr(data, name)
    assert bytes(type_store().serialize_cdr(read, name)) == bytes(data)


def test_colours_of_points_keep_their_bits() -> None:
    packed = np.array([0x010203, 0xFFFEFD], np.uint32).view(np.float32)
    points = np.stack([*np.ones((3, 2), np.float32), packed], axis=1)
    message = point_cloud_message(points, "camera", STAMP, "rgb")
    assert [field.name for field in message.fields] == ["x", "y", "z", "rgb"]
    assert message.data.view(np.uint32).reshape(2, 4)[:, 3].tolist() == [0x010203, 0xFFFEFD]
