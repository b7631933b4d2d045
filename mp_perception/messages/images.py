"""sensor_msgs/Image and CompressedImage to arrays, and arrays to these messages.

A message is checked before memory is allocated for it: size, row length and data length against each other and
against a limit.  Camera encodings are read as a view of the message where the layout allows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import RgbImage
from mp_perception.encoded_images import MAX_IMAGE_PIXELS, encoded_size
from mp_perception.errors import UserError
from mp_perception.messages.compressed_depth import compressed_depth_size, read_compressed_depth
from mp_perception.messages.header import Message, NewMessage

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")

_UINT8, _UINT16 = np.dtype(np.uint8), np.dtype(np.uint16)


@dataclass(frozen=True)
class _Packed:
    """Layout of an encoding whose pixels are contiguous.

    channels: samples per pixel.  to_rgb: OpenCV's conversion code, None if the samples are RGB already.
    dtype: uint8, or uint16 where the 8 highest of the used bits are taken (the network sees 8 bits).
    """

    channels: int
    to_rgb: int | None
    dtype: np.dtype[Any] = _UINT8


# OpenCV names a Bayer pattern by its second row: its BG is the rggb of ROS.
_BAYER = {
    "bayer_rggb": cv2.COLOR_BayerBG2RGB,
    "bayer_bggr": cv2.COLOR_BayerRG2RGB,
    "bayer_gbrg": cv2.COLOR_BayerGR2RGB,
    "bayer_grbg": cv2.COLOR_BayerGB2RGB,
}

_PACKED: Mapping[str, _Packed] = {
    "rgb8": _Packed(3, None),
    "bgr8": _Packed(3, cv2.COLOR_BGR2RGB),
    "8UC3": _Packed(3, cv2.COLOR_BGR2RGB),
    "rgba8": _Packed(4, cv2.COLOR_RGBA2RGB),
    "bgra8": _Packed(4, cv2.COLOR_BGRA2RGB),
    "mono8": _Packed(1, cv2.COLOR_GRAY2RGB),
    "8UC1": _Packed(1, cv2.COLOR_GRAY2RGB),
    "rgb16": _Packed(3, None, _UINT16),
    "bgr16": _Packed(3, cv2.COLOR_BGR2RGB, _UINT16),
    "rgba16": _Packed(4, cv2.COLOR_RGBA2RGB, _UINT16),
    "bgra16": _Packed(4, cv2.COLOR_BGRA2RGB, _UINT16),
    "mono16": _Packed(1, cv2.COLOR_GRAY2RGB, _UINT16),
    "yuv422_yuy2": _Packed(2, cv2.COLOR_YUV2RGB_YUYV),
    "yuyv": _Packed(2, cv2.COLOR_YUV2RGB_YUYV),
    "yuv422": _Packed(2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": _Packed(2, cv2.COLOR_YUV2RGB_UYVY),
    **{f"{name}8": _Packed(1, code) for name, code in _BAYER.items()},
    **{f"{name}16": _Packed(1, code, _UINT16) for name, code in _BAYER.items()},
}
#: A full-size luminance plane above a half-size chrominance plane: height * 3 / 2 rows.
_TWO_PLANES = {"nv12": cv2.COLOR_YUV2RGB_NV12, "nv21": cv2.COLOR_YUV2RGB_NV21}
#: Encodings of depth images (REP 118): millimetres and metres.
_DEPTH_ENCODINGS = {"16UC1": np.uint16, "32FC1": np.float32}
#: Encodings that `image_to_array` reads.
CAMERA_ENCODINGS = (*_PACKED, *_TWO_PLANES)
#: Encodings that `image_message` writes -> (dtype, channels).
_WRITTEN: Mapping[str, tuple[type, int]] = {
    "rgb8": (np.uint8, 3),
    "bgr8": (np.uint8, 3),
    "mono8": (np.uint8, 1),
    "16UC1": (np.uint16, 1),
    "32FC1": (np.float32, 1),
}


def is_compressed(message: Message) -> bool:
    """Whether a message is a CompressedImage and not an Image."""
    return hasattr(message, "format")


def is_depth_image(message: Message) -> bool:
    """Whether an Image or CompressedImage holds depth and not a camera image."""
    if is_compressed(message):
        return "compressedDepth" in message.format
    return message.encoding in _DEPTH_ENCODINGS


def image_to_array(message: Message, max_pixels: int = MAX_IMAGE_PIXELS, sample_bits: int = 16) -> RgbImage:
    """Camera image of a sensor_msgs/Image or CompressedImage.

    Args:
        message: an Image of one of CAMERA_ENCODINGS, or a CompressedImage that holds a JPEG or PNG.
        max_pixels: limit, checked before the image is decoded.
        sample_bits: used bits of 16-bit samples, 8..16, the lowest ones; larger values are white.

    Returns:
        RGB (H, W, 3).  It may be a view of the message: do not write into it.

    Raises:
        UserError: unknown encoding or format, size 0 or above the limit, or data that do not fit the size.

    Examples:
        >>> from mp_perception.bags.message_types import new_message
        >>> from mp_perception.messages.header import new_header
        >>> header = new_header(new_message, "camera", stamp_ns=1_500_000_000)
        >>> message = image_message(new_message, np.full((2, 3, 3), 7, np.uint8), "rgb8", header)
        >>> message.header.stamp.sec, message.header.stamp.nanosec, image_to_array(message).shape
        (1, 500000000, (2, 3, 3))
    """
    if is_compressed(message):
        return _read_compressed(message, max_pixels)
    check_size(message.width, message.height, max_pixels)
    encoding = message.encoding
    if encoding in _PACKED:
        return _read_packed(message, _PACKED[encoding], sample_bits)
    if encoding in _TWO_PLANES:
        return _read_two_planes(message, _TWO_PLANES[encoding])
    if encoding in _DEPTH_ENCODINGS:
        raise UserError(f"encoding {encoding}: expected a camera image, found a depth image")
    raise UserError(f"encoding: expected one of {', '.join(CAMERA_ENCODINGS)}, found {encoding[:40]!r}")


def depth_to_array(message: Message, max_pixels: int = MAX_IMAGE_PIXELS) -> NDArray[np.float32]:
    """Depth (H, W), metres, of a depth image (REP 118): NaN where unknown, +Inf beyond the range (REP 117).

    32FC1 holds metres; 16UC1 millimetres, 0 where unknown or beyond the range.  Zero and negative depths are unknown.
    message: an Image, or a CompressedImage of compressed_depth_image_transport.

    Raises:
        UserError: another encoding, size 0 or above `max_pixels`, or data that do not fit the size.
    """
    if is_compressed(message):
        check_size(*compressed_depth_size(message), max_pixels)
        return _as_depth(read_compressed_depth(message))
    check_size(message.width, message.height, max_pixels)
    if message.encoding not in _DEPTH_ENCODINGS:
        raise UserError(f"encoding: expected {' or '.join(_DEPTH_ENCODINGS)}, found {message.encoding[:40]!r}")
    dtype = np.dtype(_DEPTH_ENCODINGS[message.encoding])
    check_data(message, message.width * dtype.itemsize, message.height)
    return _as_depth(_samples(message, dtype, message.height)[..., 0])


def _as_depth(stored: NDArray[Any]) -> NDArray[np.float32]:
    """Metres, of millimetres (integers) or metres (floats)."""
    depth = stored.astype(np.float32)
    if stored.dtype.kind == "u":
        depth /= np.float32(1000)
    depth[~(depth > 0)] = np.nan
    return depth


def image_message(new: NewMessage, pixels: NDArray[Any], encoding: str, header: Message) -> Message:
    """sensor_msgs/Image, little endian, without padding.

    Args:
        pixels: (H, W) or (H, W, channels), of the encoding's type.
        encoding: rgb8, bgr8, mono8, 16UC1 (millimetres) or 32FC1 (metres).

    Raises:
        ValueError: the array does not fit the encoding.
    """
    if encoding not in _WRITTEN:
        raise ValueError(f"encoding {encoding!r}: expected one of {', '.join(_WRITTEN)}")
    dtype, channels = _WRITTEN[encoding]
    if pixels.dtype != dtype or pixels.ndim not in (2, 3) or (pixels.shape[2] if pixels.ndim == 3 else 1) != channels:
        raise ValueError(
            f"{encoding}: expected {np.dtype(dtype)} with {channels} channels, found {pixels.dtype} {pixels.shape}"
        )
    height, width = pixels.shape[:2]
    return new(
        "sensor_msgs/msg/Image",
        header=header,
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=width * channels * pixels.itemsize,
        data=np.ascontiguousarray(pixels).view(np.uint8).reshape(-1),
    )


def depth_message(new: NewMessage, depth: NDArray[np.float32], encoding: str, header: Message) -> Message:
    """Depth image (REP 118).

    Args:
        depth: (H, W) float32 metres, NaN where unknown, +Inf beyond the range.
        encoding: 32FC1 (metres, NaN and +Inf unchanged) or 16UC1 (millimetres; 0 for both, and beyond 16 bits).
    """
    if encoding == "32FC1":
        return image_message(new, depth, encoding, header)
    fits = (depth > 0) & (depth < np.float32(65.5355))
    with np.errstate(invalid="ignore"):  # NaN and +Inf become any number, and then 0
        millimetres = (depth * np.float32(1000) + np.float32(0.5)).astype(np.uint16)
    millimetres *= fits
    return image_message(new, millimetres, encoding, header)


def jpeg_message(new: NewMessage, image: RgbImage, quality: int, header: Message) -> Message:
    """sensor_msgs/CompressedImage, JPEG, of an RGB image (H, W, 3).  quality: JPEG's, 1..100."""
    data = encode_jpeg(image, quality)
    return new("sensor_msgs/msg/CompressedImage", header=header, format="jpeg", data=data)


def encode_jpeg(image: RgbImage, quality: int) -> NDArray[np.uint8]:
    """The bytes (N,) of a JPEG of an RGB image (H, W, 3).  quality: JPEG's, 1..100."""
    good, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert good
    return np.asarray(data, dtype=np.uint8).reshape(-1)


def used_bits(message: Message) -> int | None:
    """Bits of the largest sample of a 16-bit camera image that `image_to_array` reads; None for other images."""
    layout = _PACKED.get("" if is_compressed(message) else message.encoding)
    if layout is None or layout.dtype != _UINT16:
        return None
    return int(_samples(message, layout.dtype, message.height, layout.channels).max()).bit_length()


def _samples(message: Message, dtype: np.dtype[Any], rows: int, channels: int = 1) -> NDArray[Any]:
    """(rows, W, channels), a view of the message."""
    return np.ndarray(
        (rows, message.width, channels),
        dtype=dtype.newbyteorder(">" if message.is_bigendian else "<"),
        buffer=message.data,
        strides=(message.step, channels * dtype.itemsize, dtype.itemsize),
    )


def _read_packed(message: Message, layout: _Packed, sample_bits: int) -> RgbImage:
    height, width, channels = message.height, message.width, layout.channels
    if channels == 2 and width % 2:  # YUV 4:2:2: two pixels share their colour
        raise UserError(f"encoding {message.encoding}: expected an even width, found {width}")
    check_data(message, width * channels * layout.dtype.itemsize, height)
    samples = _samples(message, layout.dtype, height, channels)
    if layout.dtype == _UINT16:
        samples = samples >> (sample_bits - 8)
        if sample_bits < 16:
            np.minimum(samples, 255, out=samples)
        samples = samples.astype(np.uint8)
    if layout.to_rgb is None:
        return samples
    if message.encoding.startswith("bayer_") and (width < 2 or height < 2):
        raise UserError(f"encoding {message.encoding}: expected at least 2x2 pixels, found {width}x{height}")
    return np.asarray(cv2.cvtColor(samples, layout.to_rgb), dtype=np.uint8)


def _read_two_planes(message: Message, to_rgb: int) -> RgbImage:
    height, width = message.height, message.width
    if width % 2 or height % 2:
        raise UserError(f"encoding {message.encoding}: expected an even width and height, found {width}x{height}")
    rows = height * 3 // 2
    check_data(message, width, rows)
    return np.asarray(cv2.cvtColor(_samples(message, _UINT8, rows), to_rgb), dtype=np.uint8)


def _read_compressed(message: Message, max_pixels: int) -> RgbImage:
    size = encoded_size(message.data, ("JPEG", "PNG"))
    if size is None:
        raise UserError(
            f"format {message.format[:40]!r}: expected JPEG or PNG, "
            f"found {len(message.data)} bytes of another format, or cut off"
        )
    width, height = size
    check_size(width, height, max_pixels)
    data = np.frombuffer(message.data, dtype=np.uint8)
    try:
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        decoded = None
    if decoded is None:
        raise UserError(
            f"format {message.format[:40]!r}: expected {width}x{height} pixels, found data that cannot be decoded, "
            "or not enough memory"
        )
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raises UserError unless an image of width x height has pixels, and at most `max_pixels`."""
    if width == 0 or height == 0:
        raise UserError(f"size: expected at least 1x1 pixels, found {width}x{height}")
    if width * height > max_pixels:
        raise UserError(
            f"size: expected at most {max_pixels} pixels (max_image_pixels), found {width}x{height} = {width * height}"
        )


def check_data(message: Message, row_bytes: int, rows: int) -> None:
    """Raises UserError unless the data hold `rows` rows of `step` bytes, and `step` a row of `row_bytes` bytes."""
    if message.step < row_bytes:
        raise UserError(
            f"step: expected at least {row_bytes} bytes per row ({message.width} pixels of {message.encoding[:40]!r}),"
            f" found {message.step}"
        )
    if len(message.data) < rows * message.step:
        raise UserError(
            f"data: expected {rows * message.step} bytes ({rows} rows of {message.step}), found {len(message.data)}"
        )
