"""Between the executor, which must never wait, and the one worker thread, which may.

`Mailbox` keeps the newest item only, so that an output is never late.  `FrameQueue` keeps all of them up to a bound,
for evaluation.  Both are put into by one thread and taken from by another; neither ever blocks the one who puts.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """One slot: a new item replaces one that nobody has taken yet."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, item: Item) -> bool:
        """Leave an item; True if an older one was lost for it."""
        with self._changed:
            lost = bool(self._items)
            self._items.clear()
            self._items.append(item)
            self._changed.notify()
        return lost

    def take(self) -> Item | None:
        """The oldest item, as soon as there is one; None once the mailbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed)
            return None if self._closed else self._items.popleft()

    def clear(self) -> int:
        """Throw away what lies here; the number of items thrown away."""
        with self._changed:
            count = len(self._items)
            self._items.clear()
        return count

    def close(self) -> None:
        """Wake whoever waits; from now on `take` gives None."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        return len(self._items)


class FrameQueue(Mailbox[Item]):
    """First in, first out; a new item is refused while `capacity` others wait."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._capacity = capacity

    def put(self, item: Item) -> bool:
        """Append an item; True if it was lost because the queue is full."""
        with self._changed:
            if len(self._items) >= self._capacity:
                return True
            self._items.append(item)
            self._changed.notify()
        return False
