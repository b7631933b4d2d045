"""The paper's validation lists, from KITTI's own mapping files (train_mapping.txt and train_rand.txt, compressed)."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from mp_perception.data.kitti.mapping import RawSource, frames_with_depth, read_mapping, validation_maps
from mp_perception.errors import UserError


@pytest.fixture
def mapping_files(tmp_path: Path) -> tuple[Path, Path]:
    paths = []
    for name in ("train_mapping.txt", "train_rand.txt"):
        (tmp_path / name).write_bytes(lzma.decompress((Path(__file__).parent / f"{name}.xz").read_bytes()))
        paths.append(tmp_path / name)
    return paths[0], paths[1]


def test_the_validation_part_has_6852_maps() -> None:
    maps = validation_maps()
    assert len(maps) == len(set(maps)) == 6852
    assert maps[0] == (RawSource("2011_09_26_drive_0002_sync", 5), 2)
    assert maps[-1] == (RawSource("2011_10_03_drive_0047_sync", 831), 3)


def test_1069_frames_have_boxes_and_depth(mapping_files: tuple[Path, Path]) -> None:
    sources = read_mapping(*mapping_files)
    assert len(sources) == 7481
    # train_rand.txt begins with 7282: frame 0 is that line of the mapping.
    line = mapping_files[0].read_text().splitlines()[7281].split()
    assert sources[0] == RawSource(line[1], int(line[2]))
    assert len(frames_with_depth(sources)) == 1069


def test_wrong_files_are_named(tmp_path: Path) -> None:
    mapping, order = tmp_path / "mapping.txt", tmp_path / "order.txt"
    mapping.write_text("2011_09_26 2011_09_26_drive_0005_sync 0000000109\n2011_09_26 0000000109\n")
    order.write_text("2,1")
    with pytest.raises(UserError, match="mapping.txt:2: expected date, drive and frame"):
        read_mapping(mapping, order)
    mapping.write_text("2011_09_26 2011_09_26_drive_0005_sync 0000000109\n" * 2)
    for wrong in ("1,1", "1,2,3", "0,1", "a,b"):
        order.write_text(wrong)
        with pytest.raises(UserError, match="order.txt:1: expected every line of mapping.txt"):
            read_mapping(mapping, order)


@pytest.mark.shared_data
def test_the_fixture_is_kittis(shared_data: Path, mapping_files: tuple[Path, Path]) -> None:
    folder = shared_data / "kitti" / "object" / "devkit_object" / "mapping"
    for path in mapping_files:
        assert path.read_bytes() == (folder / path.name).read_bytes()
