"""The topics of evaluation_node: what it takes from DDS, pairs and publishes.

It subscribes to the perception node's outputs at once, and to the bag's topics as they appear.  Callbacks only pair;
whoever owns the node takes the complete frames and scores them (evaluation_node.py).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import MessageInfo
from std_srvs.srv import Trigger
from vision_msgs.msg import LabelInfo

from mp_perception.bags.contents import BagContents
from mp_perception.bags.live_pairing import LiveFrame, LivePairing, PairingCounts, needed_topics
from mp_perception.bags.live_scoring import LiveScoring
from mp_perception.bags.reading import BagMessage, BagReader
from mp_perception.bags.topic_choice import DETECTIONS_TYPE
from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.errors import UserError
from mp_perception.evaluation.evaluate import headline_figures
from mp_perception.ros import qos
from mp_perception.ros.evaluation_parameters import read_parameters
from mp_perception.ros.message_class import message_class

#: What a launch file waits for before it starts the bag; begins the log line.
READY = "ready for the bag"
#: Least share of dropped frames at which the figures are published as a warning.
WARN_SHARE = 0.2

_DISCOVERY_PERIOD = 0.1
#: Messages that wait in the middleware while callbacks are busy.
_DEPTH = 100
#: The bag has ended when the images' publisher has been gone for so long, seconds, and nothing came meanwhile.
_END_SECONDS = 1.0


class EvaluationNode(Node):
    """Subscribes, pairs, answers the service, publishes figures; `take` gives the frames to score."""

    def __init__(self) -> None:
        super().__init__("evaluation")
        self.parameters = read_parameters(self)
        self.detections = self.resolve_topic_name("detections")
        self.depth = self.resolve_topic_name("depth/image")
        self.class_names: tuple[str, ...] = DEFAULT_CLASSES
        self.published_threshold = 0.0
        #: The perception node's last diagnostics.
        self.node_values: dict[str, str] = {}
        #: Writes the report, for the service; set once there is something to write.
        self.write: Callable[[], str] | None = None
        #: What a callback raised; no further one runs then.
        self.failure: Exception | None = None
        self._lock = threading.Lock()
        self._figures = self.create_publisher(DiagnosticArray, "~/figures", qos.OUTPUT)
        # A report takes seconds, in which messages must not be lost: the service has a thread of its own.
        self.create_service(
            Trigger, "~/write_report", self._write_report, callback_group=MutuallyExclusiveCallbackGroup()
        )

    def begin(self, bag: BagContents) -> None:
        """Subscribe to the node's outputs now, and to the bag's topics as they appear."""
        with BagReader(bag.path) as reader:
            types = {topic: reader.topics[topic].type for topic in needed_topics(bag)}
        for output in (self.detections, self.depth):
            if output in types:
                raise UserError(f"{bag.source}: holds truth on {output}, where the node publishes: remap one of them")
        parameters = self.parameters
        self._pairing = LivePairing(
            bag, (self.detections, self.depth), parameters.output_timeout, parameters.max_pending_bytes
        )
        self._image_topic = bag.topics.image
        #: Topics that nobody publishes yet -> their types, all of which are installed.
        self._to_subscribe = types
        for type_name in types.values():
            message_class(type_name)
        self._seen_publisher = False
        self._ready = False
        self._last_sign = time.monotonic()
        reliable = QoSProfile(depth=_DEPTH, reliability=ReliabilityPolicy.RELIABLE)
        self._subscribe(self.detections, DETECTIONS_TYPE, reliable)
        self._subscribe(self.depth, "sensor_msgs/msg/Image", reliable)
        self.create_subscription(LabelInfo, "label_info", self._take_label_info, qos.LATCHED)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._take_diagnostics, qos.OUTPUT)
        # A simulated clock may stand still until we have subscribed.
        self.create_timer(_DISCOVERY_PERIOD, self._look_around, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def take(self) -> LiveFrame | None:
        """The next frame that is complete, or None; frames that waited too long are dropped."""
        with self._lock:
            self._pairing.expire(time.monotonic())
            return self._pairing.take()

    def bag_ended(self) -> bool:
        """Whether the images' publisher has come and gone, and no frame waits any more."""
        quiet = time.monotonic() - self._last_sign > _END_SECONDS
        return self._seen_publisher and quiet and self._pairing.num_waiting == 0

    def close_pairing(self, bag_ended: bool) -> LiveFrame | None:
        """Drop what is incomplete and give the frames that are left, one with each call."""
        with self._lock:
            self._pairing.close(bag_ended)
            return self._pairing.take()

    def counts(self) -> PairingCounts:
        """What happened to the frames that were not taken."""
        with self._lock:
            return self._pairing.counts()

    def publish_figures(self, scoring: LiveScoring) -> None:
        """The figures so far, if somebody wants them."""
        if self._figures.get_subscription_count() == 0:
            return
        counts = self.counts()
        dropped_for = scoring.dropped(counts)
        dropped, scored = sum(dropped_for.values()), scoring.score.evaluation.num_images
        received = scored + dropped
        values = {
            "frames received": str(received),
            "frames scored": str(scored),
            "frames waiting": str(self._pairing.num_waiting),
            "images repeated": str(counts.repeated),
            "outputs late": str(counts.late),
        }
        values |= {f"frames dropped, {reason}": str(count) for reason, count in dropped_for.items()}
        values |= {name: f"{value:.4f}" for name, value in headline_figures(scoring.score.evaluation).items()}
        warn = received > 0 and dropped / received > WARN_SHARE
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        message.status = [
            DiagnosticStatus(
                level=DiagnosticStatus.WARN if warn else DiagnosticStatus.OK,
                name=self.get_name(),
                message=f"{dropped} of {received} frames dropped",
                values=[KeyValue(key=key, value=value) for key, value in values.items()],
            )
        ]
        self._figures.publish(message)

    def _look_around(self) -> None:
        self._say_when_ready()
        publishers = self.count_publishers(self._image_topic)
        if publishers:
            self._seen_publisher = True
            self._last_sign = time.monotonic()
        # Images come last: the bag may begin as soon as somebody subscribes to them.
        names = [name for name in sorted(self._to_subscribe) if name != self._image_topic]
        appeared = [name for name in names if self.count_publishers(name)]
        if not appeared and publishers and self._ready and self._image_topic in self._to_subscribe:
            appeared = [self._image_topic]
        for name in appeared:
            offers = self.get_publishers_info_by_topic(name)
            # While discovery is under way an endpoint may not say its type yet.
            if all("/msg/" in offer.topic_type for offer in offers):
                self._subscribe(name, self._to_subscribe.pop(name), qos.as_offered(offers, _DEPTH))

    def _say_when_ready(self) -> None:
        if self._ready:
            return
        # The node is active when it is subscribed to the images; ours is none of these until then.
        self._ready = self.count_publishers(self.detections) > 0 and self.count_subscribers(self._image_topic) > 0
        if self._ready:
            self.get_logger().info(f"{READY}: somebody looks at {self._image_topic}, {self.detections} is published")

    def _subscribe(self, topic: str, type_name: str, profile: QoSProfile) -> None:
        def receive(data: bytes, information: MessageInfo) -> None:
            message = BagMessage(topic, type_name, information["received_timestamp"], data)
            self._last_sign = time.monotonic()
            with self._lock:
                self._pairing.add(message, self._last_sign)

        self.create_subscription(message_class(type_name), topic, receive, profile, raw=True)

    def _take_label_info(self, message: LabelInfo) -> None:
        by_number = sorted(message.class_map, key=lambda entry: int(entry.class_id))
        if by_number:
            self.class_names = tuple(entry.class_name for entry in by_number)
        self.published_threshold = float(message.threshold)

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {value.key: value.value for value in status.values}
            if "images received" in values:
                self.node_values = values

    def _write_report(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            response.success, response.message = True, self.write() if self.write is not None else ""
            if not response.message:
                response.success, response.message = False, "nothing has been scored yet"
        except UserError as error:
            response.success, response.message = False, str(error)
        return response
