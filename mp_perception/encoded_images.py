"""The size in the header of an encoded picture (JPEG, PNG, ...), read before the picture is decoded."""

from __future__ import annotations

import io

from PIL import Image as PillowImage

#: Default limit of decoded images, pixels (8K video).
MAX_IMAGE_PIXELS = 33_177_600


def encoded_size(data: bytes, formats: tuple[str, ...]) -> tuple[int, int] | None:
    """Size that the header of a picture declares; nothing is decoded, because a small file may declare gigabytes.

    Args:
        data: the encoded picture.
        formats: accepted formats, by Pillow's names.

    Returns:
        (width, height), pixels, or None if the data are in another format or a PNG that is cut off.
    """
    try:
        with PillowImage.open(io.BytesIO(data), formats=formats) as header:
            return None if header.format == "PNG" and _is_cut_off(data) else header.size
    # Pillow's readers raise errors of many types for damaged headers.
    except Exception:
        return None


def _is_cut_off(png: bytes) -> bool:
    """Whether a chunk of a PNG is longer than the rest of the data: OpenCV would allocate all of it before it reads."""
    place = 8
    while place + 8 <= len(png):
        length = int.from_bytes(png[place : place + 4], "big")
        if bytes(png[place + 4 : place + 8]) == b"IEND" and length == 0:  # OpenCV reads on after a longer one
            return False
        place += 12 + length
    return place > len(png)
