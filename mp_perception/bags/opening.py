"""Reads a bag in whatever state it is: of a damaged one what can be read, from a copy, and says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from mp_perception.bags.contents import BagContents, read_contents
from mp_perception.bags.reading import BagReader, DamagedBagError
from mp_perception.bags.salvage import salvage
from mp_perception.bags.topic_choice import ChosenTopics

Value = TypeVar("Value")


def read_bag(path: Path, workspace: Path, read: Callable[[BagReader], Value]) -> tuple[Value, str | None]:
    """What `read` makes of the bag, and what was wrong with it: None for a whole bag.

    workspace: an existing folder that gets the copy of a damaged bag.  read: may be called again, on the copy.
    Raises UserError for what is no bag, and if nothing can be read of a damaged one.
    """
    try:
        with BagReader(path) as reader:
            return read(reader), None
    except DamagedBagError as error:
        copy = workspace / f"{len(list(workspace.iterdir()))}-{path.name}"
        found = salvage(path, copy)
        if found.num_messages == 0:
            raise
        with BagReader(copy) as reader:
            value = read(reader)
        return value, f"{str(error).removeprefix(f'{path}: ')}; {found}"


def open_contents(path: Path, asked: ChosenTopics, name: str, workspace: Path) -> BagContents:
    """What an evaluation can use of a bag; arguments as those of read_bag and read_contents, which raise UserError.

    The workspace must stay while the contents are used.
    """
    contents, damage = read_bag(path, workspace, lambda reader: read_contents(reader, asked, name))
    if damage is None:
        return contents
    return replace(contents, source=path, notes=(damage, *contents.notes))
