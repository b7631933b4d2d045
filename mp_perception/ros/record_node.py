"""`record_node`: record topics into a rosbag2 (MCAP), on machines without `ros2 bag record`.

A topic is subscribed to as soon as it has a publisher, with the quality of service that is offered.  The bag's time is
the time of reception (of the simulated clock with use_sim_time).  Callbacks only queue messages; a thread writes them.
"""

from __future__ import annotations

import argparse
import queue
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rclpy.clock import Clock, ROSClock
from rclpy.clock_type import ClockType
from rclpy.event_handler import QoSMessageLostInfo, SubscriptionEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from rclpy.subscription import MessageInfo
from rclpy.topic_endpoint_info import TopicEndpointInfo

from mp_perception.bags.writing import BagWriter, OfferedQos
from mp_perception.errors import UserError
from mp_perception.ros.message_class import message_class
from mp_perception.ros.node_main import LONGEST_SLEEP, StopSignals, run_main
from mp_perception.ros.qos import as_offered

_DISCOVERY_PERIOD = 0.1
_LAST_SECONDS = 0.3
_DEPTH = 100
# Some 350 MB of 1242x375 images: a disk that is further behind cannot keep up anyway.
_MESSAGES_QUEUED = 256


class WritingThread:
    """Writes queued messages into a bag, in order, so that a slow disk does not delay the middleware.

    error: why writing failed, or None.
    """

    def __init__(self, bag: BagWriter) -> None:
        self._bag = bag
        self._queue: queue.Queue[tuple[str, int, bytes] | None] = queue.Queue(_MESSAGES_QUEUED)
        self.error: UserError | None = None
        self._thread = threading.Thread(target=self._write, name="bag_writing", daemon=True)
        self._thread.start()

    def put(self, topic: str, time_ns: int, data: bytes) -> bool:
        """Queue a message; False if the queue is full because the disk is too slow."""
        try:
            self._queue.put_nowait((topic, time_ns, data))
        except queue.Full:
            return False
        return True

    def finish(self) -> None:
        """Write what is queued and end the thread.  Raises UserError if the disk failed."""
        while self._thread.is_alive():
            try:
                self._queue.put(None, timeout=LONGEST_SLEEP)
                break
            except queue.Full:
                continue
        self._thread.join()
        if self.error:
            raise self.error

    def _write(self) -> None:
        while (item := self._queue.get()) is not None:
            try:
                self._bag.write_serialized(*item)
            except UserError as error:
                self.error = error
                return


class RecordNode(Node):
    """Subscribes to the named topics as they appear and passes their messages to the writing thread.

    error: why a topic cannot be recorded, or None.
    """

    def __init__(self, bag: BagWriter, writing: WritingThread, topics: Sequence[str]) -> None:
        super().__init__("record")
        self._bag = bag
        self._writing = writing
        self.error: UserError | None = None
        self._missing = {self.resolve_topic_name(topic) for topic in topics}
        #: Messages by topic: recorded, lost by the middleware, dropped because the queue was full.
        self._recorded: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._unstamped: list[tuple[str, bytes]] = []
        # Simulated time may stand still until we have subscribed.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(_DISCOVERY_PERIOD, self._subscribe_to_new_topics, clock=steady)

    def finish(self) -> None:
        """Queue the last messages, and log what was recorded and what was not."""
        self._write_unstamped(0)
        for topic in sorted(self._missing):
            self.get_logger().warning(f"{topic}: not published, not recorded")
        for topic in sorted(self._recorded | self._lost | self._dropped):
            losses = f", {self._lost[topic]} lost by the middleware" if self._lost[topic] else ""
            losses += f", {self._dropped[topic]} dropped because the disk is too slow" if self._dropped[topic] else ""
            self.get_logger().info(f"{topic}: {self._recorded[topic]} messages{losses}")

    def _subscribe_to_new_topics(self) -> None:
        for topic in sorted(self._missing):
            offers = self.get_publishers_info_by_topic(topic)
            # An endpoint may not have its type yet while discovery is under way.
            types = sorted({offer.topic_type for offer in offers if "/msg/" in offer.topic_type})
            if not types:
                continue
            self._missing.discard(topic)
            try:
                self._subscribe(topic, types[0], offers)
            except UserError as error:
                self.error = error

    def _subscribe(self, topic: str, type_name: str, offers: list[TopicEndpointInfo]) -> None:
        profile = as_offered(offers, _DEPTH)
        reliable = profile.reliability == ReliabilityPolicy.RELIABLE
        transient_local = profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
        message_type = message_class(type_name)
        self._bag.add_topic(topic, type_name, OfferedQos(reliable=reliable, transient_local=transient_local))

        def receive(data: bytes, information: MessageInfo) -> None:
            self._record(topic, data, information["received_timestamp"])

        def count_lost(information: QoSMessageLostInfo) -> None:
            self._lost[topic] += information.total_count_change

        events = SubscriptionEventCallbacks(message_lost=count_lost)
        self.create_subscription(message_type, topic, receive, profile, event_callbacks=events, raw=True)
        self.get_logger().info(f"recording {topic} ({type_name})")

    def _record(self, topic: str, data: bytes, received_ns: int) -> None:
        # Without simulated time the middleware's time of reception counts: a slow callback does not change it.
        clock = self.get_clock()
        simulated = isinstance(clock, ROSClock) and clock.ros_time_is_active
        time_ns = clock.now().nanoseconds if simulated else received_ns
        self._unstamped.append((topic, data))
        if time_ns == 0 and len(self._unstamped) < _MESSAGES_QUEUED:
            return
        self._write_unstamped(time_ns)

    def _write_unstamped(self, time_ns: int) -> None:
        """Queue what arrived before the simulated clock had a time, with its first time."""
        for topic, data in self._unstamped:
            kept = self._writing.put(topic, time_ns, data)
            (self._recorded if kept else self._dropped)[topic] += 1
        self._unstamped.clear()


def main(arguments: Sequence[str] | None = None) -> int:
    """Console script: 0 after SIGINT or SIGTERM, with the bag complete; 2 after bad input and disk errors."""
    return run_main(_run, arguments)


def _run(arguments: list[str], stop: StopSignals) -> None:
    options = _parser().parse_args(arguments)
    with BagWriter(options.out) as bag:
        writing = WritingThread(bag)
        node = RecordNode(bag, writing, options.topics)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        while not (stop.received or node.error or writing.error):
            executor.spin_once(timeout_sec=LONGEST_SLEEP)
        # Messages that the middleware still holds belong to the recording.
        deadline = time.monotonic() + _LAST_SECONDS
        while time.monotonic() < deadline and not (node.error or writing.error):
            executor.spin_once(timeout_sec=LONGEST_SLEEP)
        node.finish()
        writing.finish()
        if node.error:
            raise node.error
        executor.shutdown()
        node.destroy_node()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="record_node",
        description="Record topics into a new rosbag2 until SIGINT or SIGTERM.  ROS arguments follow after --ros-args.",
    )
    parser.add_argument("out", type=Path, help="folder of the new bag; it must not exist")
    parser.add_argument("--topics", nargs="+", required=True, metavar="TOPIC", help="topics to record")
    return parser


if __name__ == "__main__":
    sys.exit(main())
