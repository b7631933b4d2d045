"""The node from activation to deactivation: its subscriptions, and the mailbox and the worker that they feed."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

from mp_perception.inference.predictor import Predictor
from mp_perception.ros import qos
from mp_perception.ros.camera_watch import CameraWatch
from mp_perception.ros.diagnostics import MAX_SILENCE, Snapshot, Statistics
from mp_perception.ros.inputs import Inputs
from mp_perception.ros.mailbox import FrameQueue, Mailbox
from mp_perception.ros.node_main import THROTTLED
from mp_perception.ros.parameters import NodeParameters
from mp_perception.ros.publishing import OutputPublishers
from mp_perception.ros.tracking import ObjectTracking
from mp_perception.ros.transforms import Transforms
from mp_perception.ros.worker import FrameWorker, ReceivedImage
from mp_perception.tracking.tracker import Tracker

#: Number of images that may wait with process_every_frame.
QUEUE_CAPACITY = 32
#: Maximum time that a deactivation waits for the image in work, seconds.
DEACTIVATION_LIMIT = 30.0


class ImageStream:
    """Receives images and has them processed, between `start` and `stop`; used by the executor's thread."""

    def __init__(
        self,
        node: Node,
        statistics: Statistics,
        parameters: Callable[[], NodeParameters],
        on_failure: Callable[[str], None],
    ) -> None:
        """parameters: returns the current values.  on_failure: as for FrameWorker."""
        self._node = node
        self._statistics = statistics
        self._parameters = parameters
        self._on_failure = on_failure
        self._inputs = Inputs(node)
        self._mailbox: Mailbox[ReceivedImage] = Mailbox()
        self._worker: FrameWorker | None = None
        self._camera = CameraWatch(node.resolve_topic_name("camera_info"), node.get_logger())
        self._tracker = Tracker()
        #: The topic of the images.
        self.image_topic = ""
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=False)
        self._jump_handle = node.get_clock().create_jump_callback(threshold, post_callback=self._discard_after_jump)

    @property
    def active(self) -> bool:
        """Whether images are processed."""
        return self._worker is not None

    @property
    def num_waiting(self) -> int:
        """Number of images that wait for the worker."""
        return len(self._mailbox)

    def start(self, predictor: Predictor, outputs: OutputPublishers) -> None:
        """Subscribe, and process images.  Raises UserError if a parameter for the quality of service is wrong."""
        node, parameters = self._node, self._parameters()
        compressed, every_frame = parameters.image_transport == "compressed", parameters.process_every_frame
        name = "image/compressed" if compressed else "image"
        self.image_topic = node.resolve_topic_name(name)
        self._mailbox = FrameQueue(QUEUE_CAPACITY) if every_frame else Mailbox()
        self._camera.adapted = predictor.description.camera
        self._worker = FrameWorker(
            self._mailbox,
            predictor,
            outputs,
            self._statistics,
            topic=self.image_topic,
            clock=node.get_clock(),
            logger=node.get_logger(),
            parameters=self._parameters,
            camera=self._camera,
            tracking=self._tracking(parameters.odom_frame),
            on_failure=self._on_failure,
        )
        self._inputs.subscribe(CameraInfo, "camera_info", self._take_camera_info, qos.profile(5, reliable=False))
        self._inputs.subscribe(
            CompressedImage if compressed else Image,
            name,
            self._take_image,
            qos.profile(QUEUE_CAPACITY) if every_frame else qos.profile(1, reliable=False),
            may_be_overridden=not every_frame,
        )
        self._statistics.restart()
        self._worker.start()

    def stop(self, limit: float = DEACTIVATION_LIMIT) -> bool:
        """Unsubscribe and end the worker; False if it did not end within `limit` seconds."""
        self._inputs.destroy()
        worker, self._worker = self._worker, None
        ended = worker is None or worker.stop(limit)
        self._statistics.count("stale", self._mailbox.clear())
        return ended

    def num_publishers(self) -> dict[str, int]:
        """Number of publishers by input topic."""
        return self._inputs.num_publishers()

    def describe_image_source(self, snapshot: Snapshot) -> str:
        """Why images may be missing; "" while they come."""
        return self._inputs.describe_source(self.image_topic) if snapshot.silence > MAX_SILENCE else ""

    def describe_camera_info_source(self, snapshot: Snapshot) -> str:
        """Why camera info may be missing; "" if it is not."""
        missing = snapshot.camera_problem and self._camera.info is None
        return self._inputs.describe_source(self._camera.topic) if missing else ""

    def _tracking(self, odom_frame: str) -> ObjectTracking:
        """Forms tracks; listens to tf if they are formed in another frame than the camera's."""
        logger = self._node.get_logger()
        transforms = Transforms(lambda text: logger.warning(text, **THROTTLED))
        if odom_frame:  # with the quality of service of tf2's listener
            self._inputs.subscribe(TFMessage, "/tf", transforms.take, qos.profile(100))
            self._inputs.subscribe(TFMessage, "/tf_static", transforms.take_static, qos.profile(100, latched=True))
        return ObjectTracking(self._tracker, odom_frame, transforms, self._statistics, logger, self.image_topic)

    def _take_image(self, message: Image | CompressedImage) -> None:
        if self._worker is None:
            return  # the image arrived while the node was deactivated
        self._statistics.frame_received()
        lost = self._mailbox.put(ReceivedImage(message, time.perf_counter()))
        if lost and self._parameters().process_every_frame:
            self._statistics.count("overflowed")
            text = f"image lost: {QUEUE_CAPACITY} images wait already; play the bag slower"
            self._node.get_logger().error(text, **THROTTLED)
        elif lost:
            self._statistics.count("overwritten")

    def _take_camera_info(self, message: CameraInfo) -> None:
        self._camera.info = message

    def _discard_after_jump(self, jump: TimeJump) -> None:
        """The clock went back, for example because a bag starts again: waiting images are from another time."""
        self._statistics.count("stale", self._mailbox.clear())
        self._statistics.restart()
        seconds = -jump.delta.nanoseconds / 1e9
        self._node.get_logger().info(f"time jumped back by {seconds:.1f} s: waiting images dropped")
