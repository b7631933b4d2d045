"""The one kind of error that is meant for the user; anything else that escapes is a bug."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

#: So many names are listed beside a suggestion.
_MAX_LISTED = 10


class UserError(Exception):
    """Something that the user can correct: a file, an option, a message.

    The text is one line that names the thing, what was expected and what was found.  Commands print it and exit
    with code 2; the node logs it (throttled) and continues with the next frame.
    """


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not one of the known names of its kind; a similar one is suggested.

    Examples:
        >>> unknown_name("decoder", "dpt", ["bilinear", "unet"])
        UserError("unknown decoder 'dpt': expected one of bilinear, unet")
        >>> unknown_name("decoder", "u-net", ["bilinear", "unet"])
        UserError("unknown decoder 'u-net': expected one of bilinear, unet; did you mean 'unet'?")
    """
    names = list(known)
    similar = get_close_matches(name, names, n=1)
    parts = []
    if len(names) <= _MAX_LISTED or not similar:
        parts.append(f"expected one of {', '.join(names)}")
    if similar:
        parts.append(f"did you mean '{similar[0]}'?")
    return UserError(f"unknown {kind} '{name}': {'; '.join(parts)}")


def one_line(error: BaseException | str) -> str:
    """The text of a library's error, or of a file, as one printable line; the name of its type where it has no text.

    Examples:
        >>> one_line(ValueError("bad header\\n  at byte 3"))
        'bad header at byte 3'
        >>> one_line("name\\x1b[2J")
        'name [2J'
    """
    printable = (character if character.isprintable() else " " for character in str(error))
    return " ".join("".join(printable).split()) or type(error).__name__
