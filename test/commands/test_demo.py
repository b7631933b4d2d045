"""What `mp_perception demo` may delete, and what it keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from mp_perception.commands.demo import empty_folder, synthetic_drive
from mp_perception.data.kitti.raw import RawDrive
from mp_perception.errors import UserError


def test_results_of_an_earlier_demo_are_deleted_but_not_its_synthetic_drive(tmp_path: Path) -> None:
    for name in ("synthetic_drive/drive", "drive_bag/bag", "frames"):
        (tmp_path / "demo" / name).mkdir(parents=True)
    (tmp_path / "demo" / "overlay.mp4").touch()
    (tmp_path / "empty").mkdir()
    for name in ("demo", "empty", "below/new"):
        empty_folder(tmp_path / name, None)
    assert [path.name for path in (tmp_path / "demo").iterdir()] == ["synthetic_drive"]
    assert (tmp_path / "demo" / "synthetic_drive" / "drive").is_dir()
    assert list((tmp_path / "empty").iterdir()) == list((tmp_path / "below" / "new").iterdir()) == []


@pytest.mark.parametrize(
    ("taken", "message"),
    [
        (("drive_bag", "thesis"), "expected no folder or an earlier demo's, found 'thesis' in it"),
        (("depth", "frames"), "expected no folder or an earlier demo's, found 'depth' in it"),
        (("synthetic_drive/2026_01_01/2026_01_01_drive_0008_sync",), "expected a folder that does not hold the drive"),
    ],
)
def test_files_of_the_user_remain(tmp_path: Path, taken: tuple[str, ...], message: str) -> None:
    out = tmp_path / "out"
    for name in taken:
        (out / name).mkdir(parents=True)
    drive = out / taken[0] if taken[0].startswith("synthetic_drive") else None
    with pytest.raises(UserError, match=message):
        empty_folder(out, drive)
    assert all((out / name).is_dir() for name in taken)


def test_the_synthetic_drive_is_rendered_once(tmp_path: Path) -> None:
    (tmp_path / "60_frames_of_an_earlier_renderer").mkdir()
    rendered = synthetic_drive(tmp_path, 2)
    assert len(RawDrive(rendered).frames) == 2
    assert len(list(tmp_path.iterdir())) == 1
    (rendered / "seen").touch()
    assert synthetic_drive(tmp_path, 2) == rendered
    assert (rendered / "seen").exists()
