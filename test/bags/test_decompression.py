"""Decompression of what is damaged: contents, what was before a cut, and what is refused before it takes memory."""

from __future__ import annotations

import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
import zstandard

from mp_perception.bags.decompression import decompress_chunk, decompress_file, decompress_message
from mp_perception.errors import UserError

MIB = 1 << 20
CONTENT = np.random.default_rng(0).integers(0, 64, MIB, dtype=np.uint8).tobytes()
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {"zstd": zstandard.compress, "lz4": lz4.frame.compress, "": bytes}


@pytest.mark.parametrize("compression", COMPRESSORS)
def test_a_whole_chunk_is_what_it_was(compression: str) -> None:
    assert decompress_chunk(COMPRESSORS[compression](CONTENT), compression, MIB, MIB) == CONTENT


@pytest.mark.parametrize("compression", COMPRESSORS)
@pytest.mark.parametrize("size", [0, MIB - 1, MIB + 1])
def test_a_chunk_of_another_size_is_refused(compression: str, size: int) -> None:
    with pytest.raises(ValueError, match=r"expected|frame|size"):
        decompress_chunk(COMPRESSORS[compression](CONTENT), compression, size, 2 * MIB)


@pytest.mark.parametrize("compression", COMPRESSORS)
@pytest.mark.parametrize("share", [0, 0.3, 0.999])
def test_a_chunk_that_was_cut_off_is_refused(compression: str, share: float) -> None:
    data = COMPRESSORS[compression](CONTENT)
    with pytest.raises(ValueError, match=r"expected|frame|size|decompress"):
        decompress_chunk(data[: int(share * len(data))], compression, MIB, MIB)


def test_a_chunk_larger_than_the_limit_is_refused_unread() -> None:
    with pytest.raises(ValueError, match=f"expected a chunk of at most {MIB} bytes, found one of {1 << 62}"):
        decompress_chunk(b"", "zstd", 1 << 62, MIB)


def test_an_unknown_compression_is_refused() -> None:
    with pytest.raises(ValueError, match="found 'brotli'"):
        decompress_chunk(CONTENT, "brotli", MIB, MIB)


def test_a_message_is_what_it_was() -> None:
    assert decompress_message(zstandard.compress(CONTENT), MIB) == CONTENT


@pytest.mark.parametrize("announced", [True, False])
def test_a_small_message_that_would_be_large_is_refused(announced: bool) -> None:
    data = zstandard.ZstdCompressor(write_content_size=announced).compress(bytes(64 * MIB))
    assert len(data) < 10_000
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"at most|decompress"):
            decompress_message(data, MIB)
        assert tracemalloc.get_traced_memory()[1] < 2 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 1])
def test_a_file_is_decompressed_as_far_as_it_goes(tmp_path: Path, share: float) -> None:
    data = zstandard.compress(CONTENT)
    (tmp_path / "bag.zstd").write_bytes(data[: int(share * len(data))])
    decompress_file(tmp_path / "bag.zstd", tmp_path / "bag")
    content = (tmp_path / "bag").read_bytes()
    assert CONTENT.startswith(content)
    assert len(content) >= int(share * MIB) - 128 * 1024


def test_a_file_is_decompressed_up_to_its_damage(tmp_path: Path) -> None:
    data = bytearray(zstandard.compress(CONTENT))
    middle = len(data) // 2
    data[middle : middle + 1000] = bytes(1000)
    (tmp_path / "bag.zstd").write_bytes(data)
    decompress_file(tmp_path / "bag.zstd", tmp_path / "bag")
    content = (tmp_path / "bag").read_bytes()
    before = MIB // 2 - 128 * 1024
    assert content[:before] == CONTENT[:before]


def test_a_file_of_several_frames_is_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "bag.zstd").write_bytes(zstandard.compress(CONTENT) + zstandard.compress(b"more"))
    decompress_file(tmp_path / "bag.zstd", tmp_path / "bag")
    assert (tmp_path / "bag").read_bytes() == CONTENT + b"more"


def test_a_small_file_does_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = shutil.disk_usage(tmp_path)._replace(free=8 * MIB)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: disk)
    (tmp_path / "bag.zstd").write_bytes(zstandard.compress(bytes(64 * MIB)))
    with pytest.raises(UserError, match=r"bag.zstd: expected content of at most .* GB, half of what is free in"):
        decompress_file(tmp_path / "bag.zstd", tmp_path / "bag")
    assert (tmp_path / "bag").stat().st_size <= 4 * MIB
