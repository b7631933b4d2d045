"""Decompression of damaged bags: what was before the damage, within limits.

The sizes that a damaged or hostile file announces are checked before memory or disk is taken for them.  Only salvage.py
uses this; whole bags are decompressed by rosbags.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import lz4.frame
import zstandard

from mp_perception.errors import UserError

_BLOCK_BYTES = 1 << 17  # zstd's largest block: a damaged one costs no more than itself
#: Share of the free disk that the content of a compressed file may take; the copy of its messages needs as much.
_DISK_SHARE = 0.5


def decompress_file(source: Path, target: Path) -> None:
    """Write the content of a zstd file to a new file, up to where it was cut off or is damaged.

    Raises UserError if the content takes more than half of the free disk, or cannot be written.
    """
    room = int(shutil.disk_usage(target.parent).free * _DISK_SHARE)
    try:
        with source.open("rb") as compressed, target.open("wb") as content:
            stream = zstandard.ZstdDecompressor().stream_reader(compressed, read_across_frames=True)
            while block := _next_block(stream):
                room -= len(block)
                if room < 0:
                    raise UserError(
                        f"{source}: expected content of at most {content.tell() / 1e9:.1f} GB, half of what is free in "
                        f"{target.parent}, found more"
                    )
                content.write(block)
    except OSError as error:
        raise UserError(f"{source}: cannot be decompressed into {target.parent} ({error.strerror})") from error


def decompress_message(data: bytes, max_size: int) -> bytes:
    """The content of a zstd frame, as `ros2 bag record --compression-mode message` makes one of every message.

    Raises ValueError if it is damaged or its content is larger than max_size, bytes.
    """
    return _zstd_frame(data, max_size)


def decompress_chunk(data: bytes, compression: str, size: int, max_size: int) -> bytes:
    """The records of an MCAP chunk.

    compression: as the chunk says, "", lz4 or zstd.  size: bytes that it says it has uncompressed.
    Raises ValueError if it is damaged, has another size, or a larger one than max_size.
    """
    if size > max_size:
        raise ValueError(f"expected a chunk of at most {max_size} bytes, found one of {size}")
    if compression == "zstd":
        content = _zstd_frame(data, size)
    elif compression == "lz4":
        content = _lz4_frame(data, size)
    elif compression == "":
        content = data
    else:
        raise ValueError(f"expected a chunk compressed by lz4, zstd or not at all, found {compression!r}")
    if len(content) != size:
        raise ValueError(f"expected a chunk of {size} bytes, found one of {len(content)}")
    return content


def _next_block(stream: zstandard.ZstdDecompressionReader) -> bytes:
    try:
        return stream.read(_BLOCK_BYTES)
    except zstandard.ZstdError:
        return b""


def _zstd_frame(data: bytes, max_size: int) -> bytes:
    try:
        announced = zstandard.frame_content_size(data)  # -1: the frame does not say
        if announced > max_size:
            raise ValueError(f"expected at most {max_size} bytes, found a frame of {announced}")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=max_size)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error


def _lz4_frame(data: bytes, max_size: int) -> bytes:
    decompressor = lz4.frame.LZ4FrameDecompressor()
    try:
        content = bytes(decompressor.decompress(data, max_length=max_size + 1))
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    if not decompressor.eof:
        raise ValueError("expected a whole lz4 frame, found part of one or a larger one")
    return content
