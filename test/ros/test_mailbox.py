"""Mailbox and FrameQueue: which items are lost, which are kept, and that `take` does not wait forever."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from mp_perception.ros.mailbox import FrameQueue, Mailbox

#: True: put the next number; False: take.
operations = st.lists(st.booleans(), max_size=50)


@given(operations)
def test_mailbox_gives_the_newest_and_counts_the_others(steps: list[bool]) -> None:
    mailbox: Mailbox[int] = Mailbox()
    put, taken, lost, waiting = 0, [], 0, False
    for is_put in steps:
        if is_put:
            lost += mailbox.put(put)
            put, waiting = put + 1, True
        elif waiting:
            taken.append(mailbox.take())
            waiting = False
            assert taken[-1] == put - 1
    assert len(taken) + lost + len(mailbox) == put
    assert len(mailbox) <= 1


@given(operations, st.integers(1, 5))
def test_queue_keeps_order_and_refuses_above_its_capacity(steps: list[bool], capacity: int) -> None:
    queue: FrameQueue[int] = FrameQueue(capacity)
    model: list[int] = []
    for number, is_put in enumerate(steps):
        if is_put:
            assert queue.put(number) == (len(model) == capacity)
            if len(model) < capacity:
                model.append(number)
        elif model:
            assert queue.take() == model.pop(0)
        assert len(queue) == len(model)
    assert queue.clear() == len(model)


def test_taking_waits_for_an_item() -> None:
    mailbox: Mailbox[str] = Mailbox()
    taken: list[str | None] = []
    thread = threading.Thread(target=lambda: taken.append(mailbox.take()))
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    mailbox.put("frame")
    thread.join(5)
    assert taken == ["frame"]


def test_closing_ends_a_waiting_take() -> None:
    mailbox: Mailbox[str] = Mailbox()
    taken: list[str | None] = ["unset"]
    thread = threading.Thread(target=lambda: taken.append(mailbox.take()))
    thread.start()
    mailbox.close()
    thread.join(5)
    assert taken == ["unset", None]
    mailbox.put("late")
    assert mailbox.take() is None
