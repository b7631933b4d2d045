"""When each message of a bag is due in a replay.  No middleware and no clock here: times in, times out.

A schedule is a stream of ScheduledMessage whose due times never decrease, made while the bag is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mp_perception.bags.reading import BagMessage


@dataclass(frozen=True)
class ScheduledMessage:
    """A message and when it is due, in seconds after the replay's start."""

    due: float
    message: BagMessage


def at_recorded_times(messages: Iterable[BagMessage], start_ns: int, rate: float = 1.0) -> Iterator[ScheduledMessage]:
    """Recorded distances, divided by rate.

    start_ns: the bag's time at the replay's start; earlier messages are due at once.
    """
    for message in messages:
        yield ScheduledMessage(max(0.0, (message.time_ns - start_ns) / 1e9 / rate), message)


def at_fixed_frequency(
    messages: Iterable[BagMessage], start_ns: int, frame_topic: str, frequency: float
) -> Iterator[ScheduledMessage]:
    """The frames of one topic `frequency` times a second, whatever was recorded; all other messages go along.

    A message recorded between two frames keeps its place between them in proportion (one at the frame's own time stays
    exactly with it); before the first and after the last frame the recorded distances stay.
    start_ns: as for at_recorded_times.  Frames at the same recorded time count as one.
    """
    frame_ns: int | None = None
    frame_due = 0.0
    # What is known only when the next frame comes: the messages since the last one.
    waiting: list[BagMessage] = []
    for message in messages:
        if frame_ns is None:
            due = max(0.0, (message.time_ns - start_ns) / 1e9)
            if message.topic != frame_topic:
                yield ScheduledMessage(due, message)
                continue
            frame_ns, frame_due = message.time_ns, due
            yield ScheduledMessage(due, message)
            continue
        if message.topic != frame_topic or message.time_ns <= frame_ns:
            waiting.append(message)
            continue
        for earlier in waiting:
            share = (earlier.time_ns - frame_ns) / (message.time_ns - frame_ns)
            yield ScheduledMessage(frame_due + max(0.0, share) / frequency, earlier)
        waiting.clear()
        frame_ns, frame_due = message.time_ns, frame_due + 1 / frequency
        yield ScheduledMessage(frame_due, message)
    for rest in waiting:
        yield ScheduledMessage(frame_due + max(0.0, (rest.time_ns - (frame_ns or 0)) / 1e9), rest)


def clock_between(before: tuple[float, int], after: tuple[float, int], due: float) -> int:
    """The bag's time (ns) at a due time between two scheduled messages, each given as (due, time_ns)."""
    (due_before, ns_before), (due_after, ns_after) = before, after
    if due_after <= due_before:
        return ns_before
    share = min(max((due - due_before) / (due_after - due_before), 0.0), 1.0)
    return ns_before + round(share * (ns_after - ns_before))
