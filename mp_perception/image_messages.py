"""Images of ROS messages as arrays: whichever message classes they have, rclpy's or those that bags are read with.

Messages are checked before any memory is taken for them: size, row length and data length against each other and
against a limit.  The encodings that cameras use are read as a view of the message where the layout allows.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from mp_perception.errors import UserError

RgbImage = NDArray[np.uint8]

#: At most so many pixels are decoded unless somebody says otherwise (8K video).
MAX_IMAGE_PIXELS = 33_177_600


@dataclass(frozen=True)
class _Packed:
    """Layout of an encoding whose pixels lie one after another.

    channels: samples per pixel.  to_rgb: OpenCV's conversion code, None where the samples are RGB already.
    bytes_per_sample: 1, or 2 where only the high byte is used (the network sees 8 bits).
    """

    channels: int
    to_rgb: int | None
    bytes_per_sample: int = 1


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
    "rgb16": _Packed(3, None, 2),
    "bgr16": _Packed(3, cv2.COLOR_BGR2RGB, 2),
    "rgba16": _Packed(4, cv2.COLOR_RGBA2RGB, 2),
    "bgra16": _Packed(4, cv2.COLOR_BGRA2RGB, 2),
    "mono16": _Packed(1, cv2.COLOR_GRAY2RGB, 2),
    "yuv422_yuy2": _Packed(2, cv2.COLOR_YUV2RGB_YUYV),
    "yuyv": _Packed(2, cv2.COLOR_YUV2RGB_YUYV),
    "yuv422": _Packed(2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": _Packed(2, cv2.COLOR_YUV2RGB_UYVY),
    **{f"{name}8": _Packed(1, code) for name, code in _BAYER.items()},
    **{f"{name}16": _Packed(1, code, 2) for name, code in _BAYER.items()},
}
#: A full-size plane of brightness above a half-size plane of colour: height * 3 / 2 rows.
_TWO_PLANES = {"nv12": cv2.COLOR_YUV2RGB_NV12, "nv21": cv2.COLOR_YUV2RGB_NV21}
_PAIRED_COLUMNS = frozenset({"yuv422_yuy2", "yuyv", "yuv422", "uyvy"})
#: Encodings of depth images (REP 118): millimetres and metres.
DEPTH_ENCODINGS = ("16UC1", "32FC1")
#: What `image_to_array` reads.
CAMERA_ENCODINGS = (*_PACKED, *_TWO_PLANES)


def image_to_array(message: Any, max_pixels: int = MAX_IMAGE_PIXELS) -> RgbImage:
    """RGB image (H, W, 3) of a sensor_msgs/Image.

    It may be a view of the message: do not write into it.  16-bit samples keep their high byte.
    Raises UserError with what was expected and found, if the encoding is none of CAMERA_ENCODINGS, a size is 0, the
    image has more than `max_pixels` pixels, or step and data do not hold what size and encoding promise.
    """
    check_image_size(message.width, message.height, max_pixels)
    encoding = message.encoding
    if encoding in _PACKED:
        return _read_packed(message, _PACKED[encoding])
    if encoding in _TWO_PLANES:
        return _read_two_planes(message, _TWO_PLANES[encoding])
    if encoding in DEPTH_ENCODINGS:
        raise UserError(f"encoding {encoding}: expected a camera's image, found an image of depths")
    raise UserError(f"encoding: expected one of {', '.join(CAMERA_ENCODINGS)}, found {encoding!r}")


def compressed_to_array(message: Any, max_pixels: int = MAX_IMAGE_PIXELS) -> RgbImage:
    """RGB image (H, W, 3) of a sensor_msgs/CompressedImage: JPEG or PNG.

    The size is read from the header and checked before the image is decoded.  Raises UserError if that is not possible.
    """
    size = encoded_size(message.data, ("JPEG", "PNG"))
    if size is None:
        raise UserError(
            f"format {message.format[:40]!r}: expected JPEG or PNG, "
            f"found {len(message.data)} bytes of something else, or cut off"
        )
    width, height = size
    check_image_size(width, height, max_pixels)
    data = np.frombuffer(message.data, dtype=np.uint8)
    try:
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        decoded = None
    if decoded is None:
        raise UserError(
            f"format {message.format[:40]!r}: expected {width}x{height} pixels, found data that do not decode, "
            "or no memory for them"
        )
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def encoded_size(data: bytes, formats: tuple[str, ...]) -> tuple[int, int] | None:
    """Width and height in the header of a picture in one of these formats (Pillow's names), or None if it has none.

    Nothing is decoded: a small file may promise gigabytes of pixels.  A PNG that is cut off is none.
    """
    try:
        with PillowImage.open(io.BytesIO(data), formats=formats) as header:
            return None if header.format == "PNG" and _is_cut_off(data) else header.size
    # Pillow's readers meet damaged headers with errors of many kinds.
    except Exception:
        return None


def _is_cut_off(png: bytes) -> bool:
    """Whether a chunk of a PNG promises more bytes than follow: OpenCV takes memory for all of it before it reads."""
    place = 8
    while place + 8 <= len(png):
        if bytes(png[place + 4 : place + 8]) == b"IEND":
            return False
        place += 12 + int.from_bytes(png[place : place + 4], "big")
    return place > len(png)


def depth_to_array(message: Any, max_pixels: int = MAX_IMAGE_PIXELS) -> NDArray[np.float32]:
    """Depth (H, W) in metres, NaN where invalid, of a sensor_msgs/Image of depths (REP 118).

    32FC1 holds metres, invalid NaN; 16UC1 millimetres, invalid 0.  Zero, negative and infinite depths are invalid too.
    Raises UserError as image_to_array does.
    """
    check_image_size(message.width, message.height, max_pixels)
    if message.encoding not in DEPTH_ENCODINGS:
        raise UserError(f"encoding: expected {' or '.join(DEPTH_ENCODINGS)}, found {message.encoding[:40]!r}")
    dtype = np.dtype(np.float32 if message.encoding == "32FC1" else np.uint16)
    check_image_data(message, message.width * dtype.itemsize, message.height)
    stored: NDArray[Any] = np.ndarray(
        (message.height, message.width),
        dtype=dtype.newbyteorder(">" if message.is_bigendian else "<"),
        buffer=message.data,
        strides=(message.step, dtype.itemsize),
    )
    depth = stored.astype(np.float32)
    if message.encoding == "16UC1":
        depth /= np.float32(1000)
    depth[~(np.isfinite(depth) & (depth > 0))] = np.nan
    return depth


def check_image_size(width: int, height: int, max_pixels: int) -> None:
    """Raises UserError for an image without pixels or with more than max_pixels."""
    if width == 0 or height == 0:
        raise UserError(f"size: expected at least 1x1 pixels, found {width}x{height}")
    if width * height > max_pixels:
        raise UserError(
            f"size: expected at most {max_pixels} pixels (max_image_pixels), found {width}x{height} = {width * height}"
        )


def check_image_data(message: Any, row_bytes: int, rows: int) -> None:
    """Raises UserError unless the data hold `rows` rows of `step` bytes, and `step` a row of `row_bytes` bytes."""
    if message.step < row_bytes:
        raise UserError(
            f"step: expected at least {row_bytes} bytes a row ({message.width} pixels of {message.encoding[:40]!r}),"
            f" found {message.step}"
        )
    if len(message.data) < rows * message.step:
        raise UserError(
            f"data: expected {rows * message.step} bytes ({rows} rows of {message.step}), found {len(message.data)}"
        )


def _read_packed(message: Any, layout: _Packed) -> RgbImage:
    height, width, channels = message.height, message.width, layout.channels
    if message.encoding in _PAIRED_COLUMNS and width % 2:
        raise UserError(f"encoding {message.encoding}: expected an even width, found {width}")
    pixel_bytes = channels * layout.bytes_per_sample
    check_image_data(message, width * pixel_bytes, height)
    high_byte = 1 if layout.bytes_per_sample == 2 and not message.is_bigendian else 0
    samples: RgbImage = np.ndarray(
        (height, width, channels),
        dtype=np.uint8,
        buffer=message.data,
        offset=high_byte,
        strides=(message.step, pixel_bytes, layout.bytes_per_sample),
    )
    if layout.bytes_per_sample == 2:
        samples = np.ascontiguousarray(samples)
    if layout.to_rgb is None:
        return samples
    if message.encoding.startswith("bayer_") and (width < 2 or height < 2):
        raise UserError(f"encoding {message.encoding}: expected at least 2x2 pixels, found {width}x{height}")
    return np.asarray(cv2.cvtColor(samples, layout.to_rgb), dtype=np.uint8)


def _read_two_planes(message: Any, to_rgb: int) -> RgbImage:
    height, width = message.height, message.width
    if width % 2 or height % 2:
        raise UserError(f"encoding {message.encoding}: expected an even width and height, found {width}x{height}")
    rows = height * 3 // 2
    check_image_data(message, width, rows)
    planes: RgbImage = np.ndarray((rows, width), dtype=np.uint8, buffer=message.data, strides=(message.step, 1))
    return np.asarray(cv2.cvtColor(planes, to_rgb), dtype=np.uint8)
