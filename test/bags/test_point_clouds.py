"""PointCloud2 messages as points, in the layouts that drivers have."""

from __future__ import annotations

import numpy as np
import pytest

from mp_perception.bags.messages import Message, header, new_message, point_cloud_message
from mp_perception.bags.point_clouds import points_of
from mp_perception.errors import UserError

POINTS = np.array([[1, 2, 3, 0.5], [4, np.nan, 6, 0.5], [7, 8, 9, 0.5]])


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
        "sensor_msgs/msg/PointCloud2",
        header=header("scanner", 0),
        height=2,
        width=3,
        fields=fields,
        is_bigendian=big,
        point_step=layout.itemsize,
        row_step=len(rows[0]),
        data=np.frombuffer(b"".join(rows), np.uint8),
        is_dense=False,
    )


def test_our_own_clouds_come_back() -> None:
    assert np.array_equal(points_of(point_cloud_message(POINTS, "scanner", 0), "/scan"), POINTS[[0, 2], :3])


@pytest.mark.parametrize(("order", "code", "datatype"), [("<", "f4", 7), ("<", "f8", 8), (">", "f4", 7)])
def test_layouts_of_drivers(order: str, code: str, datatype: int) -> None:
    layout = np.dtype({"names": ["y", "x", "z"], "formats": [order + code] * 3, "offsets": [8, 0, 20], "itemsize": 40})
    found = points_of(cloud(layout, datatype, padding=5, big=order == ">"), "/scan")
    assert found.tolist() == [[1, 2, 3], [7, 8, 9], [11, 12, 13], [17, 18, 19]]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"data": np.zeros(10, np.uint8)}, "expected 1 rows of at least 48 bytes, found 10 in rows of 48"),
        ({"row_step": 8}, "found 48 in rows of 8"),
        ({"fields": []}, "expected fields x, y, z of floats, found none"),
        ({"point_step": 8}, "expected fields within 8 bytes of a point"),
        ({"height": 2**31, "row_step": 2**31}, "expected 2147483648 rows"),
    ],
)
def test_clouds_that_are_none(change: dict, expected: str) -> None:
    message = point_cloud_message(POINTS, "scanner", 0)
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(UserError, match=f"^/scan: .*{expected}"):
        points_of(message, "/scan")


def test_an_empty_cloud_has_no_points() -> None:
    assert points_of(point_cloud_message(np.zeros((0, 4)), "scanner", 0), "/scan").shape == (0, 3)
