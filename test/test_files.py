from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from mp_perception.errors import UserError
from mp_perception.files import complete_file, complete_folder, make_folder, write_atomically


def test_a_file_replaces_the_old_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_folders_of_a_file_are_created(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "figures.json"
    write_atomically(path, b"figures")
    assert path.read_bytes() == b"figures"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("file/figures.json", "Not a directory"),
        ("n" * 250, "File name too long"),
        ("folder", "Is a directory"),
    ],
)
def test_a_file_that_cannot_be_written_is_a_user_error(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=rf"^{tmp_path / name}: cannot be written: {reason}$"):
        write_atomically(tmp_path / name, b"figures")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder"]


def test_a_folder_that_cannot_be_created_is_a_user_error(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="file/below: cannot be created: Not a directory$"):
        make_folder(tmp_path / "file" / "below")


def test_a_file_whose_block_raises_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    path.write_bytes(b"old")
    with suppress(RuntimeError), complete_file(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_device_is_written_through(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    with ThreadPoolExecutor() as pool:
        content = pool.submit(fifo.read_bytes)
        write_atomically(fifo, b"figures")
        assert content.result(timeout=60) == b"figures"
    assert fifo.is_fifo()


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    folder = tmp_path / "plots"
    with complete_folder(folder) as temporary:
        (temporary / "a.svg").write_bytes(b"")
        assert not folder.exists()
    assert [path.name for path in folder.iterdir()] == ["a.svg"]
    with pytest.raises(UserError, match=r"plots: expected a new or empty folder, found something there$"):
        complete_folder(folder).__enter__()


def test_a_folder_whose_block_raises_is_absent(tmp_path: Path) -> None:
    with suppress(RuntimeError), complete_folder(tmp_path / "plots") as temporary:
        (temporary / "a.svg").write_bytes(b"")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
