"""Due times of a replay, worked out by hand."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from mp_perception.bags.read_ahead import read_ahead
from mp_perception.bags.reading import BagMessage
from mp_perception.bags.replay_schedule import at_fixed_frequency, at_recorded_times, clock_between


def messages(*topics_and_milliseconds: tuple[str, int]) -> list[BagMessage]:
    return [BagMessage(topic, "x", 10**12 + time * 10**6, b"") for topic, time in topics_and_milliseconds]


def test_recorded_distances_are_kept_or_scaled() -> None:
    recorded = messages(("a", -500), ("a", 0), ("b", 50), ("a", 300))
    assert [item.due for item in at_recorded_times(recorded, 10**12)] == pytest.approx([0, 0, 0.05, 0.3])
    assert [item.due for item in at_recorded_times(recorded, 10**12, rate=2)] == pytest.approx([0, 0, 0.025, 0.15])


@pytest.mark.parametrize("frequency", [1.0, 60.0])
def test_frames_come_at_the_frequency_and_the_rest_goes_along(frequency: float) -> None:
    recorded = messages(
        ("tf", 0),
        ("image", 20),
        ("info", 20),
        ("scan", 70),
        ("info", 120),
        ("image", 120),
        ("image", 420),
        ("info", 440),
    )
    schedule = list(at_fixed_frequency(recorded, 10**12, "image", frequency))
    due = {(item.message.topic, (item.message.time_ns - 10**12) // 10**6): item.due for item in schedule}
    period = 1 / frequency
    assert due == pytest.approx(
        {
            ("tf", 0): 0,
            ("image", 20): 0.02,
            ("info", 20): 0.02,
            ("scan", 70): 0.02 + period / 2,  # half way between its neighbours
            ("info", 120): 0.02 + period,
            ("image", 120): 0.02 + period,
            ("image", 420): 0.02 + 2 * period,
            ("info", 440): 0.04 + 2 * period,
        }
    )
    assert [item.due for item in schedule] == sorted(item.due for item in schedule)
    assert [item.message for item in schedule] == recorded


def test_without_frames_the_recorded_times_stay() -> None:
    recorded = messages(("info", 10), ("info", 30))
    assert [item.due for item in at_fixed_frequency(recorded, 10**12, "image", 5)] == pytest.approx([0.01, 0.03])


def test_the_clock_runs_evenly_between_messages_and_never_past_them() -> None:
    before, after = (1.0, 1000), (3.0, 2000)
    assert clock_between(before, after, 1.5) == 1250
    assert clock_between(before, after, 5.0) == 2000
    assert clock_between(before, after, 0.0) == 1000
    assert clock_between(before, (1.0, 1000), 1.0) == 1000


def test_reading_ahead_keeps_the_order_and_runs_ahead() -> None:
    fetched: list[int] = []
    third = threading.Event()

    def numbers() -> Iterator[int]:
        for number in range(10):
            fetched.append(number)
            if number == 2:
                third.set()
            yield number

    ahead = read_ahead(numbers(), depth=3)
    assert next(ahead) == 0
    assert third.wait(timeout=5)  # fetched although nobody has asked for it
    assert list(ahead) == list(range(1, 10))
    assert fetched == list(range(10))


def test_reading_ahead_passes_on_what_the_source_raises() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("disk gone")

    ahead = read_ahead(broken(), depth=4)
    assert next(ahead) == 1
    with pytest.raises(OSError, match="disk gone"):
        next(ahead)
