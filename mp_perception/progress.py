"""Progress bars and messages: one look for all commands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Item = TypeVar("Item")

# Texts are shown as they are: paths and names come from users, and rich would read their brackets as styles.
#: Where commands print results.
console = Console(markup=False, highlight=False)
#: Where commands print progress, warnings and errors, so that results can be piped.
error_console = Console(stderr=True, markup=False, highlight=False)


def warn(text: str) -> None:
    """One line that the user should know, on standard error."""
    error_console.print(f"warning: {text}", style="yellow", soft_wrap=True)


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """The same items, with a bar that shows count, time gone and time left on standard error.

    total: number of items, where len(items) cannot tell.  Without a terminal nothing is drawn.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=error_console, disable=not error_console.is_terminal) as progress:
        yield from progress.track(items, description=description, total=total)
