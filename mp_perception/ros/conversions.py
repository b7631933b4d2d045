"""Image messages to arrays and back, with rclpy's classes.

image_messages.py reads the encodings that cameras use; cv_bridge is asked for the others.
"""

from __future__ import annotations

import array

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from mp_perception import image_messages
from mp_perception.errors import UserError
from mp_perception.image_messages import CAMERA_ENCODINGS, DEPTH_ENCODINGS, RgbImage


def image_to_array(message: Image, max_pixels: int) -> RgbImage:
    """RGB image (H, W, 3) of an Image message, of an encoding that image_messages.py or cv_bridge knows.

    It may be a view of the message: do not write into it.  Raises UserError as image_messages.image_to_array.
    """
    if message.encoding in CAMERA_ENCODINGS or message.encoding in DEPTH_ENCODINGS:
        return image_messages.image_to_array(message, max_pixels)
    image_messages.check_image_size(message.width, message.height, max_pixels)
    return _read_with_cv_bridge(message)


def array_to_image(pixels: NDArray[np.generic], encoding: str, header: Header) -> Image:
    """Image message of an array (H, W) or (H, W, channels) whose type is the encoding's; little endian, no padding."""
    contiguous = np.ascontiguousarray(pixels)
    height, width = contiguous.shape[:2]
    # Of the ways into a message this copies once: an array given to the constructor is copied twice more, and so is one
    # given to a message that does not check its fields.
    data = array.array("B")
    data.frombytes(contiguous.data.cast("B"))
    message = Image(
        header=header,
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=contiguous.nbytes // height,
        check_fields=True,
    )
    message.data = data
    return message


def depth_to_image(depth: NDArray[np.float32], encoding: str, header: Header) -> Image:
    """Depth image message (REP 118) of depth (H, W) in metres, NaN where invalid.

    encoding: 32FC1 (metres, invalid NaN) or 16UC1 (millimetres, invalid 0; so is what 16 bits cannot hold).
    """
    if encoding == "32FC1":
        return array_to_image(depth.astype(np.float32, copy=False), encoding, header)
    millimetres = np.nan_to_num(depth * 1000, nan=0.0, posinf=0.0, neginf=0.0)
    millimetres[(millimetres < 0) | (millimetres >= 65535.5)] = 0
    return array_to_image((millimetres + 0.5).astype(np.uint16), encoding, header)


def _read_with_cv_bridge(message: Image) -> RgbImage:
    image_messages.check_image_data(message, message.width, message.height)  # whatever the encoding, a pixel has a byte
    try:
        from cv_bridge import CvBridge  # rarely needed, and missing on some machines

        pixels = np.asarray(CvBridge().imgmsg_to_cv2(message, desired_encoding="rgb8"))
    except Exception as error:  # cv_bridge raises whatever its parts raise
        raise UserError(
            f"encoding: expected one of {', '.join(CAMERA_ENCODINGS)}, found {message.encoding[:40]!r}"
        ) from error
    if pixels.dtype != np.uint8 or pixels.shape != (message.height, message.width, 3):
        raise UserError(f"encoding {message.encoding[:40]!r}: cv_bridge gives no RGB image of it")
    return pixels
