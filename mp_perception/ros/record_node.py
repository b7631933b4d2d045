"""`record_node`: write topics into a rosbag2 (MCAP), where there is no `ros2 bag record`.

Named topics are subscribed as soon as somebody publishes them, with the QoS that is offered.  The bag's time is the
time of reception (of the simulated clock with use_sim_time).  Callbacks only queue; a thread writes.
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

import rclpy
from rclpy.clock import Clock, ROSClock
from rclpy.clock_type import ClockType
from rclpy.event_handler import QoSMessageLostInfo, SubscriptionEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSReliabilityPolicy
from rclpy.subscription import MessageInfo
from rclpy.topic_endpoint_info import TopicEndpointInfo

from mp_perception.bags.writing import BagWriter, OfferedQos
from mp_perception.errors import UserError
from mp_perception.ros.message_class import message_class
from mp_perception.ros.qos import as_offered
from mp_perception.ros.stop_signals import LONGEST_SLEEP, StopSignals, initialise_ros

_DISCOVERY_PERIOD = 0.1
_LAST_SECONDS = 0.3
_DEPTH = 100
# Some 350 MB of 1242x375 images: a disk that is slower for longer cannot keep up anyway.
_MESSAGES_QUEUED = 256


class WritingThread:
    """Writes queued messages into a bag, in order, so that a slow disk does not delay the middleware."""

    def __init__(self, bag: BagWriter) -> None:
        self._bag = bag
        self._queue: queue.Queue[tuple[str, int, bytes] | None] = queue.Queue(_MESSAGES_QUEUED)
        self.error: UserError | None = None
        self._thread = threading.Thread(target=self._write, name="bag_writing", daemon=True)
        self._thread.start()

    def put(self, topic: str, time_ns: int, data: bytes) -> bool:
        """Queue a message; False if the disk is so far behind that there is no room."""
        try:
            self._queue.put_nowait((topic, time_ns, data))
        except queue.Full:
            return False
        return True

    def finish(self) -> None:
        """Write what is queued and end.  Raises the UserError of a failed disk."""
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
    """Subscribes to the named topics as they appear and hands their messages to the writing thread.

    recorded, lost, dropped: messages by topic that were queued; that the middleware lost; that found no room.
    """

    def __init__(self, bag: BagWriter, writing: WritingThread, topics: Sequence[str]) -> None:
        super().__init__("record")
        self._bag = bag
        self._writing = writing
        self.recorded: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        #: Topics that nobody has published yet.
        self.missing = {self.resolve_topic_name(topic) for topic in topics}
        #: What ended the recording, if not a signal.
        self.error: UserError | None = None
        self._unstamped: list[tuple[str, bytes]] = []
        self._timer = self.create_timer(
            # A simulated clock may stand still until we have subscribed.
            _DISCOVERY_PERIOD,
            self._subscribe_to_new_topics,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def _subscribe_to_new_topics(self) -> None:
        for topic in sorted(self.missing):
            offers = self.get_publishers_info_by_topic(topic)
            # While discovery is under way an endpoint may not say its type yet.
            types = sorted({offer.topic_type for offer in offers if "/msg/" in offer.topic_type})
            if not types:
                continue
            self.missing.discard(topic)
            try:
                self._subscribe(topic, types[0], offers)
            except UserError as error:
                self.error = error

    def _subscribe(self, topic: str, type_name: str, offers: list[TopicEndpointInfo]) -> None:
        profile = as_offered(offers, _DEPTH)
        reliable = profile.reliability == QoSReliabilityPolicy.RELIABLE
        transient_local = profile.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL
        message_type = message_class(type_name)
        self._bag.add_topic(topic, type_name, OfferedQos(reliable=reliable, transient_local=transient_local))

        def receive(data: bytes, information: MessageInfo) -> None:
            self._record(topic, data, information["received_timestamp"])

        def count_lost(information: QoSMessageLostInfo) -> None:
            self.lost[topic] += information.total_count_change

        self.create_subscription(
            message_type,
            topic,
            receive,
            profile,
            event_callbacks=SubscriptionEventCallbacks(message_lost=count_lost),
            raw=True,
        )
        self.get_logger().info(f"recording {topic} ({type_name})")

    def _record(self, topic: str, data: bytes, received_ns: int) -> None:
        # A simulated clock counts where there is one; else the middleware's time, which no callback delays.
        clock = self.get_clock()
        simulated = isinstance(clock, ROSClock) and clock.ros_time_is_active
        time_ns = clock.now().nanoseconds if simulated else received_ns
        self._unstamped.append((topic, data))
        if time_ns == 0 and len(self._unstamped) < _MESSAGES_QUEUED:
            return
        self.write_unstamped(time_ns)

    def write_unstamped(self, time_ns: int) -> None:
        """Queue what came before the simulated clock had any time, at the first that it has."""
        for topic, data in self._unstamped:
            kept = self._writing.put(topic, time_ns, data)
            (self.recorded if kept else self.dropped)[topic] += 1
        self._unstamped.clear()


def main(arguments: Sequence[str] | None = None) -> int:
    """Console script: 0 after SIGINT or SIGTERM with the bag complete, 2 with one line on what is wrong."""
    given = list(sys.argv if arguments is None else ["record_node", *arguments])
    stop = StopSignals()
    try:
        options = _parser().parse_args(initialise_ros(given))
        with BagWriter(options.out) as bag:
            _record(bag, options.topics, stop)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    finally:
        rclpy.try_shutdown()
    return 0


def _record(bag: BagWriter, topics: Sequence[str], stop: StopSignals) -> None:
    writing = WritingThread(bag)
    node = RecordNode(bag, writing, topics)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while not (stop.received or node.error or writing.error):
        executor.spin_once(timeout_sec=LONGEST_SLEEP)
    # Messages that are on their way or lie in the middleware's queues belong to the recording.
    deadline = time.monotonic() + _LAST_SECONDS
    while time.monotonic() < deadline and not (node.error or writing.error):
        executor.spin_once(timeout_sec=LONGEST_SLEEP)
    node.write_unstamped(0)
    writing.finish()
    if node.error:
        raise node.error
    for topic in sorted(node.missing):
        node.get_logger().warning(f"{topic}: nobody published it")
    for topic in sorted(node.recorded | node.lost | node.dropped):
        losses = f", {node.lost[topic]} lost on the way" if node.lost[topic] else ""
        losses += f", {node.dropped[topic]} dropped because the disk is too slow" if node.dropped[topic] else ""
        node.get_logger().info(f"{topic}: {node.recorded[topic]} messages{losses}")
    executor.shutdown()
    node.destroy_node()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="record_node",
        description="Record topics into a new rosbag2 until SIGINT or SIGTERM.  ROS arguments follow after --ros-args.",
    )
    parser.add_argument("out", type=Path, help="folder of the new bag; it must not exist")
    parser.add_argument("--topics", nargs="+", required=True, metavar="TOPIC", help="what to record")
    return parser


if __name__ == "__main__":
    sys.exit(main())
