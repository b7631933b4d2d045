"""Decompression with limits: a small bag may not grow without bound in memory or on disk.

rosbags decompresses without limits, so its decompressors of MCAP chunks are replaced by the ones here; `reading.py`
decompresses messages and checks compressed files.  SQLite can compute values: such databases are refused.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from lz4.frame import LZ4FrameDecompressor
from rosbags.rosbag2 import storage_mcap, storage_sqlite3

from mp_perception.errors import UserError

#: Maximum size of a chunk or message, bytes.
MAX_BYTES = 1 << 28
#: Finds tables with columns that are computed when they are read (hidden: 2 and 3): no bag has any.
GENERATED_COLUMNS = (
    "SELECT m.name FROM sqlite_master m, pragma_table_xinfo(m.name) c WHERE m.type = 'table' AND c.hidden > 1"
)
#: Fraction of the free disk that the content of a compressed or damaged bag may take.
_DISK_FRACTION = 0.5
_BLOCK_BYTES = 1 << 20

# The zstd module that rosbags found: Python's own from 3.14 on, else backports.zstd.
_zstd: Any = vars(storage_mcap)["zstd"]
_DECOMPRESSORS: dict[str, Callable[[], Any]] = {"zstd": _zstd.ZstdDecompressor, "lz4": LZ4FrameDecompressor}


def decompress(compression: str, data: bytes, max_size: int = MAX_BYTES) -> bytes:
    """Content of a zstd or lz4 frame.

    Args:
        compression: "zstd", "lz4", or "" for data that are not compressed.
        max_size: maximum size of the content, bytes; no more memory is allocated.

    Raises:
        ValueError: the frame is incomplete or its content is larger.
    """
    if not compression:
        return data
    limit = min(max_size, MAX_BYTES)
    decompressor = _DECOMPRESSORS[compression]()
    content = decompressor.decompress(data, max_length=limit + 1)
    if len(content) > limit or not decompressor.eof:
        raise ValueError(f"expected a complete {compression} frame of at most {limit} bytes, found another")
    return bytes(content)


def check_compressed_file(path: Path) -> None:
    """Raises UserError if the content of a zstd file takes more than half of the disk it is decompressed to."""
    folder = Path(tempfile.gettempdir())
    limit = usable_disk(folder)
    with _zstd.open(path) as content:
        size = 0
        while block := content.read(_BLOCK_BYTES):
            size += len(block)
            if size > limit:
                raise UserError(
                    f"{path}: expected content of at most {limit / 1e9:.1f} GB, half of what is free in {folder}, "
                    "found more"
                )


def usable_disk(folder: Path) -> int:
    """Bytes that the content of a bag may take in a folder: half of what is free."""
    return int(shutil.disk_usage(folder).free * _DISK_FRACTION)


def _check_database(database: Any) -> None:
    """Called by apsw for each database that rosbags opens."""
    if database.execute(GENERATED_COLUMNS).fetchone():
        raise ValueError("expected tables of stored values, found generated columns")


vars(storage_sqlite3)["apsw"].connection_hooks.append(_check_database)
for _name in _DECOMPRESSORS:
    storage_mcap.DECOMPRESSORS[_name] = partial(decompress, _name)
