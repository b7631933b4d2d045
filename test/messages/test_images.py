"""Images in and out: against OpenCV, against cv_bridge, against hand-made pixels; and everything that is refused."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as PillowImage
from sensor_msgs.msg import CompressedImage, Image

from mp_perception.errors import UserError
from mp_perception.messages.header import NewMessage, new_header
from mp_perception.messages.images import (
    depth_message,
    depth_to_array,
    image_message,
    image_to_array,
    is_depth_image,
    jpeg_message,
    used_bits,
)

LIMIT = 10**6


def message_of(pixels: NDArray[Any], encoding: str, padding: int = 0, **changes: Any) -> Image:
    """Image message of pixels (H, W, ...), each row followed by `padding` bytes."""
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    fields = {"height": height, "width": width, "step": rows.shape[1], "encoding": encoding} | changes
    message = Image(**fields)
    message.data.frombytes(rows.tobytes())
    return message


def noise(height: int, width: int, channels: int, dtype: Any = np.uint8) -> NDArray[Any]:
    high = np.iinfo(dtype).max + 1
    return np.random.default_rng(1).integers(0, high, (height, width, channels), dtype=dtype)


sizes = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(0, 5))


@given(sizes, st.sampled_from(["rgb8", "bgr8", "8UC3", "rgba8", "bgra8", "mono8", "8UC1"]))
def test_packed_encodings_are_a_choice_of_channels(size: tuple[int, int, int], encoding: str) -> None:
    height, width, padding = size
    order = {
        "rgb8": (0, 1, 2), "rgba8": (0, 1, 2), "bgr8": (2, 1, 0), "8UC3": (2, 1, 0), "bgra8": (2, 1, 0),
        "mono8": (0, 0, 0), "8UC1": (0, 0, 0),
    }[encoding]  # fmt: skip
    channels = 4 if encoding in ("rgba8", "bgra8") else max(order) + 1
    pixels = noise(height, width, channels)
    image = image_to_array(message_of(pixels, encoding, padding), LIMIT)
    np.testing.assert_array_equal(image, pixels[..., list(order)])
    assert image.dtype == np.uint8


@given(sizes, st.sampled_from(["rgb16", "bgr16", "mono16", "rgba16"]), st.booleans())
def test_16_bit_encodings_keep_the_high_byte(size: tuple[int, int, int], encoding: str, big_endian: bool) -> None:
    height, width, padding = size
    order = {"rgb16": (0, 1, 2), "bgr16": (2, 1, 0), "rgba16": (0, 1, 2), "mono16": (0, 0, 0)}[encoding]
    pixels = noise(height, width, 4 if encoding == "rgba16" else max(order) + 1, np.uint16)
    stored = pixels.astype(">u2" if big_endian else "<u2")
    message = message_of(stored, encoding, padding, is_bigendian=int(big_endian))
    np.testing.assert_array_equal(image_to_array(message, LIMIT), (pixels // 256)[..., list(order)])


@pytest.mark.parametrize("encoding", ["yuv422_yuy2", "yuyv", "yuv422", "uyvy"])
def test_yuv_422_of_known_colours(encoding: str) -> None:
    # BT.601, video range: black, white, and pure red, as (Y, U, V).
    colors = {(16, 128, 128): (0, 0, 0), (235, 128, 128): (255, 255, 255), (81, 90, 240): (255, 0, 0)}
    for (y, u, v), rgb in colors.items():
        pair = [(y, u), (y, v)] if encoding in ("yuv422_yuy2", "yuyv") else [(u, y), (v, y)]
        image = image_to_array(message_of(np.array([pair * 2] * 3, dtype=np.uint8), encoding, padding=3), LIMIT)
        assert image.shape == (3, 4, 3)
        np.testing.assert_allclose(image, np.broadcast_to(rgb, image.shape), atol=2)


@pytest.mark.parametrize("encoding", ["nv12", "nv21"])
def test_two_planes_of_known_colours(encoding: str) -> None:
    y, u, v = 81, 90, 240  # red
    rows = np.full((6, 10), 77, dtype=np.uint8)  # two bytes of padding in each row
    rows[:4, :8] = y
    rows[4:, :8] = [u, v] * 4 if encoding == "nv12" else [v, u] * 4
    message = message_of(rows, encoding, height=4, width=8, step=10)
    image = image_to_array(message, LIMIT)
    assert image.shape == (4, 8, 3)
    np.testing.assert_allclose(image, np.broadcast_to((255, 0, 0), image.shape), atol=2)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_patterns_give_the_colours_they_were_made_of(pattern: str, bits: int) -> None:
    rgb = {"r": 200, "g": 120, "b": 40}
    mosaic = np.array([[rgb[c] for c in pattern[:2]], [rgb[c] for c in pattern[2:]]], dtype=np.uint16)
    mosaic = np.tile(mosaic, (4, 5))
    stored = mosaic.astype(np.uint8) if bits == 8 else (mosaic * 256).astype("<u2")
    image = image_to_array(message_of(stored, f"bayer_{pattern}{bits}"), LIMIT)
    np.testing.assert_array_equal(image, np.broadcast_to((200, 120, 40), (8, 10, 3)))


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "mono8", "bgra8"])
def test_the_same_as_cv_bridge(encoding: str) -> None:
    cv_bridge = pytest.importorskip("cv_bridge")
    channels = {"mono8": 1, "bgra8": 4}.get(encoding, 3)
    pixels = noise(7, 9, channels)
    message = message_of(pixels[..., 0] if channels == 1 else pixels, encoding)
    theirs = cv_bridge.CvBridge().imgmsg_to_cv2(message, "rgb8")
    np.testing.assert_array_equal(image_to_array(message, LIMIT), theirs)


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_samples_may_use_fewer_bits(bits: int, big_endian: bool) -> None:
    """The 8 highest of the used bits; a sample above them is white."""
    pixels = np.array([[0, 1, 2**bits // 2, 2**bits - 1, 2**16 - 1]], dtype=np.uint16)[..., None]
    order = ">u2" if big_endian else "<u2"
    message = message_of(pixels.astype(order), "mono16", padding=3, is_bigendian=big_endian)
    found = image_to_array(message, sample_bits=bits)
    assert found[0, :, 1].tolist() == [0, int(bits == 8), 128, 255, 255]
    assert used_bits(message) == 16
    message = message_of((pixels[:, :4] // 4).astype(order), "bayer_rggb16", padding=3, is_bigendian=big_endian)
    assert used_bits(message) == bits - 2


def test_only_16_bit_images_have_unused_bits() -> None:
    assert used_bits(message_of(noise(2, 3, 3), "rgb8")) is None
    assert used_bits(compressed(noise(2, 3, 3), "png")) is None


def test_rgb8_is_a_view_of_the_message() -> None:
    message = message_of(noise(4, 5, 3), "rgb8")
    image = image_to_array(message, LIMIT)
    message.data[0] ^= 0xFF
    assert image[0, 0, 0] == message.data[0]


def test_a_padded_view_can_be_resized_and_copied() -> None:
    pixels = noise(20, 30, 3)
    image = image_to_array(message_of(pixels, "rgb8", padding=7), LIMIT)
    np.testing.assert_array_equal(cv2.resize(image, (15, 10)), cv2.resize(pixels, (15, 10)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"width": 0, "height": 0, "step": 0}, "size: expected at least 1x1 pixels, found 0x0"),
        ({"height": 0}, "size: expected at least 1x1 pixels, found 6x0"),
        ({"width": 2**32 - 1, "height": 2**32 - 1}, "expected at most 1000000 pixels"),
        ({"step": 17}, "step: expected at least 18 bytes per row (6 pixels of 'rgb8'), found 17"),
        ({"height": 5}, "data: expected 90 bytes (5 rows of 18), found 72"),
        ({"step": 2**32 - 1}, "found 72"),
        ({"encoding": "rgb9"}, "found 'rgb9'"),
        ({"encoding": ""}, "found ''"),
        ({"encoding": "32FC1"}, "found a depth image"),
        ({"encoding": "16UC1"}, "found a depth image"),
        ({"encoding": "nv12", "height": 3}, "even width and height, found 6x3"),
        ({"encoding": "yuyv", "width": 5}, "even width, found 5"),
        ({"encoding": "bayer_rggb8", "width": 1}, "at least 2x2 pixels, found 1x4"),
        ({"encoding": "nv12", "step": 18}, "data: expected 108 bytes (6 rows of 18), found 72"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(changes: dict[str, Any], words: str) -> None:
    message = message_of(noise(4, 6, 3), "rgb8")
    for name, value in changes.items():
        setattr(message, name, value)
    with pytest.raises(UserError) as caught:
        image_to_array(message, LIMIT)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@given(
    st.integers(0, 2**32 - 1) | st.integers(0, 9),
    st.integers(0, 2**32 - 1) | st.integers(0, 9),
    st.integers(0, 40),
    st.sampled_from(["rgb8", "mono16", "nv12", "nv21", "yuyv", "bayer_gbrg8", "bgra8", "8UC5", "nv24", "x"]),
    st.binary(max_size=300),
)
def test_any_message_gives_an_image_of_its_size_or_a_user_error(
    height: int, width: int, step: int, encoding: str, data: bytes
) -> None:
    message = Image(height=height, width=width, step=step, encoding=encoding, data=data)
    try:
        image = image_to_array(message, LIMIT)
    except UserError:
        return
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8
    int(image.sum(dtype=np.int64))  # every byte of a view can be read


def compressed(pixels: NDArray[Any], kind: str, **options: Any) -> CompressedImage:
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, kind, **options)
    return CompressedImage(format=kind.lower(), data=buffer.getvalue())


def test_png_is_exact_and_jpeg_close() -> None:
    pixels = cv2.resize(noise(4, 6, 3), (60, 40), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(image_to_array(compressed(pixels, "PNG"), LIMIT), pixels)
    jpeg = image_to_array(compressed(pixels, "JPEG", quality=97), LIMIT)
    assert np.abs(jpeg.astype(int) - pixels).mean() < 6
    gray = image_to_array(compressed(pixels[..., 0], "PNG"), LIMIT)
    np.testing.assert_array_equal(gray, pixels[..., :1].repeat(3, axis=2))


def test_rotation_hints_are_ignored() -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    message = compressed(noise(20, 30, 3), "JPEG", exif=exif)
    assert image_to_array(message, LIMIT).shape == (20, 30, 3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_the_size_is_checked_before_decoding(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    message = compressed(noise(100, 200, 3), kind)
    with pytest.raises(UserError, match="expected at most 19999 pixels .* found 200x100 = 20000"):
        image_to_array(message, 19999)


@pytest.mark.parametrize("data", [b"", b"x", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a" + bytes(50)])
def test_data_of_another_format_are_refused(data: bytes) -> None:
    with pytest.raises(UserError, match="expected JPEG or PNG"):
        image_to_array(CompressedImage(format="jpeg", data=data), LIMIT)


@given(st.integers(0, 2000), st.sampled_from(["PNG", "JPEG"]))
def test_a_cut_picture_gives_an_image_of_its_size_or_a_user_error(length: int, kind: str) -> None:
    message = compressed(noise(16, 24, 3), kind)
    message.data = message.data[:length]
    try:
        assert image_to_array(message, LIMIT).shape == (16, 24, 3)
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from(["rgb8", "bgr8", "mono8"]))
def test_out_and_in_again(height: int, width: int, encoding: str) -> None:
    from mp_perception.bags.message_types import new_message as rosbags
    from mp_perception.ros.message_class import new_message as rclpy

    pixels = noise(height, width, 1 if encoding == "mono8" else 3)[:, ::-1]  # not contiguous
    expected = pixels.repeat(3, axis=2) if encoding == "mono8" else pixels
    for new in (rosbags, rclpy):
        message = image_message(new, pixels, encoding, new_header(new, "camera", 7))
        assert (message.height, message.width, message.step) == (height, width, pixels.shape[2] * width)
        assert message.header.frame_id == "camera"
        image = image_to_array(message, LIMIT)
        np.testing.assert_array_equal(image, expected[..., ::-1] if encoding == "bgr8" else expected)


@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("rgb8", np.zeros((2, 2), np.uint8)),
        ("32FC1", np.zeros((2, 2))),
        ("16UC1", np.zeros((2, 2, 2), np.uint16)),
        ("jpeg", np.zeros((2, 2, 3), np.uint8)),
    ],
)
def test_an_array_that_does_not_fit_is_refused(new: NewMessage, encoding: str, pixels: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        image_message(new, pixels, encoding, new_header(new, "camera", 7))


def test_depth_in_metres_and_millimetres(new: NewMessage, sent: Callable[[Any, str], Any]) -> None:
    depth = np.array([[1.0, 0.0014, 12.3456, np.inf], [np.nan, 65.5349, 65.54, 1e9]], dtype=np.float32)
    header = new_header(new, "camera", 7)
    metres = sent(depth_message(new, depth, "32FC1", header), "sensor_msgs/msg/Image")
    assert (metres.encoding, metres.step, metres.is_bigendian) == ("32FC1", 16, 0)
    np.testing.assert_array_equal(depth_to_array(metres), depth)
    millimetres = sent(depth_message(new, depth, "16UC1", header), "sensor_msgs/msg/Image")
    assert (millimetres.encoding, millimetres.step) == ("16UC1", 8)
    # Unknown is 0, and so is what 16 bits cannot hold: a wrapped or clipped number would be a false measurement.
    assert np.frombuffer(millimetres.data, "<u2").tolist() == [1000, 1, 12346, 0, 0, 65535, 0, 0]
    expected = [[1, 0.001, 12.346, np.nan], [np.nan, 65.535, np.nan, np.nan]]
    np.testing.assert_allclose(depth_to_array(millimetres), expected)
    assert is_depth_image(metres)
    assert is_depth_image(millimetres)


def test_depth_that_is_not_positive_is_unknown_and_infinity_stays() -> None:
    stored = np.array([[0.0, -1.0, np.inf, 2.0, -np.inf]], dtype=">f4")
    depth = depth_to_array(message_of(stored, "32FC1", padding=3, is_bigendian=1))
    np.testing.assert_array_equal(depth, [[np.nan, np.nan, np.inf, 2, np.nan]])
    with pytest.raises(UserError, match="expected 16UC1 or 32FC1, found 'rgb8'"):
        depth_to_array(message_of(noise(4, 6, 3), "rgb8"))


def test_a_jpeg_is_read_as_a_camera_image(new: NewMessage, sent: Callable[[Any, str], Any]) -> None:
    pixels = np.full((16, 24, 3), (200, 40, 90), np.uint8)
    message = sent(jpeg_message(new, pixels, 95, new_header(new, "camera", 7)), "sensor_msgs/msg/CompressedImage")
    assert not is_depth_image(message)
    np.testing.assert_allclose(image_to_array(message), pixels, atol=3)
