"""Progress bars and messages: one look for all commands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Item = TypeVar("Item")

#: Where commands print results.
console = Console()
#: Where commands print progress, warnings and errors, so that results can be piped.
error_console = Console(stderr=True)


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """The same items, with a bar that shows count, time gone and time left on standard error.

    total: number of items, where len(items) cannot tell.  Without a terminal nothing is drawn.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=error_console, disable=not error_console.is_terminal) as progress:
        yield from progress.track(items, description=description, total=total)
