from __future__ import annotations

from pathlib import Path

import pytest

from mp_perception.atomic_files import make_folder, write_atomically
from mp_perception.errors import UserError


def test_a_file_replaces_the_old_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing/figures.json", "No such file or directory"),
        ("file/figures.json", "Not a directory"),
        ("n" * 250, "File name too long"),
        ("folder", "Is a directory"),
    ],
)
def test_what_cannot_be_written_is_said_in_one_line(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=rf"^{tmp_path / name}: cannot be written: {reason}$"):
        write_atomically(tmp_path / name, b"figures")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder"]


def test_a_folder_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="file/below: cannot be made: Not a directory$"):
        make_folder(tmp_path / "file" / "below")
