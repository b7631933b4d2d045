"""Files that are complete or not there: written beside their target and renamed."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from mp_perception.errors import UserError


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path`; an old file stays until the new one is complete.

    Raises UserError if the folder cannot be written or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        # Where nothing can be written nothing can be removed either; the first failure is the news.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, as far as they are not there.  Raises UserError if that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror}") from error
