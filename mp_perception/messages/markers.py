"""visualization_msgs: detections and tracks as markers for 3D views."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mp_perception.classes import class_color
from mp_perception.geometry import CameraIntrinsics, seen_sizes
from mp_perception.messages.header import Message, NewMessage
from mp_perception.messages.poses import pose_message, quaternion
from mp_perception.messages.tracks import track_extents
from mp_perception.prediction import Detections
from mp_perception.tracking.tracks import Tracks

#: Lifetime, seconds: the objects of a node that has stopped disappear.
_LIFETIME = 1
_TEXT_HEIGHT = 0.6
#: Minimum thickness of a detection's box, metres.
_MIN_THICKNESS = 0.1
#: An arrow shows where the object is after this time, seconds.
_ARROW_SECONDS = 1.0
#: Diameters of an arrow's shaft and head, and length of its head, metres.
_ARROW_SCALE = (0.15, 0.35, 0.4)
_TRAIL_WIDTH = 0.06
#: Slower objects have no arrow, metres per second: their direction is noise.
_MIN_SPEED = 0.5
#: Opacity of the box of an object that was seen, and of one that is predicted.
_SEEN, _PREDICTED = 0.5, 0.2
# visualization_msgs/Marker
_ARROW, _CUBE, _LINE_STRIP, _TEXT_VIEW_FACING, _DELETEALL = 0, 1, 4, 9, 3


def markers_message(
    new: NewMessage, detections: Detections, intrinsics: CameraIntrinsics | None, header: Message
) -> Message:
    """MarkerArray in the optical frame that replaces all earlier markers: a box and a text per object.

    A box is as wide and high as the object appears at its depth, and two standard deviations of its depth thick.
    Objects without a position (without camera info or depth) are left out.
    """
    markers = [new("visualization_msgs/msg/Marker", header=header, action=_DELETEALL)]
    if intrinsics is not None:
        sizes = seen_sizes(detections.boxes, detections.depth, intrinsics)
        for i in np.flatnonzero(np.isfinite(detections.position).all(axis=1) & np.isfinite(sizes).all(axis=1)):
            markers += _object_markers(new, detections, int(i), sizes[i].tolist(), header)
    return new("visualization_msgs/msg/MarkerArray", markers=markers)


def track_markers_message(new: NewMessage, tracks: Tracks, intrinsics: CameraIntrinsics, header: Message) -> Message:
    """MarkerArray that replaces all earlier markers: per track a box, a text, an arrow if it moves, and its trail.

    Args:
        intrinsics: of the image.
        header: the image's stamp, and the frame that the tracks are formed in.
    """
    markers = [new("visualization_msgs/msg/Marker", header=header, action=_DELETEALL)]
    for i, (centre, size) in track_extents(tracks, intrinsics).items():
        markers += _track_markers(new, tracks, i, centre, size, header)
    return new("visualization_msgs/msg/MarkerArray", markers=markers)


def _object_markers(
    new: NewMessage, detections: Detections, i: int, size: Sequence[float], header: Message
) -> list[Message]:
    x, y, z = detections.position[i].tolist()
    width, height = size
    thickness = max(2 * float(detections.depth_std[i]), _MIN_THICKNESS)
    name = detections.name(i)
    marker = partial(_marker, new, header, i, name)
    return [
        marker("boxes", _CUBE, (width, height, thickness), _SEEN, pose=pose_message(new, (x, y, z))),
        marker(
            "texts",
            _TEXT_VIEW_FACING,
            (0.0, 0.0, _TEXT_HEIGHT),
            pose=pose_message(new, (x, y - height / 2 - _TEXT_HEIGHT, z)),
            text=f"{name} {z:.1f} m",
        ),
    ]


def _track_markers(
    new: NewMessage,
    tracks: Tracks,
    i: int,
    centre: NDArray[np.float64],
    size: NDArray[np.float64],
    header: Message,
) -> list[Message]:
    up = -tracks.camera_pose[:3, 1]
    above = centre + up * (size[1] / 2 + 1.5 * _TEXT_HEIGHT)
    box_pose = pose_message(new, centre.tolist(), quaternion(tracks.camera_pose[:3, :3]).tolist())
    marker = partial(_marker, new, header, int(tracks.ids[i] % 2**31), tracks.name(i))
    found = [
        marker("boxes", _CUBE, size.tolist(), _SEEN if tracks.seen[i] else _PREDICTED, pose=box_pose),
        marker(
            "texts",
            _TEXT_VIEW_FACING,
            (0.0, 0.0, _TEXT_HEIGHT),
            pose=pose_message(new, above.tolist()),
            text=_track_text(tracks, i),
        ),
    ]
    if np.linalg.norm(tracks.velocities[i]) >= _MIN_SPEED:
        ends = np.stack([centre, centre + _ARROW_SECONDS * tracks.velocities[i]])
        found.append(marker("velocities", _ARROW, _ARROW_SCALE, points=_points(new, ends)))
    trail = tracks.trails[int(tracks.ids[i])]
    trail = trail[np.isfinite(trail).all(axis=1)]
    if len(trail) > 1:
        found.append(marker("trails", _LINE_STRIP, (_TRAIL_WIDTH, 0.0, 0.0), points=_points(new, trail)))
    return found


def _track_text(tracks: Tracks, i: int) -> str:
    """Class, id, distance, speed and, for an object that approaches, time to contact of track number `i`."""
    text = f"{tracks.name(i)} {tracks.ids[i]}\n{tracks.distances[i]:.1f} m"
    if (speed := float(np.linalg.norm(tracks.velocities[i]))) >= _MIN_SPEED:
        text += f", {speed:.1f} m/s"
    if tracks.contact_is_near[i]:
        text += f", contact in {tracks.times_to_contact[i]:.1f} s"
    return text


def _marker(
    new: NewMessage,
    header: Message,
    number: int,
    class_name: str,
    namespace: str,
    kind: int,
    scale: Sequence[float],
    opacity: float = 1.0,
    **fields: Any,
) -> Message:
    """A marker in the colour of a class.  fields: others by name; without a pose the frame's origin."""
    x, y, z = scale
    red, green, blue = (channel / 255 for channel in class_color(class_name))
    return new(
        "visualization_msgs/msg/Marker",
        header=header,
        ns=namespace,
        id=number,
        type=kind,
        scale=new("geometry_msgs/msg/Vector3", x=x, y=y, z=z),
        color=new("std_msgs/msg/ColorRGBA", r=red, g=green, b=blue, a=opacity),
        lifetime=new("builtin_interfaces/msg/Duration", sec=_LIFETIME),
        **{"pose": pose_message(new, (0, 0, 0)), **fields},
    )


def _points(new: NewMessage, points: NDArray[np.float64]) -> list[Message]:
    return [new("geometry_msgs/msg/Point", x=x, y=y, z=z) for x, y, z in points.tolist()]
