"""Depth images as compressed_depth_image_transport packs them into sensor_msgs/CompressedImage.

The data begin with a header of 12 bytes: the kind of compression, and two floats A and B, by which metres (32FC1) are
stored as 16-bit numbers n: depth = A / (n - B).  Then follows a 16-bit PNG; or, where the format ends in "rvl", width
and height (4 bytes each) and the numbers packed as in Wilson 2017, Fast Lossless Depth Image Compression.
"""

from __future__ import annotations

import struct

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.encoded_images import encoded_size
from mp_perception.errors import UserError
from mp_perception.messages.header import Message

_HEADER = struct.Struct("<Iff")
_SIZE = struct.Struct("<II")


def compressed_depth_size(message: Message) -> tuple[int, int]:
    """(width, height) that the data declare.  Raises UserError if they declare none."""
    data = bytes(message.data)
    size = None
    if _is_rvl(message):
        size = _SIZE.unpack_from(data, _HEADER.size) if len(data) >= _HEADER.size + _SIZE.size else None
    else:
        size = encoded_size(data[_HEADER.size :], ("PNG",))
    if size is None:
        raise UserError(f"format {message.format[:40]!r}: expected PNG or RVL, found {len(data)} bytes of neither")
    return size


def read_compressed_depth(message: Message) -> NDArray[np.uint16] | NDArray[np.float32]:
    """The stored depth image (H, W): uint16 as of encoding 16UC1, or float32 metres as of 32FC1, NaN where unknown.

    The size must have been checked (compressed_depth_size).
    Raises UserError for data that cannot be decoded, or another encoding.
    """
    encoding = message.format.partition(";")[0].strip()
    if encoding not in ("16UC1", "mono16", "32FC1"):
        raise UserError(f"format {message.format[:40]!r}: expected 16UC1 or 32FC1 with compressedDepth")
    data = bytes(message.data)
    stored: NDArray[np.uint16] | None
    if _is_rvl(message):
        width, height = compressed_depth_size(message)
        stored = _decode_rvl(data[_HEADER.size + _SIZE.size :], width * height)
        stored = None if stored is None else stored.reshape(height, width)
    else:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8, offset=_HEADER.size), cv2.IMREAD_UNCHANGED)
        is_depth = decoded is not None and decoded.dtype == np.uint16 and decoded.ndim == 2
        stored = np.asarray(decoded, dtype=np.uint16) if is_depth else None
    if stored is None:
        raise UserError(f"format {message.format[:40]!r}: found data that cannot be decoded to 16-bit depth")
    if encoding != "32FC1":
        return stored
    _, a, b = _HEADER.unpack_from(data)
    with np.errstate(divide="ignore"):
        metres = np.float32(a) / (stored.astype(np.float32) - np.float32(b))
    return np.where(stored > 0, metres, np.float32(np.nan))


def _is_rvl(message: Message) -> bool:
    return bool(message.format.rstrip().endswith("rvl"))


def _decode_rvl(data: bytes, count: int) -> NDArray[np.uint16] | None:
    """`count` numbers; None if the data end before.

    Numbers are written in groups of three bits, the lowest first, each in four bits whose highest says whether another
    group follows.  Runs of zeros alternate with runs of others, which are differences from the one before.
    """
    words = np.frombuffer(data, "<u4", len(data) // 4)
    groups = (words[:, None] >> np.arange(28, -1, -4, dtype=np.uint32) & 15).ravel()
    ends = np.flatnonzero(groups < 8)
    if len(ends) == 0:
        return None
    starts = np.concatenate([[0], ends[:-1] + 1])
    place = np.arange(ends[-1] + 1) - np.repeat(starts, ends - starts + 1)
    bits = (groups[: ends[-1] + 1].astype(np.int64) & 7) << np.minimum(3 * place, 60)
    values = np.add.reduceat(bits, starts)
    differences = np.zeros(count, dtype=np.int64)
    known = np.zeros(count, dtype=bool)
    pixel = position = 0
    while pixel < count:
        if position + 2 > len(values):
            return None
        zeros, others = int(values[position]), int(values[position + 1])
        pixel, position = pixel + zeros, position + 2
        if zeros + others == 0 or pixel + others > count or position + others > len(values):
            return None
        folded = values[position : position + others]
        differences[pixel : pixel + others] = (folded >> 1) ^ -(folded & 1)
        known[pixel : pixel + others] = True
        pixel, position = pixel + others, position + others
    return np.asarray(np.cumsum(differences) * known, dtype=np.int64).astype(np.uint16)
