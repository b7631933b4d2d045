"""`replay_node`: publish a rosbag2 as it was recorded, where there is no `ros2 bag play`.

Messages go out as the bytes that lie in the bag, at absolute deadlines (an error does not add up), with /clock running
along.  Every publisher is reliable, because that serves reliable and best-effort subscribers alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import rclpy
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rosgraph_msgs.msg import Clock

from mp_perception.bags.read_ahead import read_ahead
from mp_perception.bags.reading import IMAGE_TYPES, BagMessage, BagReader, BagTopic
from mp_perception.bags.replay_schedule import ScheduledMessage, at_fixed_frequency, at_recorded_times, clock_between
from mp_perception.errors import UserError
from mp_perception.files import write_atomically
from mp_perception.ros.message_class import message_class
from mp_perception.ros.stop_signals import StopSignals, initialise_ros

CLOCK_PERIOD = 0.01
# At 10 Hz with camera info and scans about a second of a drive.
_MESSAGES_AHEAD = 32
# A subscriber that our side has discovered may not have discovered us yet, and a best-effort one would miss the start.
_SETTLING_SECONDS = 0.3
_ACKNOWLEDGE_SECONDS = 0.5


class Replay:
    """One replay of an opened bag: publishers, schedule and what came of it.

    Raises UserError if the arguments do not fit the bag.
    """

    def __init__(self, node: Node, reader: BagReader, arguments: argparse.Namespace, stop: StopSignals) -> None:
        self._node = node
        self._reader = reader
        self._arguments = arguments
        self._stop = stop
        self._start_ns = reader.start_ns + round(arguments.start_offset * 1e9)
        if reader.message_count == 0:
            raise UserError(f"{reader.path}: expected messages, found none")
        if self._start_ns > reader.end_ns:
            length = (reader.end_ns - reader.start_ns) / 1e9
            raise UserError(f"--start-offset {arguments.start_offset:g}: the bag is only {length:.3f} s long")
        self.skipped: dict[str, str] = {}
        self._topics = self._selected_topics()
        self._publishers = self._create_publishers()
        self._clock = None if arguments.no_clock else node.create_publisher(Clock, "/clock", _qos(False))
        self._clock_ns = -1
        self._frame_topic = self._topic_of_frames() if arguments.frequency else None
        self.published: Counter[str] = Counter()
        self.loops = 0
        self._lateness: deque[float] = deque(maxlen=100_000)  # a replay that loops for days keeps the latest
        self._max_lateness = 0.0

    def run(self) -> None:
        """Wait for subscribers, publish everything, and let the last messages arrive; a signal ends it early."""
        self._wait_for_subscribers()
        if not self._stop.sleep_until(time.monotonic() + self._arguments.delay):
            return
        while True:
            self._publish_once_through()
            self.loops += not self._stop.received
            if self._stop.received or not self._arguments.loop:
                break
        deadline = time.monotonic() + _ACKNOWLEDGE_SECONDS
        for publisher in self._publishers.values():
            remaining = max(0.0, deadline - time.monotonic())
            publisher.wait_for_all_acked(Duration(seconds=0 if self._stop.received else remaining))

    def summary(self) -> dict[str, Any]:
        """Counts and lateness (milliseconds from due to handed over to the middleware)."""
        lateness = None
        if self._lateness:
            median = statistics.median(self._lateness)
            lateness = {"median": round(1e3 * median, 3), "max": round(1e3 * self._max_lateness, 3)}
        return {
            "bag": str(self._reader.path),
            "messages": dict(sorted(self.published.items())),
            "skipped_topics": self.skipped,
            "lateness_ms": lateness,
            "complete_loops": self.loops,
        }

    def _selected_topics(self) -> dict[str, BagTopic]:
        names = self._arguments.topics or list(self._reader.topics)
        unknown = [name for name in names if name not in self._reader.topics]
        if unknown:
            raise UserError(
                f"{self._reader.path}: no topic {', '.join(unknown)}; it has {', '.join(self._reader.topics)}"
            )
        # The recorded clock would contradict ours.
        return {name: self._reader.topics[name] for name in names if self._arguments.no_clock or name != "/clock"}

    def _create_publishers(self) -> dict[str, Publisher[Any]]:
        publishers = {}
        for name, topic in self._topics.items():
            try:
                message_type = message_class(topic.type)
            except UserError as error:
                self._node.get_logger().warning(f"skipping {name}: {error}")
                self.skipped[name] = topic.type
                continue
            transient_local = topic.transient_local or name == "/tf_static"
            publishers[name] = self._node.create_publisher(message_type, name, _qos(transient_local))
        if not publishers:
            raise UserError(f"{self._reader.path}: no topic left to publish; skipped {self.skipped}")
        return publishers

    def _topic_of_frames(self) -> str:
        images = [
            topic for name, topic in self._topics.items() if topic.type in IMAGE_TYPES and name in self._publishers
        ]
        if not images:
            raise UserError(f"--frequency: expected a topic of images, found {', '.join(self._publishers)}")
        return max(images, key=lambda topic: topic.count).name

    def _wait_for_subscribers(self) -> None:
        wanted = dict(_topic_and_count(text) for text in self._arguments.wait_for_subscribers)
        for name in wanted.keys() - self._publishers.keys():
            raise UserError(f"--wait-for-subscribers {name}: not published; {', '.join(self._publishers)} are")
        deadline = time.monotonic() + self._arguments.wait_timeout
        while lacking := {n: c for n, c in wanted.items() if self._publishers[n].get_subscription_count() < c}:
            if time.monotonic() > deadline:
                text = ", ".join(
                    f"{name} has {self._publishers[name].get_subscription_count()} of {count}"
                    for name, count in lacking.items()
                )
                raise UserError(f"no subscribers after {self._arguments.wait_timeout:g} s: {text}")
            if not self._stop.sleep_until(time.monotonic() + 0.05):
                return
        if wanted:
            self._stop.sleep_until(time.monotonic() + _SETTLING_SECONDS)

    def _messages(self) -> Iterator[BagMessage]:
        names = list(self._publishers)
        if self._start_ns > self._reader.start_ns:
            # What late subscribers would have been given: without the transforms the rest is of little use.
            latched = [name for name in names if self._topics[name].transient_local or name == "/tf_static"]
            for message in self._reader.messages(latched):
                if message.time_ns >= self._start_ns:
                    break
                yield message
        yield from self._reader.messages(names, self._start_ns)

    def _schedule(self) -> Iterator[ScheduledMessage]:
        if self._frame_topic is None:
            return at_recorded_times(self._messages(), self._start_ns, self._arguments.rate)
        return at_fixed_frequency(self._messages(), self._start_ns, self._frame_topic, self._arguments.frequency)

    def _publish_once_through(self) -> None:
        self._clock_ns = -1
        start = None
        previous = (0.0, self._start_ns)
        for item in read_ahead(self._schedule(), _MESSAGES_AHEAD):
            if start is None:
                start = time.monotonic()
            current = (item.due, max(item.message.time_ns, self._start_ns))
            if not self._let_time_pass(start, previous, current):
                return
            self._publish_clock(current[1])
            self._publishers[item.message.topic].publish(item.message.data)
            lateness = time.monotonic() - start - item.due
            self._lateness.append(lateness)
            self._max_lateness = max(self._max_lateness, lateness)
            self.published[item.message.topic] += 1
            previous = current

    def _let_time_pass(self, start: float, previous: tuple[float, int], current: tuple[float, int]) -> bool:
        """Sleep until a message is due while /clock ticks; False if a signal came."""
        if self._clock is not None:
            tick = int(previous[0] / CLOCK_PERIOD) + 1
            while tick * CLOCK_PERIOD < current[0]:
                due = tick * CLOCK_PERIOD
                if not self._stop.sleep_until(start + due):
                    return False
                self._publish_clock(clock_between(previous, current, due))
                # Ticks that are over already are of no use to anybody.
                tick = max(tick + 1, int((time.monotonic() - start) / CLOCK_PERIOD))
        return self._stop.sleep_until(start + current[0])

    def _publish_clock(self, time_ns: int) -> None:
        if self._clock is None or time_ns == self._clock_ns:
            return
        self._clock_ns = time_ns
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(time_ns, 1_000_000_000)
        self._clock.publish(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Console script: 0 at the end of the bag and after SIGINT or SIGTERM, 2 with one line on what is wrong."""
    given = list(sys.argv if arguments is None else ["replay_node", *arguments])
    stop = StopSignals()
    try:
        options = _parser().parse_args(initialise_ros(given))
        with BagReader(options.bag) as reader:
            _replay(reader, options, stop)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    finally:
        rclpy.try_shutdown()
    return 0


def _replay(reader: BagReader, options: argparse.Namespace, stop: StopSignals) -> None:
    # Nobody spins this node, so it must not offer services that would never answer.
    node = Node("replay", start_parameter_services=False)
    try:
        replay = Replay(node, reader, options, stop)
        started = time.monotonic()
        replay.run()
        summary = replay.summary()
        late = summary["lateness_ms"]
        node.get_logger().info(
            f"{'interrupted' if stop.received else 'replayed'}: {sum(replay.published.values())} messages on "
            f"{len(replay.published)} topics in {time.monotonic() - started:.1f} s"
            + (f", late by {late['median']} ms (median), {late['max']} ms (most)" if late else "")
        )
        if options.summary:
            write_atomically(options.summary, f"{json.dumps(summary, indent=2)}\n".encode())
    finally:
        node.destroy_node()


def _qos(transient_local: bool) -> QoSProfile:
    return QoSProfile(
        depth=10,
        reliability=QoSReliabilityPolicy.RELIABLE,
        durability=QoSDurabilityPolicy.TRANSIENT_LOCAL if transient_local else QoSDurabilityPolicy.VOLATILE,
    )


def _topic_and_count(text: str) -> tuple[str, int]:
    name, _, count = text.partition(":")
    if count and not count.isdecimal():
        raise UserError(f"--wait-for-subscribers {text}: expected TOPIC or TOPIC:COUNT")
    return name, int(count) if count else 1


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


def _not_negative(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value


_positive.__name__ = "number above 0"  # argparse puts these into its messages
_not_negative.__name__ = "number from 0"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="replay_node",
        description="Publish a rosbag2 at its recorded times, with /clock.  ROS arguments follow after --ros-args, "
        "for example --ros-args -r /kitti/camera_color_left/image_raw:=image.",
    )
    parser.add_argument("bag", type=Path, help="folder of a rosbag2, or its .mcap or .db3 file")
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument("--rate", type=_positive, default=1.0, help="2 is twice as fast (default 1)")
    pace.add_argument("--frequency", type=_positive, metavar="HZ", help="images at this rate; all else goes along")
    parser.add_argument("--loop", action="store_true", help="begin again at the end; the clock jumps back")
    parser.add_argument("--start-offset", type=_not_negative, default=0.0, metavar="S", help="leave out the first S s")
    parser.add_argument(
        "--delay", type=_not_negative, default=0.0, metavar="S", help="wait S s before the first message"
    )
    parser.add_argument("--topics", nargs="+", metavar="TOPIC", help="only these, by their names in the bag")
    parser.add_argument(
        "--wait-for-subscribers",
        nargs="+",
        default=[],
        metavar="TOPIC[:COUNT]",
        help="begin when these have so many subscribers (default 1)",
    )
    parser.add_argument("--wait-timeout", type=_not_negative, default=30.0, metavar="S", help="give up after S s")
    parser.add_argument("--no-clock", action="store_true", help="do not publish /clock")
    parser.add_argument("--summary", type=Path, metavar="FILE", help="write counts and lateness as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
