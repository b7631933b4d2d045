"""Where `mp_perception demo` may write: nothing that is not an earlier demo's is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from mp_perception.commands.demo import empty_folder
from mp_perception.errors import UserError


def test_an_earlier_demo_is_replaced_and_a_new_folder_made(tmp_path: Path) -> None:
    for name in ("drive_bag", "frames"):
        (tmp_path / "demo" / name).mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    for name in ("demo", "empty", "below/new"):
        empty_folder(tmp_path / name, None)
        assert list((tmp_path / name).iterdir()) == []


@pytest.mark.parametrize(
    ("taken", "message"),
    [
        (("drive_bag", "thesis"), "expected no folder or an earlier demo's, found 'thesis' in it"),
        (("depth", "frames"), "expected no folder or an earlier demo's, found 'depth' in it"),
        (("synthetic_drive/2026_01_01/2026_01_01_drive_0008_sync",), "expected a folder that does not hold the drive"),
    ],
)
def test_what_is_the_users_stays(tmp_path: Path, taken: tuple[str, ...], message: str) -> None:
    out = tmp_path / "out"
    for name in taken:
        (out / name).mkdir(parents=True)
    drive = out / taken[0] if taken[0].startswith("synthetic_drive") else None
    with pytest.raises(UserError, match=message):
        empty_folder(out, drive)
    assert all((out / name).is_dir() for name in taken)


def test_a_file_in_the_way_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UserError, match="out: cannot be created: File exists$"):
        empty_folder(tmp_path / "out", None)
    assert (tmp_path / "out").read_text() == "mine"
