"""Tracking in the node: which frame tracks are formed in, and what happens when tf, stamps or the camera fail."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from rclpy.impl.rcutils_logger import RcutilsLogger
from std_msgs.msg import Header

from mp_perception.arrays import Matrix
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics
from mp_perception.messages.header import stamp_of
from mp_perception.prediction import Prediction
from mp_perception.ros.diagnostics import Statistics
from mp_perception.ros.node_main import THROTTLED
from mp_perception.ros.transforms import Transforms
from mp_perception.tracking.tracker import Tracker
from mp_perception.tracking.tracks import Tracks

#: A camera that moves faster by tf, metres per second, has not moved: its pose was corrected, or is wrong.
_MAX_CAMERA_SPEED = 100.0


@dataclass(frozen=True)
class TrackedObjects:
    """The tracks after an image.

    header: the image's stamp, and the frame that they are formed in.
    """

    tracks: Tracks
    header: Header


class ObjectTracking:
    """Forms tracks from the predictions of one camera; used by the worker thread."""

    def __init__(
        self,
        tracker: Tracker,
        odom_frame: str,
        transforms: Transforms,
        statistics: Statistics,
        logger: RcutilsLogger,
        topic: str,
    ) -> None:
        """Starts without tracks.

        Args:
            tracker: it outlasts deactivations, so that no id is used twice.
            odom_frame: the frame that tracks are formed in; "" for the camera's.
            transforms, statistics, logger: of the node.
            topic: of the images, for messages.
        """
        self._odom_frame = odom_frame
        self._transforms = transforms
        self._statistics = statistics
        self._logger = logger
        self._topic = topic
        self._tracker = tracker
        tracker.reset()
        self._announced = False
        self._num_tracks = 0
        self._frame = ""
        self._stamp = np.nan
        self._camera: Matrix = np.zeros(3)

    def prediction_threshold(self, score_threshold: float) -> float:
        """The minimum score of the detections to predict.  score_threshold: of those that begin tracks."""
        self._tracker.score_threshold = score_threshold
        return self._tracker.lowest_score

    def reset(self) -> None:
        """Drop all tracks, for example because tracking is off."""
        self._tracker.reset()

    def report(
        self, prediction: Prediction, header: Header, intrinsics: CameraIntrinsics | None
    ) -> tuple[Prediction, TrackedObjects | None]:
        """What to report of an image, and the tracks after it; None, with a warning, if they cannot be formed.

        Args:
            prediction: with the score threshold that `prediction_threshold` returns.
            header: of the image.
            intrinsics: of the image; without them tracks have no x and y, and are formed in the camera's frame.
        """
        try:
            stamp_ns = stamp_of(header)
            if stamp_ns <= 0:
                raise UserError("the stamps are not above zero")
            pose = None
            if self._odom_frame and intrinsics is not None:
                pose = self._transforms.lookup(self._odom_frame, header.frame_id, stamp_ns)
        except UserError as error:
            text = f"{self._topic}: no tracks: {error}"
            self._statistics.problem("images_without_tracks", text)
            self._logger.warning(text, **THROTTLED)
            found = prediction.detections.above(self._tracker.score_threshold)
            return replace(prediction, detections=found), None
        stamp = stamp_ns / 1e9
        frame_id = header.frame_id if pose is None else self._odom_frame
        if intrinsics is not None:
            self._announce(frame_id)
        reason = self._jump(frame_id, stamp, pose)
        if reason:
            self._tracker.reset()
        reported, tracks = self._tracker.report(prediction, stamp, intrinsics, pose)
        lost, self._num_tracks = self._num_tracks, len(tracks)
        if reason := reason or tracks.restart:
            tracks = replace(tracks, restart=reason)
            self._statistics.count("tracks_restarted")
            if lost:
                self._logger.warning(f"{self._topic}: tracks start anew, {lost} are lost: {reason}", **THROTTLED)
        return reported, TrackedObjects(tracks, Header(stamp=header.stamp, frame_id=frame_id))

    def _announce(self, frame_id: str) -> None:
        """Say once what velocities are relative to."""
        if self._announced:
            return
        self._announced = True
        motion = "by tf, so that the camera's own motion is not part of velocities"
        if not self._odom_frame:
            motion = "the camera's, so that its own motion is part of velocities (odom_frame is not set)"
        self._logger.info(f"tracks are formed in frame {frame_id!r}, {motion}")

    def _jump(self, frame_id: str, stamp: float, pose: Matrix | None) -> str:
        """Why the tracks so far are of another camera or place; "" if they are not."""
        frame, self._frame = self._frame, frame_id
        seconds, self._stamp = stamp - self._stamp, stamp
        camera, self._camera = self._camera, np.zeros(3) if pose is None else pose[:3, 3]
        if frame and frame != frame_id:
            return f"their frame changes from {frame!r} to {frame_id!r}"
        distance = float(np.linalg.norm(self._camera - camera))
        if seconds > 0 and distance > 1.0 + _MAX_CAMERA_SPEED * seconds:
            return f"the camera has moved {distance:.3g} m in {seconds:.3g} s by tf"
        return ""
