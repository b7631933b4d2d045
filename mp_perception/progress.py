"""Progress bars and messages of all commands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Item = TypeVar("Item")

# No markup: rich would interpret brackets in paths and names as styles.
#: For results.  Lines are not broken, so that paths can be copied; tables are printed with soft_wrap=False.
console = Console(markup=False, highlight=False, soft_wrap=True)
#: For progress, warnings and errors, so that results can be piped.
error_console = Console(stderr=True, markup=False, highlight=False)


def warn(text: str) -> None:
    """Print a warning of one line to standard error."""
    error_console.print(f"warning: {text}", style="yellow", soft_wrap=True)


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """The same items, with a progress bar (count, elapsed and remaining time) on standard error.

    total: number of items, if len(items) is not available.  The bar is drawn on terminals only.
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
