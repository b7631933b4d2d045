"""Backbones, data sets and runtimes of other packages, found by their entry points (docs/extending.md)."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from mp_perception.errors import UserError

#: Data sets of packages that `data` does not import.
_OWN = (EntryPoint("bag", "mp_perception.bags.opening:open_data_set_of_bags", "mp_perception.data_sets"),)


def extension_names(kind: str) -> list[str]:
    """Sorted names that packages register for a kind (backbones, data_sets, runtimes), without importing them."""
    return sorted(_entry_points(kind))


def load_extension(kind: str, name: str) -> object | None:
    """The object of the entry point with that name, or None if no package registers it.

    Raises UserError if it cannot be imported.
    """
    point = _entry_points(kind).get(name)
    if point is None:
        return None
    try:
        loaded: object = point.load()
    except Exception as error:  # any error of the other package's module
        package = point.dist.name if point.dist else "an installed package"
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"{package}: extension '{name}' ({point.value}) cannot be loaded: {reason}") from error
    return loaded


def _entry_points(kind: str) -> dict[str, EntryPoint]:
    group = f"mp_perception.{kind}"
    own = {point.name: point for point in _OWN if point.group == group}
    return own | {point.name: point for point in entry_points(group=group)}
