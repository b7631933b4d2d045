"""The worker thread: takes images from the mailbox, predicts and publishes.

Whatever is wrong with an image or with the network ends here, counted and said; nothing escapes the thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from mp_perception.camera_messages import intrinsics_of
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics
from mp_perception.image_messages import compressed_to_array
from mp_perception.inference.predictor import Predictor
from mp_perception.ros.camera import same_camera
from mp_perception.ros.conversions import image_to_array
from mp_perception.ros.diagnostics import Statistics
from mp_perception.ros.image_age import describe_clock_mismatch, image_age
from mp_perception.ros.mailbox import Mailbox
from mp_perception.ros.parameters import NodeParameters
from mp_perception.ros.publishing import OutputPublishers, ProcessedFrame

#: So many failures of the network in a row, and the worker gives up.
MAX_FAILURES_IN_A_ROW = 3
#: Seconds between two log lines about the same thing.
LOG_INTERVAL = 5.0
#: The same for clocks that disagree: that harms nothing, and lasts as long as a bag is played.
_CLOCK_LOG_INTERVAL = 60.0
#: Goes on whatever happens to the system's clock; by that one rclpy would be silent for an hour when it is set back.
STEADY_CLOCK = Clock(clock_type=ClockType.STEADY_TIME)


@dataclass(frozen=True)
class ReceivedImage:
    """An image message and the time.perf_counter() of its arrival."""

    message: Image | CompressedImage
    received: float


class FrameWorker:
    """One thread from activation to deactivation."""

    def __init__(
        self,
        mailbox: Mailbox[ReceivedImage],
        predictor: Predictor,
        publishers: OutputPublishers,
        statistics: Statistics,
        *,
        topic: str,
        clock: Clock,
        logger: RcutilsLogger,
        parameters: Callable[[], NodeParameters],
        camera_info: Callable[[], CameraInfo | None],
        on_failure: Callable[[str], None],
    ) -> None:
        """topic: of the images, for messages.  parameters, camera_info: give the values in effect.

        on_failure: called from the thread, once, when the network has failed too often; the thread has ended then.
        """
        self._mailbox = mailbox
        self._predictor = predictor
        self._publishers = publishers
        self._statistics = statistics
        self._topic = topic
        self._clock = clock
        self._logger = logger
        self._parameters = parameters
        self._camera_info = camera_info
        self._on_failure = on_failure
        self._failures = 0
        self._camera = _CameraWatch(topic, logger, statistics, predictor)
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)

    def start(self) -> None:
        """Begin to take images."""
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Finish the image in work and end; False if that takes longer than `timeout` seconds."""
        self._mailbox.close()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (frame := self._mailbox.take()) is not None:
            try:
                self._process(frame)
                self._failures = 0
            except UserError as error:
                self._refuse(str(error))
            except Exception as error:  # out of memory, a lost GPU, a closed context: the runtime's own kinds
                self._failures += 1
                reason = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(": ")
                self._statistics.count("errors")
                self._statistics.problem(reason)
                self._logger.error(
                    f"the network failed on an image: {reason}",
                    throttle_duration_sec=LOG_INTERVAL,
                    throttle_time_source_type=STEADY_CLOCK,
                )
                if self._failures >= MAX_FAILURES_IN_A_ROW:
                    self._on_failure(reason)
                    return

    def _process(self, frame: ReceivedImage) -> None:
        taken = time.perf_counter()
        parameters = self._parameters()
        message = frame.message
        if self._is_stale(message, parameters):
            self._statistics.count("stale")
            return
        image = _decode(message, parameters.max_image_pixels)
        info, intrinsics = self._camera.look(image, self._camera_info())
        converted = time.perf_counter()
        prediction = self._predictor.predict(image, intrinsics, parameters.prediction_settings())
        predicted = time.perf_counter()
        published = self._publishers.publish(
            ProcessedFrame(
                header=message.header,
                image=image,
                prediction=prediction,
                camera_info=info,
                intrinsics=intrinsics,
                parameters=parameters,
                depth_range=parameters.depth_range(self._predictor.description),
            )
        )
        end = time.perf_counter()
        for topic in published:
            self._statistics.count(f"published {topic}")
        stages = {
            "wait": (taken - frame.received) * 1e3,
            "convert": (converted - taken) * 1e3,
            **prediction.timings,
            "publish": (end - predicted) * 1e3,
            "total": (end - frame.received) * 1e3,
        }
        self._statistics.frame_processed(stages, self._age(message))

    def _refuse(self, reason: str) -> None:
        text = f"{self._topic}: {reason}"
        self._statistics.count("malformed")
        self._statistics.problem(text)
        self._logger.warning(
            f"image refused: {text}", throttle_duration_sec=LOG_INTERVAL, throttle_time_source_type=STEADY_CLOCK
        )

    def _is_stale(self, message: Image | CompressedImage, parameters: NodeParameters) -> bool:
        age = self._age(message)
        if age is None:
            self._statistics.count("clock_mismatch")
            stamp, now = _nanoseconds(message), self._clock.now().nanoseconds
            self._logger.warning(
                describe_clock_mismatch(stamp, now, self._topic),
                throttle_duration_sec=_CLOCK_LOG_INTERVAL,
                throttle_time_source_type=STEADY_CLOCK,
            )
            return False
        return not parameters.process_every_frame and 0 < parameters.max_age < age

    def _age(self, message: Image | CompressedImage) -> float | None:
        return image_age(_nanoseconds(message), self._clock.now().nanoseconds)


class _CameraWatch:
    """Matches camera info with images, and says what changes."""

    def __init__(self, topic: str, logger: RcutilsLogger, statistics: Statistics, predictor: Predictor) -> None:
        self._topic = topic
        self._logger = logger
        self._statistics = statistics
        self._training_focal_length = predictor.description.training_focal_length
        self._size: tuple[int, int] | None = None
        self._info: CameraInfo | None = None
        self._intrinsics: CameraIntrinsics | None = None

    def look(
        self, image: NDArray[np.uint8], info: CameraInfo | None
    ) -> tuple[CameraInfo | None, CameraIntrinsics | None]:
        """Camera info and intrinsics of this image, both None if there is none that fits."""
        size = (image.shape[1], image.shape[0])
        if size != self._size:
            if self._size is not None:
                self._logger.info(f"{self._topic}: images change from {_words(self._size)} to {_words(size)}")
            self._size, self._intrinsics = size, None
        if info is None:
            self._logger.info(
                f"{self._topic}: no camera info yet: objects have no x and y, depth is not scaled by the focal length",
                once=True,
            )
            return None, None
        if self._intrinsics is None or self._info is None or not (info is self._info or same_camera(info, self._info)):
            self._intrinsics = self._read(info, size)
        self._info = info
        return (info, self._intrinsics) if self._intrinsics is not None else (None, None)

    def _read(self, info: CameraInfo, size: tuple[int, int]) -> CameraIntrinsics | None:
        try:
            intrinsics = intrinsics_of(info, *size)
        except UserError as error:
            text = f"camera info of {self._topic}: {error}"
            self._statistics.count("bad_camera_info")
            self._statistics.problem(text)
            self._logger.warning(text, throttle_duration_sec=LOG_INTERVAL, throttle_time_source_type=STEADY_CLOCK)
            return None
        scaling = (
            "the weights know no focal length, so depth is not scaled by it"
            if self._training_focal_length is None
            else f"depth is scaled from the training's {self._training_focal_length:.0f} pixels of the network's input"
        )
        self._logger.info(
            f"camera of {self._topic}: {_words(size)}, focal length {intrinsics.fx:.1f} x {intrinsics.fy:.1f} pixels;"
            f" {scaling}"
        )
        return intrinsics


def _decode(message: Image | CompressedImage, max_pixels: int) -> NDArray[np.uint8]:
    if isinstance(message, CompressedImage):
        return compressed_to_array(message, max_pixels)
    return image_to_array(message, max_pixels)


def _nanoseconds(message: Image | CompressedImage) -> int:
    return int(Time.from_msg(message.header.stamp).nanoseconds)


def _words(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
