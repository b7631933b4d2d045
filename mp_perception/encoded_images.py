"""The size in the header of an encoded picture (JPEG, PNG, ...), read before the picture is decoded."""

from __future__ import annotations

import io
import zlib

from PIL import Image as PillowImage

#: Maximum number of scans in a JPEG: each is decoded over the whole image; encoders write ten for a progressive one.
MAX_JPEG_SCANS = 50

#: Maximum number of texts in a PNG that may be compressed: OpenCV inflates each, up to 8 MB.
MAX_PNG_TEXTS = 20

#: Default limit of decoded images, pixels (8K video).
MAX_IMAGE_PIXELS = 33_177_600

_BLOCK_BYTES = 1 << 18


def encoded_size(data: bytes, formats: tuple[str, ...]) -> tuple[int, int] | None:
    """Size that the header of a picture declares; no pixels are kept, because a small file may declare gigabytes.

    Args:
        data: the encoded picture.
        formats: accepted formats, by Pillow's names.

    Returns:
        (width, height), pixels, or None if the data are in another format or cut off, a PNG has more data than pixels
        or pixels that cannot be inflated, or a JPEG has more than MAX_JPEG_SCANS.
    """
    try:
        with PillowImage.open(io.BytesIO(data), formats=formats) as header:
            if header.format == "PNG" and _is_malformed_png(bytes(data), header.size):
                return None
            if header.format in ("JPEG", "MPO") and _is_malformed_jpeg(bytes(data)):
                return None
            return header.size
    # Pillow's readers raise errors of many types for damaged headers.
    except Exception:
        return None


def _is_malformed_jpeg(jpeg: bytes) -> bool:
    """Whether the end of a JPEG is missing, whose lower rows OpenCV would fill with grey, or it has too many scans."""
    scan, end = b"\xff\xda", b"\xff\xd9"
    return jpeg.rfind(end) < jpeg.rfind(scan) or jpeg.count(scan) > MAX_JPEG_SCANS


def _is_malformed_png(png: bytes, size: tuple[int, int]) -> bool:
    """Whether a chunk of a PNG is longer than the rest of the data: OpenCV would allocate all of it before it reads.

    Also whether OpenCV would inflate much more than the pixels: IDAT that is too large, compressed or inflated, or more
    than MAX_PNG_TEXTS.
    """
    place, texts, compressed, inflated = 8, 0, 0, 0
    largest = 9 * (size[0] + 1) * size[1] + 65536  # 16-bit RGBA and a filter byte for each row, rounded up
    inflater = zlib.decompressobj()
    while place + 8 <= len(png):
        length, kind = int.from_bytes(png[place : place + 4], "big"), png[place + 4 : place + 8]
        if kind == b"IEND" and length == 0:  # OpenCV reads on after a longer one
            return False
        texts += kind in (b"zTXt", b"iTXt")
        if kind == b"IDAT":
            compressed += length
            rest = png[place + 8 : place + 8 + length]
            while rest and not inflater.eof and max(inflated, compressed) <= largest:
                inflated += len(inflater.decompress(rest, _BLOCK_BYTES))
                rest = inflater.unconsumed_tail
        if texts > MAX_PNG_TEXTS or max(inflated, compressed) > largest:
            return True
        place += 12 + length
    return place > len(png)
