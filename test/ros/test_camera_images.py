from __future__ import annotations

import sys

import numpy as np
import pytest
from sensor_msgs.msg import Image

from mp_perception.errors import UserError
from mp_perception.ros.camera_images import camera_image, describe_blank_image, describe_unused_bits


def image(encoding: str, channels: int, dtype: type) -> tuple[Image, np.ndarray]:
    pixels = np.random.default_rng(0).integers(0, 200, (4, 6, channels)).astype(dtype)
    message = Image(height=4, width=6, encoding=encoding, step=pixels.nbytes // 4)
    message.data.frombytes(pixels.tobytes())
    return message, pixels


def test_an_encoding_of_the_table_is_read() -> None:
    message, pixels = image("bgr8", 3, np.uint8)
    np.testing.assert_array_equal(camera_image(message, 1000), pixels[..., ::-1])


def test_an_image_that_shows_nothing_is_named() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (480, 640, 3))
    for level in (10, 128, np.array([20, 30, 220])):
        blank = (level + noise).astype(np.uint8)
        assert describe_blank_image(blank, "/image").startswith("/image shows nothing, its pixels are nearly equal")
        road = blank.copy()
        road[240:, :, 2] += 10  # one channel is enough
        assert describe_blank_image(road, "/image") == ""
    assert describe_blank_image(np.zeros((1, 1, 3), np.uint8), "/image")


@pytest.mark.parametrize("missing", [True, False])
def test_an_unknown_encoding_is_named_with_or_without_cv_bridge(missing: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if missing:
        monkeypatch.setitem(sys.modules, "cv_bridge", None)
    message, _ = image("rgb565", 3, np.uint8)
    with pytest.raises(UserError, match=r"expected one of rgb8, bgr8.*found 'rgb565'$"):
        camera_image(message, 1000)


def test_a_dark_16_bit_image_is_named_with_the_remedy() -> None:
    message, pixels = image("bayer_rggb16", 1, np.uint16)
    message.data[:] = type(message.data)("B", (pixels + 3500).astype("<u2").tobytes())
    assert describe_unused_bits(message, 16, "/image") == (
        "/image (bayer_rggb16) has values below 4096 of 65536, so that the network sees a dark image; if its samples"
        " have 12 bits, set the parameter sample_bits"
    )
    assert describe_unused_bits(message, 12, "/image") == ""
    assert camera_image(message, 1000, 12).min() > 200
    assert camera_image(message, 1000).max() < 16
    message.data[:] = type(message.data)("B", bytes(len(message.data)))
    assert describe_unused_bits(message, 16, "/image").endswith(
        "values below 1 of 65536, so that the network sees a dark image"
    )
    assert describe_unused_bits(image("bgr8", 3, np.uint8)[0], 16, "/image") == ""


@pytest.mark.parametrize(("encoding", "channels", "dtype"), [("32FC1", 1, np.float32), ("16UC1", 1, np.uint16)])
def test_a_depth_image_is_not_a_camera_image(encoding: str, channels: int, dtype: type) -> None:
    with pytest.raises(UserError, match="expected a camera image, found a depth image"):
        camera_image(image(encoding, channels, dtype)[0], 1000)


def test_sizes_are_checked_before_cv_bridge_sees_the_message() -> None:
    message, _ = image("rgb565", 3, np.uint8)
    with pytest.raises(UserError, match="max_image_pixels"):
        camera_image(message, 10)
    message.height = 1000
    with pytest.raises(UserError, match=r"^data: expected"):
        camera_image(message, 100_000)


def test_a_frame_id_that_every_object_would_repeat_has_a_limit() -> None:
    message, _ = image("bgr8", 3, np.uint8)
    message.header.frame_id = "c" * 255
    assert camera_image(message, 1000).shape == (4, 6, 3)
    message.header.frame_id = "c" * 4_000_000
    with pytest.raises(UserError, match="^frame_id: expected at most 255 characters, found 4000000$"):
        camera_image(message, 1000)
