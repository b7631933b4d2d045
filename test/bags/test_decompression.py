"""Decompression with limits: small bags may not grow without bound."""

from __future__ import annotations

import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
import zstandard
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from mp_perception.bags import decompression
from mp_perception.bags.decompression import decompress
from mp_perception.bags.message_types import new_message, type_store
from mp_perception.bags.reading import BagReader
from mp_perception.errors import UserError

MIB = 1 << 20
CONTENT = np.random.default_rng(0).integers(0, 64, MIB, dtype=np.uint8).tobytes()
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {"zstd": zstandard.compress, "lz4": lz4.frame.compress}


@pytest.mark.parametrize("compression", COMPRESSORS)
def test_a_frame_is_decompressed_up_to_the_limit_and_not_beyond(compression: str) -> None:
    data = COMPRESSORS[compression](CONTENT)
    assert decompress(compression, data, MIB) == CONTENT
    with pytest.raises(ValueError, match=f"at most {MIB - 1} bytes"):
        decompress(compression, data, MIB - 1)


@pytest.mark.parametrize("compression", COMPRESSORS)
@pytest.mark.parametrize("fraction", [0, 0.3, 0.999])
def test_a_frame_that_was_cut_off_is_refused(compression: str, fraction: float) -> None:
    data = COMPRESSORS[compression](CONTENT)
    with pytest.raises(ValueError, match="expected a complete"):
        decompress(compression, data[: int(fraction * len(data))], MIB)


@pytest.mark.parametrize("compression", COMPRESSORS)
def test_a_small_frame_that_would_be_large_takes_no_memory(compression: str) -> None:
    data = COMPRESSORS[compression](bytes(64 * MIB))
    assert len(data) < 300_000
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="at most"):
            decompress(compression, data, MIB)
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()


def string(length: int) -> bytes:
    return bytes(
        type_store().serialize_cdr(new_message("std_msgs/msg/String", data="a" * length), "std_msgs/msg/String")
    )


@pytest.mark.parametrize("compression", [CompressionType.LZ4, CompressionType.ZSTD])
def test_a_chunk_that_expands_beyond_the_limit_is_refused(
    tmp_path: Path, compression: CompressionType, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "bomb.mcap"
    with file.open("wb") as stream:
        writer = McapWriter(stream, compression=compression, chunk_size=100 * MIB)
        writer.start("ros2")
        channel = writer.register_channel("/a", "cdr", writer.register_schema("std_msgs/msg/String", "ros2msg", b""))
        writer.add_message(channel, 5, string(4 * MIB), 5)
        writer.finish()
    assert file.stat().st_size < 100_000
    with BagReader(file) as reader:
        assert len(next(reader.messages()).data) > 4 * MIB
        monkeypatch.setattr(decompression, "MAX_BYTES", MIB)
        with pytest.raises(UserError, match=f"bomb.mcap: .* at most {MIB} bytes"):
            list(reader.messages())


def compressed_bag(path: Path, mode: CompressionMode) -> Path:
    writer = Writer(path, version=9, storage_plugin=StoragePlugin.SQLITE3)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/a", "std_msgs/msg/String", typestore=type_store())
        writer.write(connection, 5, string(4 * MIB))
    return path


def test_a_message_that_expands_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with BagReader(compressed_bag(tmp_path / "bag", CompressionMode.MESSAGE)) as reader:
        assert next(reader.messages()).data == string(4 * MIB)
        monkeypatch.setattr(decompression, "MAX_BYTES", MIB)
        with pytest.raises(UserError, match=f"bag: .* at most {MIB} bytes"):
            list(reader.messages())


def test_a_file_that_would_fill_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = compressed_bag(tmp_path / "bag", CompressionMode.FILE)
    with BagReader(path) as reader:
        assert next(reader.messages()).data == string(4 * MIB)
    disk = shutil.disk_usage(tmp_path)._replace(free=2 * MIB)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: disk)
    with (
        pytest.raises(UserError, match=r"bag.db3.zstd: expected content of at most .* GB, half of what is free in"),
        BagReader(path),
    ):
        pass


def test_the_folder_of_the_decompressed_file_is_not_named(tmp_path: Path) -> None:
    path = compressed_bag(tmp_path / "bag", CompressionMode.FILE)
    (file,) = path.glob("*.zstd")
    file.write_bytes(zstandard.compress(b"no database"))
    with pytest.raises(UserError, match=r"bag: .* \(Cannot open database bag\.db3: file is not a database\)"):
        BagReader(path).__enter__()
