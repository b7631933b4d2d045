"""Tracks as messages: boxes in space (Detection3DArray), and the state of each (PointCloud2, a row per track).

Standard messages have no list of moving objects with covariances; a point cloud has named fields, and every consumer of
ROS reads it.  Tracks whose distance was never measured have no place in space and are left out of all messages.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mp_perception.geometry import CameraIntrinsics, seen_sizes
from mp_perception.messages.detections import (
    UNKNOWN_ANGLE,
    class_id,
    detection_3d_message,
    hypothesis_message,
    object_extent,
)
from mp_perception.messages.header import Message, NewMessage
from mp_perception.messages.points import table_message
from mp_perception.messages.poses import quaternion
from mp_perception.tracking.tracks import Tracks

#: The components of a state, in the order of `Tracks.covariances`.
_STATE = ("x", "y", "z", "vx", "vy", "vz")
#: Field of the point cloud -> attribute of Tracks.
_SCALARS = {
    "score": "scores",
    "age": "ages",
    "distance": "distances",
    "distance_std": "distance_stds",
    "closing_speed": "closing_speeds",
    "closing_speed_std": "closing_speed_stds",
    "time_to_contact": "times_to_contact",
    "time_to_contact_std": "time_to_contact_stds",
}
#: The upper triangle of the covariance, row by row.
_PAIRS = [(row, column) for row in range(6) for column in range(row, 6)]
#: One row of the point cloud.
STATE_LAYOUT = np.dtype(
    [
        *((name, "<f4") for name in _STATE),
        ("id", "<u4"),
        ("class_index", "<u2"),
        ("seen", "u1"),
        *((name, "<f4") for name in _SCALARS),
        *((f"cov_{_STATE[row]}_{_STATE[column]}", "<f4") for row, column in _PAIRS),
    ],
    align=True,
)
#: Minimum side of a box, metres: an object that leaves the image shows no width.
MIN_SIDE = 0.1


def tracks_message(
    new: NewMessage, tracks: Tracks, intrinsics: CameraIntrinsics, header: Message, class_id_format: str
) -> Message:
    """Detection3DArray of the tracks, also of those that were not seen in the image.

    As `detections_3d_message` has objects, but in the frame of the tracks: the axes of the boxes are the camera's.

    Args:
        intrinsics: of the image.
        header: the image's stamp, and the frame that the tracks are formed in.
        class_id_format: as for `detections_message`.
    """
    orientation = quaternion(tracks.camera_pose[:3, :3]).tolist()
    messages = []
    for i, (centre, size) in track_extents(tracks, intrinsics).items():
        covariance = np.diag([0.0, 0.0, 0.0, *[UNKNOWN_ANGLE] * 3])
        covariance[:3, :3] = tracks.covariances[i, :3, :3]
        name, score = class_id(tracks, i, class_id_format), float(tracks.scores[i])
        hypothesis = hypothesis_message(new, name, score, centre.tolist(), covariance, orientation)
        messages.append(detection_3d_message(new, header, size.tolist(), hypothesis, str(tracks.ids[i])))
    return new("vision_msgs/msg/Detection3DArray", header=header, detections=messages)


def track_states_message(new: NewMessage, tracks: Tracks, header: Message) -> Message:
    """PointCloud2 with one row of `STATE_LAYOUT` per track.

    x, y, z: position of the visible surface, metres.  vx, vy, vz: velocity, m/s.  cov_a_b: their covariances, in these
    units.  id: modulo 2**32.  class_index: number of the class in `label_info_message`.  seen: 1 if the track was seen
    in the image, 0 if it is predicted.  The others are the attributes of `Tracks` of similar names.

    Args:
        header: the image's stamp, and the frame that the tracks are formed in.
    """
    placed = np.isfinite(tracks.positions).all(axis=1)
    table = np.zeros((1, int(placed.sum())), STATE_LAYOUT)
    row = table[0]
    states = np.concatenate([tracks.positions, tracks.velocities], axis=1)[placed]
    for column, name in enumerate(_STATE):
        row[name] = states[:, column]
    row["id"] = tracks.ids[placed] % 2**32
    row["class_index"], row["seen"] = tracks.labels[placed], tracks.seen[placed]
    for name, attribute in _SCALARS.items():
        row[name] = getattr(tracks, attribute)[placed]
    for first, second in _PAIRS:
        row[f"cov_{_STATE[first]}_{_STATE[second]}"] = tracks.covariances[placed, first, second]
    return table_message(new, table, header, is_dense=False)


def track_extents(
    tracks: Tracks, intrinsics: CameraIntrinsics
) -> dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Index of each track with a position in front of the camera -> its centre (3,) and size (3,), metres.

    The centre is in the frame of the tracks, the size along the camera's axes; as `object_extent`.
    """
    rotation, camera = tracks.camera_pose[:3, :3], tracks.camera_pose[:3, 3]
    surfaces = (tracks.positions - camera) @ rotation
    sizes = np.maximum(seen_sizes(tracks.boxes, surfaces[:, 2], intrinsics), MIN_SIDE)
    extents = {}
    for i in np.flatnonzero(np.isfinite(surfaces).all(axis=1) & (surfaces[:, 2] > 0) & np.isfinite(sizes).all(axis=1)):
        centre, size = object_extent(tracks.name(i), surfaces[i], sizes[i])
        extents[int(i)] = (rotation @ centre + camera, size)
    return extents
