"""The point cloud: a point for every pixel, in its place and with its colour."""

from __future__ import annotations

import numpy as np
from std_msgs.msg import Header

from mp_perception.geometry import CameraIntrinsics
from mp_perception.ros.point_cloud import depth_to_point_cloud


def test_points_project_back_to_their_pixels_with_their_colours() -> None:
    camera = CameraIntrinsics(fx=12, fy=13, cx=3.2, cy=1.7, width=7, height=4)
    random = np.random.default_rng(3)
    depth = random.uniform(1, 50, (4, 7)).astype(np.float32)
    depth[2, 5] = np.nan
    image = random.integers(0, 256, (4, 7, 3), dtype=np.uint8)
    cloud = depth_to_point_cloud(depth, image, camera, Header(frame_id="camera"))
    assert (cloud.height, cloud.width, cloud.point_step, cloud.row_step, cloud.is_dense) == (4, 7, 16, 112, False)
    assert [(field.name, field.offset) for field in cloud.fields] == [("x", 0), ("y", 4), ("z", 8), ("rgb", 12)]

    points = np.frombuffer(cloud.data, np.float32).reshape(28, 4)[:, :3]
    colors = np.frombuffer(cloud.data, np.uint8).reshape(4, 7, 16)[..., 12:15]
    np.testing.assert_array_equal(colors, image[..., ::-1])  # little endian: blue, green, red
    rows, columns = np.mgrid[:4, :7]
    known = np.isfinite(points).all(axis=1)
    assert known.sum() == 27
    image_points = camera.project(points[known])
    np.testing.assert_allclose(image_points[:, 0], columns.ravel()[known] + 0.5, atol=1e-4)
    np.testing.assert_allclose(image_points[:, 1], rows.ravel()[known] + 0.5, atol=1e-4)
    np.testing.assert_array_equal(points[:, 2], depth.ravel())
