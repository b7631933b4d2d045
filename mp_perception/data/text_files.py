"""Text files of data sets: lines and numbers, with errors that name the file and what it should hold."""

from __future__ import annotations

import math
from pathlib import Path

from mp_perception.errors import UserError

#: No length, angle or pixel is larger; products of four are finite in float32.
MAX_NUMBER = 1e9


def read_lines(path: Path, content: str) -> list[str]:
    """The lines of a file.  content: what it should hold, for the UserError if it is missing or cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()  # Windows' editors begin a file with a mark
    except FileNotFoundError:
        raise UserError(f"{path}: missing, expected {content}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as {content} ({error})") from None


def parse_numbers(text: str, count: int, where: str) -> list[float]:
    """The `count` numbers of a text, separated by spaces, of at most MAX_NUMBER.

    where: file, line and name of the numbers, for the UserError if the text is different.
    """
    try:
        numbers = [float(column) for column in text.split()]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise UserError(f"{where}: expected {count} finite numbers, found {text.strip()[:80]!r}")
    if abs(largest := max(numbers, key=abs, default=0.0)) > MAX_NUMBER:
        raise UserError(f"{where}: expected numbers of at most {MAX_NUMBER:g}, found {largest:g}")
    return numbers
