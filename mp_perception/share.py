"""Where the files that are not Python lie: configuration, launch files, default weights."""

from __future__ import annotations

from pathlib import Path


def share_folder() -> Path:
    """The folder that holds package.xml, config/, launch/ and weights/.

    In a checkout (or an editable or symlink install) that is its top; installed by pip or colcon it is
    `<prefix>/share/mp_perception`.  No environment variable is needed.
    """
    for parent in Path(__file__).resolve().parents:
        for folder in (parent, parent / "share" / "mp_perception"):
            if (folder / "package.xml").is_file() and (folder / "config").is_dir():
                return folder
    raise FileNotFoundError(f"no share folder of mp_perception above {__file__}: the installation is incomplete")
