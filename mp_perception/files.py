"""Files and folders: those of the installation, and results that are complete or absent.

A result is written beside its target under a hidden name and renamed at the end, so a run that fails or is killed
leaves the old result or none.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from mp_perception.errors import UserError


def share_folder() -> Path:
    """The folder that holds package.xml, config/, launch/ and weights/.

    This is the top folder of a checkout (also of an editable or symlink installation), and
    `<prefix>/share/mp_perception` of an installation by pip or colcon.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    for parent in Path(__file__).resolve().parents:
        for folder in (parent, parent / "share" / "mp_perception"):
            if (folder / "package.xml").is_file() and (folder / "config").is_dir():
                return folder
    raise FileNotFoundError(f"no share folder of mp_perception above {__file__}: the installation is incomplete")


def sha256(*paths: Path) -> str:
    """SHA-256 of the contents of files, one after the other, in hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


def make_folder(folder: Path) -> None:
    """Create a folder and its parents if they do not exist.

    Raises:
        UserError: the folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be created: {error.strerror}") from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path`; an old file stays until the new one is complete (see `complete_file`)."""
    with complete_file(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def complete_file(path: Path) -> Iterator[Path]:
    """A file that appears under its name at the end of the block, or not at all if the block raises.

    Yields the path to write to, with the same suffix.  The folder is created if it does not exist.  A symbolic link is
    followed; a device or FIFO is written to instead of being replaced.  A block that writes nothing leaves the target
    unchanged.

    Raises:
        UserError: the block or the renaming raised an OSError, e.g. a full disk.
    """
    try:
        target = path.resolve()
        if target.exists() and not target.is_file() and not target.is_dir():
            with TemporaryDirectory() as folder:
                temporary = Path(folder) / path.name
                yield temporary
                with temporary.open("rb") as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
            return
        temporary = _temporary_name(target)
        if not target.parent.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with suppress(FileNotFoundError):
                temporary.replace(target)
        finally:
            # If writing failed, removal may fail too; the first error is the one to report.
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error


@contextmanager
def complete_folder(path: Path) -> Iterator[Path]:
    """A new folder that appears under its name at the end of the block, or not at all if the block raises.

    Yields the folder to write to.

    Raises:
        UserError: the path exists and is not an empty folder, or the block raised an OSError.
    """
    check_new_folder(path)
    target = path.resolve()
    temporary = _temporary_name(target)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if target.exists():
            target.rmdir()
        temporary.rename(target)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_new_folder(path: Path) -> None:
    """Raises UserError if `complete_folder(path)` cannot succeed; call it before a long run."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path}: expected a new or empty folder, found something there")
    check_can_be_written(path)


def check_can_be_written(path: Path) -> None:
    """Raises UserError if a file or folder of this name cannot be created; call it before a long run."""
    parent = path.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UserError(f"{path}: cannot be written: {parent} is not a folder that can be written to")


def _temporary_name(path: Path) -> Path:
    """The hidden name beside a target to which this process writes."""
    return path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
