"""`replay_node`: publish a rosbag2 as it was recorded, on machines without `ros2 bag play`.

Messages are published as the bytes in the bag, at absolute deadlines, so that delays do not add up; /clock follows.
Every publisher is reliable, because that serves reliable and best-effort subscribers alike.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rosgraph_msgs.msg import Clock

from mp_perception.bags.read_ahead import read_ahead
from mp_perception.bags.reading import BagMessage, BagReader, BagTopic
from mp_perception.errors import UserError
from mp_perception.ros import qos
from mp_perception.ros.message_class import message_class
from mp_perception.ros.node_main import StopSignals, run_main

_CLOCK_PERIOD = 0.01
_DEPTH = 10
# About one second of a KITTI drive with camera info and point clouds.
_MESSAGES_AHEAD = 32
# A subscriber that we have discovered may not have discovered us yet: a best-effort one would miss the first messages.
_SETTLING_SECONDS = 1.0
_ACKNOWLEDGE_SECONDS = 0.5


class Replay:
    """One replay of an opened bag.  Raises UserError if the options do not fit the bag."""

    def __init__(self, node: Node, reader: BagReader, options: argparse.Namespace, stop: StopSignals) -> None:
        self._node = node
        self._reader = reader
        self._options = options
        self._stop = stop
        self._start_ns = reader.start_ns + round(options.start_offset * 1e9)
        if self._start_ns > reader.end_ns:
            length = (reader.end_ns - reader.start_ns) / 1e9
            raise UserError(f"--start-offset {options.start_offset:g}: the bag is only {length:.3f} s long")
        self._topics = self._selected_topics()
        if not any(topic.count for topic in self._topics.values()):
            raise UserError(f"{reader.path}: expected messages, found none")
        self._publishers = self._create_publishers()
        self._clock = node.create_publisher(Clock, "/clock", qos.profile(_DEPTH))
        self._clock_ns = -1
        self._num_published = 0
        self._max_lateness = 0.0

    def run(self) -> None:
        """Wait for subscribers, publish everything, and let the last messages arrive; a signal ends it early."""
        self._wait_for_subscribers()
        started = time.monotonic()
        self._publish_all()
        while self._options.loop and not self._stop.received:
            self._publish_all()
        seconds = time.monotonic() - started
        deadline = time.monotonic() + (0 if self._stop.received else _ACKNOWLEDGE_SECONDS)
        for publisher in self._publishers.values():
            publisher.wait_for_all_acked(Duration(seconds=max(0.0, deadline - time.monotonic())))
        self._node.get_logger().info(
            f"{'interrupted' if self._stop.received else 'replayed'}: {self._num_published} messages on "
            f"{len(self._publishers)} topics in {seconds:.1f} s, late by {1e3 * self._max_lateness:.1f} ms at most"
        )

    def _selected_topics(self) -> dict[str, BagTopic]:
        topics = self._reader.topics
        names = self._options.topics or list(topics)
        unknown = [name for name in names if name not in topics]
        if unknown:
            raise UserError(f"{self._reader.path}: no topic {', '.join(unknown)}; it has {', '.join(topics)}")
        # The recorded clock would contradict ours.
        return {name: topics[name] for name in names if name != "/clock"}

    def _create_publishers(self) -> dict[str, Publisher[Any]]:
        publishers = {}
        for name in self._topics:
            try:
                message_type = message_class(self._topics[name].type)
            except UserError as error:
                self._node.get_logger().warning(f"skipping {name}: {error}")
                continue
            publishers[name] = self._node.create_publisher(
                message_type, name, qos.profile(_DEPTH, latched=self._is_latched(name))
            )
        if not publishers:
            raise UserError(f"{self._reader.path}: none of its topics can be published")
        return publishers

    def _is_latched(self, topic: str) -> bool:
        return topic == "/tf_static" or self._topics[topic].transient_local

    def _wait_for_subscribers(self) -> None:
        wanted = dict(_topic_and_count(text) for text in self._options.wait_for_subscribers)
        for name in wanted.keys() - self._publishers.keys():
            raise UserError(f"--wait-for-subscribers {name}: expected one of {', '.join(self._publishers)}")
        deadline = time.monotonic() + self._options.wait_timeout
        while missing := {n: c for n, c in wanted.items() if self._publishers[n].get_subscription_count() < c}:
            if time.monotonic() > deadline:
                text = ", ".join(
                    f"{name} has {self._publishers[name].get_subscription_count()} of {count}"
                    for name, count in missing.items()
                )
                raise UserError(f"no subscribers after {self._options.wait_timeout:g} s: {text}")
            if not self._stop.sleep_until(time.monotonic() + 0.05):
                return
        if wanted:
            self._stop.sleep_until(time.monotonic() + _SETTLING_SECONDS)

    def _messages(self) -> Iterator[BagMessage]:
        if self._start_ns > self._reader.start_ns:
            # A subscriber that joins late receives these as well: without transforms other messages are of little use.
            for message in self._reader.messages([name for name in self._publishers if self._is_latched(name)]):
                if message.time_ns >= self._start_ns:
                    break
                yield message
        yield from self._reader.messages(list(self._publishers), self._start_ns)

    def _publish_all(self) -> None:
        """Publish the bag once."""
        self._clock_ns = -1
        start = None
        tick = 1
        for message in read_ahead(self._messages(), _MESSAGES_AHEAD):
            start = time.monotonic() if start is None else start
            due = max(0.0, (message.time_ns - self._start_ns) / 1e9 / self._options.rate)
            while tick * _CLOCK_PERIOD < due:
                if not self._stop.sleep_until(start + tick * _CLOCK_PERIOD):
                    return
                self._publish_clock(self._start_ns + round(tick * _CLOCK_PERIOD * self._options.rate * 1e9))
                # Ticks that are already in the past are skipped.
                tick = max(tick + 1, int((time.monotonic() - start) / _CLOCK_PERIOD))
            if not self._stop.sleep_until(start + due):
                return
            self._publish_clock(max(message.time_ns, self._start_ns))
            self._publishers[message.topic].publish(message.data)
            self._max_lateness = max(self._max_lateness, time.monotonic() - start - due)
            self._num_published += 1

    def _publish_clock(self, time_ns: int) -> None:
        """Publish a time, unless it is not later than the one before."""
        if time_ns <= self._clock_ns:
            return
        self._clock_ns = time_ns
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(time_ns, 1_000_000_000)
        self._clock.publish(message)


def main() -> int:
    """Console script: 0 at the end of the bag and after SIGINT or SIGTERM, 2 after bad input."""
    return run_main(_run)


def _run(arguments: list[str], stop: StopSignals) -> None:
    options = _parser().parse_args(arguments)
    with BagReader(options.bag) as reader:
        # This node does not spin, so it must not offer services: they would never answer.
        node = Node("replay", start_parameter_services=False)
        try:
            Replay(node, reader, options, stop).run()
        finally:
            node.destroy_node()


def _topic_and_count(text: str) -> tuple[str, int]:
    name, _, count = text.partition(":")
    if count and not count.isdecimal():
        raise UserError(f"--wait-for-subscribers {text}: expected TOPIC or TOPIC:COUNT")
    return name, int(count) if count else 1


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError(text)
    return value


_positive.__name__ = "number above 0"  # for argparse's message


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="replay_node",
        description="Publish a rosbag2 at its recorded times, with /clock.  ROS arguments follow after --ros-args, "
        "for example --ros-args -r /kitti/camera_color_left/image_raw:=image.",
    )
    parser.add_argument("bag", type=Path, help="folder of a rosbag2, or its .mcap or .db3 file")
    parser.add_argument("--rate", type=_positive, default=1.0, help="2 is twice as fast (default 1)")
    parser.add_argument("--loop", action="store_true", help="start again at the end; the clock jumps back")
    parser.add_argument("--start-offset", type=_positive, default=0.0, metavar="S", help="skip the first S seconds")
    parser.add_argument("--topics", nargs="+", metavar="TOPIC", help="publish only these, by their names in the bag")
    parser.add_argument(
        "--wait-for-subscribers",
        nargs="+",
        default=[],
        metavar="TOPIC[:COUNT]",
        help="start when these topics have so many subscribers (default 1)",
    )
    parser.add_argument(
        "--wait-timeout",
        type=_positive,
        default=30.0,
        metavar="S",
        help="fail after S seconds of waiting",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
