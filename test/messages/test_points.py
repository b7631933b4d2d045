"""Point clouds: in the layouts of drivers, from scans, and from depth maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mp_perception.bags.message_types import new_message
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics
from mp_perception.messages.header import Message, NewMessage, new_header
from mp_perception.messages.points import depth_points_message, points_message, read_points

POINTS = np.array([[1, 2, 3, 0.5], [4, np.nan, 6, 0.5], [7, 8, 9, 0.5]])
CLOUD = "sensor_msgs/msg/PointCloud2"


def cloud(layout: np.dtype, datatype: int, padding: int = 0, big: bool = False) -> Message:
    """Two rows of three points each, rows followed by padding."""
    records = np.zeros((2, 3), layout)
    for row in range(2):
        for axis, name in enumerate("xyz"):
            records[row][name] = POINTS[:, axis] + 10 * row
    rows = [record.tobytes() + b"\xff" * padding for record in records]
    fields = [
        new_message("sensor_msgs/msg/PointField", name=n, offset=layout.fields[n][1], datatype=datatype, count=1)
        for n in layout.names
    ]
    return new_message(
        CLOUD,
        height=2,
        width=3,
        fields=fields,
        is_bigendian=big,
        point_step=layout.itemsize,
        row_step=len(rows[0]),
        data=np.frombuffer(b"".join(rows), np.uint8),
    )


def test_points_come_back(new: NewMessage, sent: Callable[[Any, str], Any]) -> None:
    message = sent(points_message(new, POINTS, new_header(new, "velo_link", 7)), CLOUD)
    assert [(field.name, field.offset, field.datatype, field.count) for field in message.fields] == [
        ("x", 0, 7, 1),
        ("y", 4, 7, 1),
        ("z", 8, 7, 1),
        ("intensity", 12, 7, 1),
    ]
    assert (message.height, message.width, message.point_step, message.row_step) == (1, 3, 16, 48)
    assert not message.is_dense
    np.testing.assert_array_equal(np.frombuffer(message.data, "<f4").reshape(3, 4), POINTS)
    np.testing.assert_array_equal(read_points(message, "/points"), POINTS[[0, 2], :3])


def test_points_in_any_order_of_memory_are_dense_without_nan() -> None:
    message = points_message(new_message, np.asfortranarray(POINTS[[0, 2]]), new_header(new_message, "velo_link", 7))
    assert message.is_dense
    assert message.data.view("<f4").tolist() == [1, 2, 3, 0.5, 7, 8, 9, 0.5]


@pytest.mark.parametrize(("order", "code", "datatype"), [("<", "f4", 7), ("<", "f8", 8), (">", "f4", 7)])
def test_layouts_of_drivers(order: str, code: str, datatype: int) -> None:
    layout = np.dtype({"names": ["y", "x", "z"], "formats": [order + code] * 3, "offsets": [8, 0, 20], "itemsize": 40})
    found = read_points(cloud(layout, datatype, padding=5, big=order == ">"), "/points")
    assert found.tolist() == [[1, 2, 3], [7, 8, 9], [11, 12, 13], [17, 18, 19]]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"data": np.zeros(10, np.uint8)}, "expected 1 rows of at least 48 bytes, found 10 in rows of 48"),
        ({"row_step": 8}, "found 48 in rows of 8"),
        ({"fields": []}, "expected fields x, y, z of floats, found none"),
        ({"point_step": 8}, "expected fields within 8 bytes of a point"),
        ({"point_step": 1 << 20}, "expected points of at most 65536 bytes"),
        ({"height": 2**31, "row_step": 2**31}, "expected 2147483648 rows"),
    ],
)
def test_invalid_clouds_are_named(change: dict, expected: str) -> None:
    message = points_message(new_message, POINTS, new_header(new_message, "scanner", 0))
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(UserError, match=f"^/points: .*{expected}"):
        read_points(message, "/points")


def test_an_empty_cloud_has_no_points() -> None:
    empty = points_message(new_message, np.zeros((0, 4)), new_header(new_message, "scanner", 0))
    assert read_points(empty, "/points").shape == (0, 3)


def test_depth_points_project_back_to_their_pixels_with_their_colours(
    new: NewMessage, sent: Callable[[Any, str], Any]
) -> None:
    camera = CameraIntrinsics(fx=12, fy=13, cx=3.2, cy=1.7, width=7, height=4)
    random = np.random.default_rng(3)
    depth = random.uniform(1, 50, (4, 7)).astype(np.float32)
    depth[2, 5], depth[0, 3] = np.nan, np.inf
    image = random.integers(0, 256, (4, 7, 3), dtype=np.uint8)
    message = sent(depth_points_message(new, depth, image, camera, new_header(new, "camera", 7)), CLOUD)
    assert (message.height, message.width, message.point_step, message.row_step) == (4, 7, 16, 112)
    assert not message.is_dense
    assert [(field.name, field.offset) for field in message.fields] == [("x", 0), ("y", 4), ("z", 8), ("rgb", 12)]

    points = np.frombuffer(message.data, np.float32).reshape(28, 4)[:, :3]
    colors = np.frombuffer(message.data, np.uint8).reshape(4, 7, 16)[..., 12:15]
    np.testing.assert_array_equal(colors, image[..., ::-1])  # little endian: blue, green, red
    rows, columns = np.mgrid[:4, :7]
    known = np.isfinite(points).all(axis=1)
    assert known.sum() == 26
    image_points = camera.project(points[known])
    np.testing.assert_allclose(image_points[:, 0], columns.ravel()[known] + 0.5, atol=1e-4)
    np.testing.assert_allclose(image_points[:, 1], rows.ravel()[known] + 0.5, atol=1e-4)
    np.testing.assert_array_equal(points[known, 2], depth[np.isfinite(depth)])
    assert np.isnan(points[~known]).all()
