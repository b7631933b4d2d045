"""How regularly the topics of a bag were recorded."""

from __future__ import annotations

from dataclasses import dataclass

from mp_perception.bags.reading import BagReader


@dataclass
class TopicTiming:
    """Times of one topic's messages, nanoseconds since 1970; biggest_gap_ns between two that follow each other."""

    count: int = 0
    first_ns: int = 0
    last_ns: int = 0
    biggest_gap_ns: int = 0

    def add(self, time_ns: int) -> None:
        """Take the next message; a bag gives them in order."""
        if self.count == 0:
            self.first_ns = time_ns
        else:
            self.biggest_gap_ns = max(self.biggest_gap_ns, time_ns - self.last_ns)
        self.last_ns = time_ns
        self.count += 1

    @property
    def rate(self) -> float | None:
        """Messages per second, or None with fewer than two or all at one moment."""
        if self.count < 2 or self.last_ns == self.first_ns:
            return None
        return (self.count - 1) * 1e9 / (self.last_ns - self.first_ns)

    @property
    def biggest_gap(self) -> float | None:
        """Seconds, or None with fewer than two messages."""
        return self.biggest_gap_ns / 1e9 if self.count >= 2 else None


def topic_timings(reader: BagReader) -> dict[str, TopicTiming]:
    """Timing of every topic, by reading the whole bag once."""
    timings = {name: TopicTiming() for name in reader.topics}
    for message in reader.messages():
        timings[message.topic].add(message.time_ns)
    return timings
