"""What is known of the objects around the camera after an image: `Tracks`, plain NumPy as `Detections` are."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import Floats
from mp_perception.tracking.trails import Trails

#: A contact within this time is shown to people, seconds.
_NEAR_CONTACT = 10.0


@dataclass(frozen=True)
class Tracks:
    """N objects that were seen in several images, sorted by id.

    Positions and velocities are those of the visible surface in the middle of the object's box, in the frame that the
    tracks are formed in: the fixed frame that the camera's poses refer to, or without poses the camera's optical frame,
    in which the camera's own motion is part of every velocity.

    Attributes:
        ids: (N,) int64 from 1, never used again for another object.
        labels: (N,) int64, indices into class_names: the class that most detections of the object had.
        scores: (N,) 0..1, of the object's detections so far; falls while it is not seen.
        boxes: (N, 4) x1 y1 x2 y2, pixels of the image: where the object was predicted and, if it was seen, detected.
        positions: (N, 3) metres; NaN until a distance was measured.  Without intrinsics x and y are NaN.
        velocities: (N, 3) metres per second; NaN as positions are.
        covariances: (N, 6, 6) of positions and velocities.
        seen: (N,) bool, whether a detection of this image belongs to the track; otherwise the track is predicted.
        ages: (N,) seconds since the object was first seen.
        detection_ids: (M,) int64, for each of the image's detections the id of its track, 0 for none.
        class_names: the network's classes.
        camera_pose: (4, 4), from the camera's optical frame to the frame of the tracks.
        camera_velocity: (3,) metres per second in that frame.
        trails: where they have been, in the frame of the tracks.
        restart: why all earlier tracks were dropped before this image; empty if they were not.
    """

    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    scores: Floats
    boxes: Floats
    positions: Floats
    velocities: Floats
    covariances: Floats
    seen: NDArray[np.bool_]
    ages: Floats
    detection_ids: NDArray[np.int64]
    class_names: tuple[str, ...]
    camera_pose: Floats
    camera_velocity: Floats
    trails: Trails = field(default_factory=Trails)
    restart: str = ""

    def __len__(self) -> int:
        return len(self.ids)

    def name(self, index: int) -> str:
        """Class name of track number `index`."""
        return self.class_names[int(self.labels[index])]

    @cached_property
    def depths(self) -> Floats:
        """(N,) metres along the optical axis, as `Detections.depth`."""
        return self._offsets @ self.camera_pose[:3, 2]

    @cached_property
    def depth_stds(self) -> Floats:
        """(N,) metres, standard deviation of `depths`."""
        axis = self.camera_pose[:3, 2]
        return np.asarray(np.sqrt(axis @ self.covariances[:, :3, :3] @ axis))

    @cached_property
    def distances(self) -> Floats:
        """(N,) metres from the camera; the depth where x and y are unknown."""
        return np.asarray(np.linalg.norm(self._offsets, axis=1))

    @cached_property
    def distance_stds(self) -> Floats:
        """(N,) metres, standard deviation of `distances`."""
        return self._std(self._directions, np.zeros_like(self._directions))

    @cached_property
    def closing_speeds(self) -> Floats:
        """(N,) metres per second by which the distance to the camera shrinks; negative if it grows."""
        return np.asarray(-np.sum(self._directions * self._relative_velocities, axis=1))

    @cached_property
    def closing_speed_stds(self) -> Floats:
        """(N,) metres per second, standard deviation of `closing_speeds`."""
        return self._std(self._speed_gradient, -self._directions)

    @cached_property
    def times_to_contact(self) -> Floats:
        """(N,) seconds until the object reaches the camera at its present closing speed; +Inf if it does not near."""
        nears = self.closing_speeds > 0
        times = np.divide(self.distances, self.closing_speeds, out=np.full(len(self), np.inf), where=nears)
        return np.where(np.isnan(self.distances), np.nan, times)

    @cached_property
    def time_to_contact_stds(self) -> Floats:
        """(N,) seconds, standard deviation of `times_to_contact` to first order; +Inf where these are infinite.

        Distance and speed share the error of their scale, so the time is better known than either of them.
        """
        times = self.times_to_contact
        finite = np.isfinite(times)
        time, speed = np.where(finite, times, 0.0)[:, None], np.where(finite, self.closing_speeds, 1.0)[:, None]
        # d(distance / speed) = (d distance - time * d speed) / speed
        stds = self._std((self._directions - time * self._speed_gradient) / speed, time * self._directions / speed)
        return np.where(finite, stds, times)

    @cached_property
    def contact_is_near(self) -> NDArray[np.bool_]:
        """(N,) whether the object very probably reaches the camera within some seconds, at two standard deviations."""
        return np.asarray(self.times_to_contact + 2 * self.time_to_contact_stds <= _NEAR_CONTACT)

    @cached_property
    def _offsets(self) -> Floats:
        """(N, 3) from the camera to the object; unknown x and y as 0."""
        offsets = self.positions - self.camera_pose[:3, 3]
        offsets[:, :2][np.isnan(offsets[:, :2])] = 0.0
        return offsets

    @cached_property
    def _relative_velocities(self) -> Floats:
        velocities = self.velocities - self.camera_velocity
        velocities[:, :2][np.isnan(velocities[:, :2])] = 0.0
        return velocities

    @cached_property
    def _directions(self) -> Floats:
        """(N, 3) unit vectors from the camera to the object."""
        return np.asarray(self._offsets / np.maximum(self.distances, 1e-6)[:, None])

    @cached_property
    def _speed_gradient(self) -> Floats:
        """(N, 3) derivative of the closing speed by the position."""
        across = self._relative_velocities + self.closing_speeds[:, None] * self._directions
        return np.asarray(-across / np.maximum(self.distances, 1e-6)[:, None])

    def _std(self, by_position: Floats, by_velocity: Floats) -> Floats:
        """Standard deviations (N,) of quantities with these derivatives (N, 3)."""
        gradient = np.concatenate([by_position, by_velocity], axis=1)
        return np.asarray(np.sqrt(np.einsum("ni,nij,nj->n", gradient, self.covariances, gradient)))
