"""Tracks drawn into the image: box, id, class, distance, speed, time to contact, and where the object has been."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.classes import class_color
from mp_perception.geometry import CameraIntrinsics
from mp_perception.tracking.tracks import Tracks
from mp_perception.visualization.overlay import draw_boxes

#: Nearest depth at which a former position is drawn, metres.
_NEAREST = 0.5


def draw_tracks(canvas: NDArray[np.uint8], tracks: Tracks, intrinsics: CameraIntrinsics | None) -> None:
    """Draw into an RGB image (H, W, 3): boxes coloured by class, thin where an object is predicted but not seen.

    Args:
        canvas: the image.
        tracks: after the image.
        intrinsics: of the image; without them no trails are drawn.
    """
    if intrinsics is not None:
        for i in np.argsort(-np.nan_to_num(tracks.distances, nan=np.inf), kind="stable"):
            _draw_trail(canvas, tracks, i, intrinsics)
    texts = [track_texts(tracks, i) for i in range(len(tracks))]
    draw_boxes(canvas, tracks, tracks.distances, texts, tracks.seen)


def track_texts(tracks: Tracks, index: int) -> tuple[str, ...]:
    """The texts at a track's box, the longest first: id, class, distance, speed, time to contact.

    The speed is that in the frame of the tracks; the time is shown if the object comes near within some seconds.
    """
    distance, speed = tracks.distances[index], np.linalg.norm(tracks.velocities[index])
    time, name = tracks.times_to_contact[index], f"{tracks.ids[index]} {tracks.name(index)}"
    metres = f" {distance:.1f} m" if np.isfinite(distance) else ""
    motion = f" {speed:.1f} m/s" if np.isfinite(speed) else ""
    contact = f" {time:.1f} s" if tracks.contact_is_near[index] else ""
    return (f"{name}{metres}{motion}{contact}", f"{tracks.ids[index]}{metres}", str(tracks.ids[index]))


def _draw_trail(canvas: NDArray[np.uint8], tracks: Tracks, index: int, intrinsics: CameraIntrinsics) -> None:
    """A line through the former positions of a track, as the camera sees them now."""
    points = (tracks.trails[int(tracks.ids[index])] - tracks.camera_pose[:3, 3]) @ tracks.camera_pose[:3, :3]
    points = points[np.isfinite(points).all(axis=1)]
    points = points[points[:, 2] > _NEAREST]
    if len(points) < 2:
        return
    pixels = np.clip(intrinsics.project(points), -(2**14), 2**14)
    color = class_color(tracks.name(index))
    cv2.polylines(canvas, [np.round(pixels).astype(np.int32)], False, color, 2, cv2.LINE_AA)
