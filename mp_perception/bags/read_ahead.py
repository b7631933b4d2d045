"""Reading in a thread, some items ahead of their use, so that a slow disk does not delay their consumer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

Item = TypeVar("Item")


def read_ahead(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """The same items in the same order, with up to `depth` of them fetched in advance by one thread.

    What the source raises is raised here, in the item's place.
    """
    end = object()
    iterator = iter(items)
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="read_ahead")
    try:
        fetched = deque(pool.submit(next, iterator, end) for _ in range(depth))
        while (item := fetched.popleft().result()) is not end:
            fetched.append(pool.submit(next, iterator, end))
            yield cast(Item, item)
    finally:
        pool.shutdown(cancel_futures=True)
