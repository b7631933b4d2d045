"""`evaluation_node`: scores what the perception node publishes while a bag with ground truth is replayed.

It reads from the bag which topics hold the truth and which messages belong to which image, and takes the messages
themselves, and the node's outputs, from DDS.  Callbacks only pair; the main thread scores.  It ends when the bag has
ended (whoever published the images is gone and no frame waits any more) or with a signal, and then writes its report.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import MessageInfo
from std_srvs.srv import Trigger
from vision_msgs.msg import LabelInfo

from mp_perception.bags.contents import BagContents
from mp_perception.bags.evaluation import write_result
from mp_perception.bags.live_pairing import (
    LiveFrame,
    LivePairing,
    PairingCounts,
    needed_topics,
    open_replayed_bag,
)
from mp_perception.bags.live_scoring import LiveScoring
from mp_perception.bags.reading import BagMessage, BagReader
from mp_perception.bags.topic_choice import DETECTIONS_TYPE
from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.errors import UserError
from mp_perception.evaluation.evaluate import headline_figures
from mp_perception.evaluation.run import Outputs
from mp_perception.ros import qos
from mp_perception.ros.message_class import message_class
from mp_perception.ros.stop_signals import LONGEST_SLEEP, StopSignals, initialise_ros

#: What a launch file waits for before it starts the bag; begins the log line.
READY = "ready for the bag"
#: Least share of dropped frames at which the figures are published as a warning.
WARN_SHARE = 0.2

_DISCOVERY_PERIOD = 0.1
_FIGURES_PERIOD = 2.0
#: Messages that wait in the middleware while callbacks are busy.
_DEPTH = 100
#: The bag has ended when the images' publisher has been gone for so long, seconds, and nothing came meanwhile.
_END_SECONDS = 1.0


@dataclass(frozen=True)
class EvaluationParameters:
    """bag: what is replayed.  outputs: files.  score_threshold: None takes the one that the node publishes with.

    output_timeout: seconds.  max_pending_bytes: of messages that wait for the rest of their frame.
    """

    bag: Path
    outputs: Outputs
    score_threshold: float | None
    output_timeout: float
    max_pending_bytes: int


class EvaluationNode(Node):
    """Subscribes, pairs, answers the service, publishes figures; `take` gives the frames to score."""

    def __init__(self) -> None:
        super().__init__("evaluation")
        self.parameters = _read_parameters(self)
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


class _Run:
    """Scores in the main thread; the report is written there or, when the service asks, between two frames."""

    def __init__(self, node: EvaluationNode, bag: BagContents) -> None:
        self._node = node
        self._bag = bag
        self._scoring: LiveScoring | None = None
        self._lock = threading.Lock()
        self._last_figures = 0.0
        node.write = self.write_intermediate

    def until_end(self, stop: StopSignals) -> None:
        """Score until the bag has ended or a signal comes, then write everything."""
        node = self._node
        while not stop.received and not node.bag_ended():
            if node.failure is not None:
                raise node.failure
            frame = node.take()
            if frame is not None:
                self._add(frame)
            else:
                stop.sleep_until(time.monotonic() + LONGEST_SLEEP / 2)
            self._publish()
        ended = not stop.received
        while (frame := node.close_pairing(ended)) is not None:
            self._add(frame)
        if self._scoring is None and not node.counts().dropped:
            raise UserError(f"{self._bag.topics.image}: expected images of {self._bag.source}, none came")
        self._write(node.parameters.outputs)

    def write_intermediate(self) -> str:
        """Report and figures of what has been scored; gives the files' names, or nothing if nothing was scored."""
        if self._scoring is None:
            return ""
        outputs = replace(self._node.parameters.outputs, plots=None)
        self._write(outputs)
        return ", ".join(str(path) for path in (outputs.report, outputs.json) if path is not None)

    def _add(self, frame: LiveFrame) -> None:
        with self._lock:
            self._started().add(frame)

    def _started(self) -> LiveScoring:
        if self._scoring is None:
            node, parameters = self._node, self._node.parameters
            threshold = parameters.score_threshold
            self._scoring = LiveScoring(
                self._bag,
                node.detections,
                node.depth,
                node.class_names,
                node.published_threshold if threshold is None else threshold,
                with_pictures=parameters.outputs.report is not None or parameters.outputs.plots is not None,
            )
        return self._scoring

    def _publish(self) -> None:
        if self._scoring is not None and time.monotonic() - self._last_figures > _FIGURES_PERIOD:
            self._node.publish_figures(self._scoring)
            self._last_figures = time.monotonic()

    def _write(self, outputs: Outputs) -> None:
        with self._lock:
            result, score = self._started().result(self._node.counts(), self._node.node_values)
            write_result(outputs, [self._bag], {}, result, score)


def main(arguments: Sequence[str] | None = None) -> int:
    """Console script: 0 at the end of the bag and after SIGINT or SIGTERM, 2 with one line on what is wrong.

    That nothing came, so that there is nothing to report, is wrong too.
    """
    given = list(sys.argv if arguments is None else ["evaluation_node", *arguments])
    stop = StopSignals()
    try:
        initialise_ros(given)
        node = EvaluationNode()
        node.parameters.outputs.check()
        with tempfile.TemporaryDirectory(prefix="mp_perception_bag_") as workspace:
            path = node.parameters.bag
            bag = open_replayed_bag(path, Path(workspace))
            for note in bag.notes:
                node.get_logger().warning(f"{path}: {note}")
            node.begin(bag)
            with _spinning(node):
                _Run(node, bag).until_end(stop)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    finally:
        rclpy.try_shutdown()
    return 0


@contextlib.contextmanager
def _spinning(node: EvaluationNode) -> Iterator[None]:
    """Callbacks run in other threads while the block does; what one of them raises ends up in `node.failure`."""
    executor = MultiThreadedExecutor(num_threads=2)
    executor.add_node(node)

    def spin() -> None:
        try:
            executor.spin()
        except ExternalShutdownException:
            pass
        except Exception as error:
            node.failure = error

    thread = threading.Thread(target=spin, name="executor", daemon=True)
    thread.start()
    try:
        yield
    finally:
        executor.shutdown(timeout_sec=1.0)
        thread.join(1.0)


def _read_parameters(node: Node) -> EvaluationParameters:
    # Whole numbers are welcome where parameters are numbers, which ROS alone would refuse.
    anything = ParameterDescriptor(dynamic_typing=True)
    names = {name: str(node.declare_parameter(name, "", anything).value) for name in ("bag", "report", "json", "plots")}
    threshold = _number(node, "score_threshold", -1.0, anything)
    timeout = _number(node, "output_timeout", 5.0, anything)
    megabytes = int(_number(node, "max_pending_megabytes", 512, anything))
    if not names["bag"]:
        raise UserError("parameter bag: expected the bag that is replayed, found none")
    if not (threshold == -1 or 0 <= threshold <= 1):
        raise UserError(f"parameter score_threshold: expected -1 or 0..1, found {threshold:g}")
    if not 0 < timeout <= 3600:
        raise UserError(f"parameter output_timeout: expected seconds above 0, 3600 at most, found {timeout:g}")
    if not 1 <= megabytes <= 1_000_000:
        raise UserError(f"parameter max_pending_megabytes: expected 1..1000000, found {megabytes}")
    json, report, plots = (Path(names[name]) if names[name] else None for name in ("json", "report", "plots"))
    return EvaluationParameters(
        bag=Path(names["bag"]),
        outputs=Outputs(json, report, plots, command=shlex.join(["evaluation_node", *sys.argv[1:]])),
        score_threshold=None if threshold == -1 else threshold,
        output_timeout=timeout,
        max_pending_bytes=megabytes * 1_000_000,
    )


def _number(node: Node, name: str, default: float, descriptor: ParameterDescriptor) -> float:
    value: object = node.declare_parameter(name, default, descriptor).value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"parameter {name}: expected a number, found {value!r}")
    return float(value)


if __name__ == "__main__":
    sys.exit(main())
