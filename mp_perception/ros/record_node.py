"""`record_node`: record topics into a rosbag2 (MCAP), on machines without `ros2 bag record`.

A topic is subscribed to as soon as it has a publisher, with the quality of service that is offered.  The bag's time is
the time of reception as the middleware reports it.  Callbacks only queue messages; a thread writes them.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rclpy.event_handler import QoSMessageLostInfo, SubscriptionEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from rclpy.subscription import MessageInfo
from rclpy.topic_endpoint_info import TopicEndpointInfo

from mp_perception.bags.writing import BagWriter, offered_qos
from mp_perception.errors import UserError
from mp_perception.ros.message_class import message_class
from mp_perception.ros.node_main import LONGEST_SLEEP, STEADY_CLOCK, StopSignals, run_main, spin_once
from mp_perception.ros.qos import as_offered

_DISCOVERY_PERIOD = 0.1
_LAST_SECONDS = 0.3
_DEPTH = 100
# Some 350 MB of 1242x375 images: a disk that is further behind cannot keep up anyway.
_MESSAGES_QUEUED = 256


class WritingThread:
    """Writes queued messages into a bag, in order, so that a slow disk does not delay the middleware.

    error: why writing failed, or None; messages are refused then.
    """

    def __init__(self, bag: BagWriter) -> None:
        self._bag = bag
        self._free = threading.BoundedSemaphore(_MESSAGES_QUEUED)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bag_writing")
        self.error: UserError | None = None

    def put(self, topic: str, time_ns: int, data: bytes) -> bool:
        """Queue a message; False if the disk has failed, or is so slow that the queue is full."""
        if self.error is not None or not self._free.acquire(blocking=False):
            return False
        self._thread.submit(self._write, topic, time_ns, data)
        return True

    def finish(self) -> None:
        """Write what is queued.  Raises UserError if the disk has failed."""
        self._thread.shutdown()
        if self.error is not None:
            raise self.error

    def _write(self, topic: str, time_ns: int, data: bytes) -> None:
        try:
            if self.error is None:
                self._bag.write_serialized(topic, time_ns, data)
        except UserError as error:
            self.error = error
        finally:
            self._free.release()


class RecordNode(Node):
    """Subscribes to the named topics as they appear and passes their messages to the writing thread.

    Its executor raises UserError for a topic that cannot be recorded.
    """

    def __init__(self, bag: BagWriter, writing: WritingThread, topics: Sequence[str]) -> None:
        super().__init__("record")
        self._bag = bag
        self._writing = writing
        self._missing = {self.resolve_topic_name(topic) for topic in topics}
        #: Messages by topic: recorded, lost by the middleware, dropped because the queue was full.
        self._recorded: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        # Simulated time may stand still until we have subscribed.
        self._timer = self.create_timer(_DISCOVERY_PERIOD, self._subscribe_to_new_topics, clock=STEADY_CLOCK)

    def log_counts(self) -> None:
        """Log what was recorded and what was not."""
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
            if types:
                self._missing.discard(topic)
                self._subscribe(topic, types[0], offers)

    def _subscribe(self, topic: str, type_name: str, offers: list[TopicEndpointInfo]) -> None:
        profile = as_offered(offers, _DEPTH)
        reliable = profile.reliability == ReliabilityPolicy.RELIABLE
        transient_local = profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
        message_type = message_class(type_name)
        self._bag.add_topic(topic, type_name, offered_qos(reliable=reliable, transient_local=transient_local))

        def receive(data: bytes, information: MessageInfo) -> None:
            kept = self._writing.put(topic, information["received_timestamp"], data)
            (self._recorded if kept else self._dropped)[topic] += 1

        def count_lost(information: QoSMessageLostInfo) -> None:
            self._lost[topic] += information.total_count_change

        events = SubscriptionEventCallbacks(message_lost=count_lost)
        self.create_subscription(message_type, topic, receive, profile, event_callbacks=events, raw=True)
        self.get_logger().info(f"recording {topic} ({type_name})")


def main() -> int:
    """Console script: 0 after SIGINT or SIGTERM, with the bag complete; 2 after bad input and disk errors."""
    return run_main(_run)


def _run(arguments: list[str], stop: StopSignals) -> None:
    options = _parser().parse_args(arguments)
    with BagWriter(options.out) as bag:
        writing = WritingThread(bag)
        node = RecordNode(bag, writing, options.topics)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        try:
            while not (stop.received or writing.error):
                spin_once(executor, node, LONGEST_SLEEP)
            # Messages that the middleware still holds belong to the recording.
            deadline = time.monotonic() + _LAST_SECONDS
            while time.monotonic() < deadline and not writing.error:
                spin_once(executor, node, LONGEST_SLEEP)
        finally:
            writing.finish()
        node.log_counts()
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
