"""Passes images from the executor, which must never wait, to the worker thread.

`Mailbox` keeps only the newest item, so that outputs are never late.  `FrameQueue` keeps all items up to a limit, for
evaluation.  `put` never blocks.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """One slot: a new item replaces one that has not been taken yet."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, item: Item) -> bool:
        """Put an item; True if it replaced an older one."""
        with self._changed:
            lost = bool(self._items)
            self._items.clear()
            self._items.append(item)
            self._changed.notify()
        return lost

    def take(self) -> Item | None:
        """Wait for an item and take the oldest; None after the mailbox was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed)
            return None if self._closed else self._items.popleft()

    def clear(self) -> int:
        """Remove all items; returns their number."""
        with self._changed:
            count = len(self._items)
            self._items.clear()
        return count

    def close(self) -> None:
        """Let `take` return None from now on, also where it waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        return len(self._items)


class FrameQueue(Mailbox[Item]):
    """First in, first out; a new item is lost while `capacity` others wait."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._capacity = capacity

    def put(self, item: Item) -> bool:
        """Append an item; True if it was lost."""
        with self._changed:
            if len(self._items) >= self._capacity:
                return True
            self._items.append(item)
            self._changed.notify()
        return False
