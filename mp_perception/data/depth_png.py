"""Depth maps as files: 16-bit PNG, metres x 256, 0 where unknown, as in KITTI's depth data (devkit, readme.txt)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from mp_perception.arrays import DepthMap
from mp_perception.encoded_images import MAX_IMAGE_PIXELS, encoded_size
from mp_perception.errors import UserError
from mp_perception.files import write_atomically

#: Stored value of one metre.
UNITS_PER_METRE = 256.0


def encode_depth_png(depth: DepthMap) -> bytes:
    """The PNG file of a depth map (H, W), metres, NaN where unknown; +Inf becomes unknown.

    Depths below 1/512 m become 1/256 m, because 0 means unknown; depths above 255.99 m become 255.99 m.
    """
    known = np.isfinite(depth) & (depth > 0)
    units = np.where(known, depth, 0) * UNITS_PER_METRE
    stored = np.clip(np.rint(units), np.where(known, 1, 0), 65535).astype(np.uint16)
    good, data = cv2.imencode(".png", stored)
    assert good
    return data.tobytes()


def write_depth_png(path: Path, depth: DepthMap) -> None:
    """Write a depth map (H, W), metres, NaN where unknown."""
    write_atomically(path, encode_depth_png(depth))


def read_depth_png(path: Path) -> DepthMap:
    """Depth (H, W) float32 metres, NaN where unknown.

    Raises UserError if the file is missing, unreadable, too large or not a 16-bit PNG with one channel.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: expected a 16-bit depth PNG, found: {error.strerror}") from error
    size = encoded_size(content, ("PNG",))
    if size is not None and size[0] * size[1] > MAX_IMAGE_PIXELS:
        raise UserError(f"{path}: expected at most {MAX_IMAGE_PIXELS} pixels, found {size[0]}x{size[1]}")
    stored = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if size is not None else None
    if stored is None:
        raise UserError(f"{path}: expected a 16-bit depth PNG, found a file that cannot be decoded")
    if stored.dtype != np.uint16 or stored.ndim != 2:
        raise UserError(f"{path}: expected a 16-bit PNG with one channel, found {stored.dtype} of shape {stored.shape}")
    depth = stored.astype(np.float32) / np.float32(UNITS_PER_METRE)
    depth[stored == 0] = np.nan
    return depth
