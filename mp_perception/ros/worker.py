"""The worker thread: takes images from the mailbox, runs the network and publishes the outputs.

Every error of an image or of the network is handled here: it is counted and logged, and does not leave the thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from rclpy.clock import Clock
from rclpy.impl.rcutils_logger import RcutilsLogger
from sensor_msgs.msg import CompressedImage, Image

from mp_perception.errors import UserError
from mp_perception.inference.predictor import Predictor
from mp_perception.messages.header import stamp_of
from mp_perception.ros.camera_images import camera_image, describe_blank_image, describe_unused_bits
from mp_perception.ros.camera_watch import CameraWatch
from mp_perception.ros.diagnostics import Statistics
from mp_perception.ros.image_age import describe_clock_mismatch, image_age
from mp_perception.ros.mailbox import Mailbox
from mp_perception.ros.node_main import STEADY_CLOCK, THROTTLED
from mp_perception.ros.parameters import NodeParameters
from mp_perception.ros.publishing import OutputPublishers, ProcessedFrame
from mp_perception.ros.tracking import ObjectTracking

#: The worker ends after so many failures of the network in a row.
MAX_FAILURES_IN_A_ROW = 3
#: For clock mismatches, which are harmless and last as long as a bag is played.
THROTTLED_TO_MINUTES: dict[str, Any] = {"throttle_duration_sec": 60.0, "throttle_time_source_type": STEADY_CLOCK}


@dataclass(frozen=True)
class ReceivedImage:
    """An image message and the time.perf_counter() of its arrival."""

    message: Image | CompressedImage
    received: float


@dataclass(eq=False)
class FrameWorker:
    """One thread, from activation to deactivation.

    topic: of the images, for messages.  parameters: returns the current values.
    on_failure: called once from the thread, if the network has failed too often; the thread ends then.
    """

    mailbox: Mailbox[ReceivedImage]
    predictor: Predictor
    publishers: OutputPublishers
    statistics: Statistics
    topic: str
    clock: Clock
    logger: RcutilsLogger
    parameters: Callable[[], NodeParameters]
    camera: CameraWatch
    tracking: ObjectTracking
    on_failure: Callable[[str], None]

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)

    def start(self) -> None:
        """Start to take images."""
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Finish the image in work and end; False if that takes longer than `timeout` seconds."""
        self.mailbox.close()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        failures = 0
        while (frame := self.mailbox.take()) is not None:
            try:
                self._process(frame)
                failures = 0
            except UserError as error:
                text = f"{self.topic}: {error}"
                self.statistics.problem("malformed", text)
                self.logger.warning(f"image refused: {text}", **THROTTLED)
            except Exception as error:  # out of memory, a lost GPU, a closed context: each runtime has its own types
                failures += 1
                reason = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(": ")
                self.statistics.problem("errors", reason)
                self.logger.error(f"the network failed on an image: {reason}", **THROTTLED)
                if failures >= MAX_FAILURES_IN_A_ROW:
                    self.on_failure(reason)
                    return

    def _process(self, frame: ReceivedImage) -> None:
        taken = time.perf_counter()
        parameters = self.parameters()
        message = frame.message
        if self._is_stale(message, parameters):
            self.statistics.frame_stale()
            return
        image = camera_image(message, parameters.max_image_pixels, parameters.sample_bits)
        if problem := describe_unused_bits(message, parameters.sample_bits, self.topic):
            self.statistics.problem("dark_images", problem)
            self.logger.warning(problem, **THROTTLED)
        if problem := describe_blank_image(image, self.topic):
            self.statistics.problem("blank_images", problem)
            self.logger.warning(problem, **THROTTLED)
        rectified = parameters.is_rectified(self.topic)
        camera = self.camera.match(image.shape[1], image.shape[0], message.header.frame_id, rectified)
        converted = time.perf_counter()
        settings = parameters.prediction_settings()
        if parameters.tracking:
            threshold = parameters.effective_score_threshold(self.predictor.description)
            settings = replace(settings, score_threshold=self.tracking.prediction_threshold(threshold))
        prediction = self.predictor.predict(image, camera.intrinsics, settings)
        if not camera.has_metres:
            prediction = prediction.without_distances()
        predicted = time.perf_counter()
        tracked = None
        if parameters.tracking:
            prediction, tracked = self.tracking.report(prediction, message.header, camera.intrinsics)
        else:
            self.tracking.reset()
        followed = time.perf_counter()
        published = self.publishers.publish(
            ProcessedFrame(
                header=message.header,
                image=image,
                prediction=prediction,
                camera_info=camera.info,
                intrinsics=camera.intrinsics,
                parameters=parameters,
                depth_range=parameters.depth_range(self.predictor.description),
                tracked=tracked,
            )
        )
        end = time.perf_counter()
        for topic in published:
            self.statistics.count(f"published {topic}")
        stages = {
            "wait": (taken - frame.received) * 1e3,
            "convert": (converted - taken) * 1e3,
            **prediction.timings,
            "track": (followed - predicted) * 1e3,
            "publish": (end - followed) * 1e3,
            "total": (end - frame.received) * 1e3,
        }
        age = image_age(stamp_of(message.header), self.clock.now().nanoseconds)
        self.statistics.frame_processed(stages, age, camera.problem)

    def _is_stale(self, message: Image | CompressedImage, parameters: NodeParameters) -> bool:
        stamp, now = stamp_of(message.header), self.clock.now().nanoseconds
        age = image_age(stamp, now)
        if age is None:
            self.statistics.count("clock_mismatch")
            self.logger.warning(describe_clock_mismatch(stamp, now, self.topic), **THROTTLED_TO_MINUTES)
            return False
        return not parameters.process_every_frame and 0 < parameters.max_age < age
