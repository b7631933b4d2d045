"""Camera images of the node: the encodings that `messages.images` reads, and cv_bridge's for the others."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from mp_perception.arrays import RgbImage
from mp_perception.errors import UserError
from mp_perception.messages.images import (
    CAMERA_ENCODINGS,
    check_data,
    check_size,
    image_to_array,
    is_compressed,
    is_depth_image,
    used_bits,
)

#: Longest frame_id of an image: every output and every object in it repeats the name.
_MAX_FRAME_ID = 255
#: Standard deviation of pixels (0..255) below which an image shows nothing, if it is below in every channel.
_BLANK_DEVIATION = 2.0
#: About this many rows, or columns if there are fewer, are looked at for that.
_LOOKED_AT = 64


def describe_blank_image(image: RgbImage, topic: str) -> str:
    """What to tell the user if all pixels of an image (H, W, 3) are nearly equal; "" otherwise."""
    step = max(1, min(image.shape[:2]) // _LOOKED_AT)
    _, deviations = cv2.meanStdDev(np.ascontiguousarray(image[::step, ::step]))
    deviation = float(deviations.max())
    if deviation >= _BLANK_DEVIATION:
        return ""
    return f"{topic} shows nothing, its pixels are nearly equal (a covered lens, darkness): the outputs mean nothing"


def describe_unused_bits(message: Any, sample_bits: int, topic: str) -> str:
    """What to tell the user if a 16-bit image, already read, uses at most a quarter of its range; "" otherwise."""
    bits = used_bits(message)
    if bits is None or bits > sample_bits - 2:
        return ""
    values = f"{topic} ({message.encoding}) has values below {2**bits} of {2**sample_bits}"
    remedy = f"; if its samples have {bits} bits, set the parameter sample_bits" if bits >= 8 else ""
    return f"{values}, so that the network sees a dark image{remedy}"


def camera_image(message: Any, max_pixels: int, sample_bits: int = 16) -> RgbImage:
    """RGB image (H, W, 3) of a sensor_msgs/Image or CompressedImage; it may be a view of the message.

    Args:
        max_pixels, sample_bits: as for `messages.images.image_to_array`.

    Raises:
        UserError: as `messages.images.image_to_array`; also an encoding that cv_bridge does not read either, or a
            frame_id that is too long.
    """
    if (length := len(message.header.frame_id)) > _MAX_FRAME_ID:
        raise UserError(f"frame_id: expected at most {_MAX_FRAME_ID} characters, found {length}")
    if is_compressed(message) or message.encoding in CAMERA_ENCODINGS or is_depth_image(message):
        return image_to_array(message, max_pixels, sample_bits)
    check_size(message.width, message.height, max_pixels)
    check_data(message, message.width, message.height)  # a pixel has at least one byte in any encoding
    try:
        from cv_bridge import CvBridge  # rarely needed, and not available on some machines

        pixels = np.asarray(CvBridge().imgmsg_to_cv2(message, desired_encoding="rgb8"))
    except Exception as error:  # errors of many kinds
        raise UserError(
            f"encoding: expected one of {', '.join(CAMERA_ENCODINGS)}, found {message.encoding[:40]!r}"
        ) from error
    if pixels.dtype != np.uint8 or pixels.shape != (message.height, message.width, 3):
        raise UserError(f"encoding {message.encoding[:40]!r}: cv_bridge does not convert it to RGB")
    return pixels
