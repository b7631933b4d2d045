"""The worker thread: takes images from the mailbox, runs the network and publishes the outputs.

Every error of an image or of the network is handled here: it is counted and logged, and does not leave the thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics
from mp_perception.inference.predictor import Predictor
from mp_perception.messages.camera_info import intrinsics_of
from mp_perception.ros.camera_images import camera_image
from mp_perception.ros.diagnostics import Statistics
from mp_perception.ros.image_age import describe_clock_mismatch, image_age
from mp_perception.ros.mailbox import Mailbox
from mp_perception.ros.parameters import NodeParameters
from mp_perception.ros.publishing import OutputPublishers, ProcessedFrame

#: The worker ends after so many failures of the network in a row.
MAX_FAILURES_IN_A_ROW = 3
#: Unlike rclpy's default for throttling, it is not affected when the system's clock is set.
STEADY_CLOCK = Clock(clock_type=ClockType.STEADY_TIME)
#: For log lines that could come with every image.
THROTTLED: dict[str, Any] = {"throttle_duration_sec": 5.0, "throttle_time_source_type": STEADY_CLOCK}
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

    topic: of the images, for messages.  parameters, camera_info: return the current values.
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
    camera_info: Callable[[], CameraInfo | None]
    on_failure: Callable[[str], None]

    def __post_init__(self) -> None:
        focal_length = self.predictor.description.training_focal_length
        self._camera = _CameraWatch(self.topic, self.logger, self.statistics, focal_length)
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
            self.statistics.count("stale")
            return
        image = camera_image(message, parameters.max_image_pixels)
        info, intrinsics = self._camera.match(image, self.camera_info())
        converted = time.perf_counter()
        prediction = self.predictor.predict(image, intrinsics, parameters.prediction_settings())
        predicted = time.perf_counter()
        published = self.publishers.publish(
            ProcessedFrame(
                header=message.header,
                image=image,
                prediction=prediction,
                camera_info=info,
                intrinsics=intrinsics,
                parameters=parameters,
                depth_range=parameters.depth_range(self.predictor.description),
            )
        )
        end = time.perf_counter()
        for topic in published:
            self.statistics.count(f"published {topic}")
        stages = {
            "wait": (taken - frame.received) * 1e3,
            "convert": (converted - taken) * 1e3,
            **prediction.timings,
            "publish": (end - predicted) * 1e3,
            "total": (end - frame.received) * 1e3,
        }
        self.statistics.frame_processed(stages, image_age(_stamp_ns(message), self.clock.now().nanoseconds))

    def _is_stale(self, message: Image | CompressedImage, parameters: NodeParameters) -> bool:
        stamp, now = _stamp_ns(message), self.clock.now().nanoseconds
        age = image_age(stamp, now)
        if age is None:
            self.statistics.count("clock_mismatch")
            self.logger.warning(describe_clock_mismatch(stamp, now, self.topic), **THROTTLED_TO_MINUTES)
            return False
        return not parameters.process_every_frame and 0 < parameters.max_age < age


class _CameraWatch:
    """Matches camera info with images, and logs changes.

    training_focal_length: of the network, pixels of its input; None if unknown.
    """

    def __init__(
        self, topic: str, logger: RcutilsLogger, statistics: Statistics, training_focal_length: float | None
    ) -> None:
        self._topic = topic
        self._logger = logger
        self._statistics = statistics
        self._training_focal_length = training_focal_length
        self._size: tuple[int, int] | None = None
        self._intrinsics: CameraIntrinsics | None = None

    def match(
        self, image: NDArray[np.uint8], info: CameraInfo | None
    ) -> tuple[CameraInfo | None, CameraIntrinsics | None]:
        """Camera info and intrinsics of this image; both None if they are missing or do not match it."""
        width, height = size = (image.shape[1], image.shape[0])
        if self._size not in (None, size):
            self._logger.info(f"{self._topic}: the image size changes to {width}x{height}")
        self._size = size
        if info is None:
            self._logger.info(
                f"{self._topic}: no camera info yet: objects have no x and y, depth is not scaled by the focal length",
                once=True,
            )
            return None, None
        try:
            intrinsics = intrinsics_of(info, width, height)
        except UserError as error:
            text = f"camera info of {self._topic}: {error}"
            self._statistics.problem("bad_camera_info", text)
            self._logger.warning(text, **THROTTLED)
            return None, None
        if intrinsics != self._intrinsics:
            self._intrinsics = intrinsics
            self._log(intrinsics)
        return info, intrinsics

    def _log(self, camera: CameraIntrinsics) -> None:
        scaling = "the focal length of the training is unknown, so depth is not scaled by it"
        if self._training_focal_length is not None:
            scaling = f"depth is scaled from a focal length of {self._training_focal_length:.0f} in the network's input"
        self._logger.info(
            f"camera of {self._topic}: {camera.width}x{camera.height}, focal length {camera.fx:.1f} x {camera.fy:.1f}"
            f" pixels; {scaling}"
        )


def _stamp_ns(message: Image | CompressedImage) -> int:
    return int(Time.from_msg(message.header.stamp).nanoseconds)
