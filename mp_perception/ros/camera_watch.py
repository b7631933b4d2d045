"""The camera info that belongs to the images: the newest message is kept, and checked against every image."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rclpy.impl.rcutils_logger import RcutilsLogger
from sensor_msgs.msg import CameraInfo

from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics
from mp_perception.messages.camera_info import intrinsics_of, pinhole_error
from mp_perception.model.checkpoint_description import AdaptedCamera
from mp_perception.ros.node_main import THROTTLED

#: The first images may arrive before the first camera info: until then its absence is no problem.
EARLY_SECONDS = 2.0
#: Relative difference of focal lengths from which a camera is another one than the adapted one.
_FOCAL_TOLERANCE = 0.02
#: Without usable camera info, until one was usable: what the outputs mean then.
_NEVER_KNOWN = "objects have no x and y, and depth is as uncertain as the focal length"
#: The same after one was usable: a wrong focal length would make all distances wrong by a factor.
_KNOWN_BEFORE = "no distances are published"


@dataclass(frozen=True)
class Camera:
    """What is known of the camera of one image.

    info, intrinsics: both None without usable camera info.  problem: why they are missing, or do not fit the weights;
    "" if nothing is wrong.
    has_metres: False if distances must not be published, because the camera was known and is not any more.
    """

    info: CameraInfo | None
    intrinsics: CameraIntrinsics | None
    problem: str = ""
    has_metres: bool = True


class CameraWatch:
    """Camera info of one topic; it outlasts deactivations, so that a latched message needs to arrive only once.

    Attributes:
        topic: of the camera info.
        info: the newest message; None before the first.
        adapted: the camera that the weights were adapted to; None if they are for any camera.
    """

    def __init__(self, topic: str, logger: RcutilsLogger) -> None:
        """topic: of the camera info, for messages."""
        self.info: CameraInfo | None = None
        self.adapted: AdaptedCamera | None = None
        self.topic = topic
        self._logger = logger
        self._first_image: float | None = None
        self._size: tuple[int, int] | None = None
        self._intrinsics: CameraIntrinsics | None = None

    def match(self, width: int, height: int, frame_id: str, rectified: bool = False) -> Camera:
        """The camera of an image; changes are logged.  rectified: whether the image is."""
        if self._size not in (None, (width, height)):
            self._logger.info(f"the image size changes to {width}x{height}", **THROTTLED)
        self._size = width, height
        if self.info is None and self._is_early():
            return Camera(None, None)
        try:
            info, intrinsics = self._usable(width, height, frame_id, rectified)
        except UserError as error:
            consequence = _NEVER_KNOWN if self._intrinsics is None else _KNOWN_BEFORE
            return Camera(None, None, f"{error}; {consequence}", has_metres=self._intrinsics is None)
        if intrinsics != self._intrinsics:
            self._intrinsics = intrinsics
            size, focal = f"{width}x{height}", f"{intrinsics.fx:.1f} x {intrinsics.fy:.1f}"
            self._logger.info(f"camera of {self.topic}: {size}, focal length {focal} pixels", **THROTTLED)
            if intrinsics.distortion is not None:
                self._warn_of_distortion(intrinsics.distortion.model, pinhole_error(info, intrinsics))
        return Camera(info, intrinsics, self._difference_from_adapted(intrinsics))

    def _difference_from_adapted(self, camera: CameraIntrinsics) -> str:
        """How a camera differs from the one that the weights were adapted to, or ""."""
        adapted = self.adapted
        if adapted is None:
            return ""
        same_size = (camera.width, camera.height) == (adapted.width, adapted.height)
        if same_size and abs(camera.fy / adapted.focal_length - 1) <= _FOCAL_TOLERANCE:
            return ""
        return (
            f"the weights were adapted to another camera: {adapted.width}x{adapted.height} with a focal length of"
            f" {adapted.focal_length:.1f} pixels, {self.topic} has {camera.width}x{camera.height} and {camera.fy:.1f};"
            f" distances may be wrong"
        )

    def _is_early(self) -> bool:
        now = time.monotonic()
        self._first_image = self._first_image or now
        return now - self._first_image < EARLY_SECONDS

    def _warn_of_distortion(self, model: str, error: float) -> None:
        """error: of depth_image_proc, at a depth of 1."""
        self._logger.warning(
            f"the image is not rectified ({self.topic}: {model}): positions, markers and points allow for that, but"
            f" depth/image is distorted like the image, and depth_image_proc would place points at its edge, 10 m"
            f" ahead, {10 * error:.1f} m away from where they are; use points, or subscribe to the rectified image"
            f" (if this image is rectified, set the parameter rectified to true)",
            **THROTTLED,
        )

    def _usable(self, width: int, height: int, frame_id: str, rectified: bool) -> tuple[CameraInfo, CameraIntrinsics]:
        info = self.info
        if info is None:
            raise UserError(f"no camera info on {self.topic}")
        found = info.header.frame_id
        if found and frame_id and found != frame_id:
            raise UserError(
                f"camera info of {self.topic}: frame: expected {frame_id[:80]!r} as the image has, found {found[:80]!r}"
            )
        try:
            return info, intrinsics_of(info, width, height, rectified)
        except UserError as error:
            raise UserError(f"camera info of {self.topic}: {error}") from error
