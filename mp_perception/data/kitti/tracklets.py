"""Tracklets of raw drives (tracklet_labels.xml): 3D boxes of all objects in the lidar's frame, frame by frame.

Their labels have the 2D box that encloses the projected 3D box, which is a little larger than one drawn by hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import numpy as np
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from mp_perception.arrays import Matrix
from mp_perception.data.object_label import IGNORED_REGION, Box3D, ObjectLabel
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics, box_areas, clip_boxes

#: KITTI's largest file has some 6 MB.
MAX_FILE_BYTES = 100_000_000

#: Edges nearer to the camera than this, metres, are cut before they are projected.
NEAR_PLANE = 0.1

#: Class name in the tracklets -> in the object data.
_CLASS_NAMES = {"Person (sitting)": "Person_sitting"}

#: A more truncated object becomes an ignored region, because its projected box is not meaningful.
MAX_TRUNCATION = 0.95

#: Corners (8, 3) of a box of length, width and height 1 around the centre of its bottom, and the twelve pairs of
#: corners that edges join: those that differ in one coordinate.
_UNIT_CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0.0, 1.0)])
_EDGES = np.array([(i, i + step) for step in (1, 2, 4) for i in range(8) if not i & step])


@dataclass(frozen=True)
class TrackedBox:
    """A 3D box of one object in one frame, in the lidar's frame (x forward, y left, z up), metres.

    class_name: as in the object data.  dimensions: height, width, length.  location: centre of the bottom.
    yaw: about z, radians.  occlusion: 0 visible, 1 partly, 2 largely occluded, None unknown.
    identity: the same number in all frames; None unknown.
    """

    class_name: str
    dimensions: tuple[float, float, float]
    location: tuple[float, float, float]
    yaw: float
    occlusion: int | None = None
    identity: int | None = None


def read_tracklets(path: Path) -> dict[int, list[TrackedBox]]:
    """Frame number -> its boxes.

    Raises UserError if the file is missing, larger than MAX_FILE_BYTES, not XML, defines XML entities, or lacks values.
    """
    try:
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            raise UserError(f"{path}: expected tracklets of at most {MAX_FILE_BYTES} bytes, found {size}")
        root = fromstring(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read as tracklets ({error.strerror})") from None
    # ValueError and LookupError: the file names an encoding that cannot be read.
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise UserError(f"{path}: cannot be read as tracklets ({error})") from None
    tracklets = root.find("tracklets")
    if tracklets is None:
        raise UserError(f"{path}: expected an element <tracklets>, found <{root.tag}> without one")
    frames: dict[int, list[TrackedBox]] = {}
    for number, tracklet in enumerate(tracklets.findall("item"), start=1):
        for frame, box in _boxes(tracklet, number, f"{path}: tracklet {number}"):
            frames.setdefault(frame, []).append(box)
    return frames


def tracked_labels(
    boxes: Sequence[TrackedBox], lidar_to_camera: Matrix, label_to_camera: Matrix, intrinsics: CameraIntrinsics
) -> list[ObjectLabel]:
    """The labels of the boxes that a camera's image shows.

    The truncation is the fraction of the projected box outside the image.
    lidar_to_camera, label_to_camera: (4, 4), into the camera's optical frame.  intrinsics: of the camera's image.
    """
    lidar_to_label = np.linalg.inv(label_to_camera) @ lidar_to_camera
    labels = []
    for box in boxes:
        edges = _edges_in_camera(box, lidar_to_camera)
        if len(edges) == 0:
            continue
        points = intrinsics.project(edges)
        whole = np.concatenate([points.min(axis=0), points.max(axis=0)])[None]
        inside = clip_boxes(whole, intrinsics.width, intrinsics.height)
        if box_areas(inside)[0] <= 0:
            continue
        x1, y1, x2, y2 = (float(edge) for edge in inside[0])
        truncation = float(1 - box_areas(inside)[0] / box_areas(whole)[0])
        if truncation > MAX_TRUNCATION:
            labels.append(ObjectLabel(IGNORED_REGION, (x1, y1, x2, y2)))
        else:
            box_3d = _box_in_label_frame(box, lidar_to_label)
            labels.append(
                ObjectLabel(box.class_name, (x1, y1, x2, y2), truncation, box.occlusion, box_3d, box.identity)
            )
    return labels


def _box_in_label_frame(box: TrackedBox, lidar_to_label: Matrix) -> Box3D:
    x, y, z = (float(value) for value in (lidar_to_label @ [*box.location, 1])[:3])
    length_axis = lidar_to_label[:3, :3] @ [math.cos(box.yaw), math.sin(box.yaw), 0]
    return Box3D((x, y, z), box.dimensions, math.atan2(-length_axis[2], length_axis[0]))


def _edges_in_camera(box: TrackedBox, lidar_to_camera: Matrix) -> Matrix:
    """Both ends (n, 3) of the box's edges in the camera's frame, of their parts in front of the near plane."""
    height, width, length = box.dimensions
    cosine, sine = math.cos(box.yaw), math.sin(box.yaw)
    rotation = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    corners = (_UNIT_CORNERS * [length, width, height]) @ rotation.T + np.array(box.location)
    corners = corners @ lidar_to_camera[:3, :3].T + lidar_to_camera[:3, 3]
    starts, ends = corners[_EDGES[:, 0]], corners[_EDGES[:, 1]]
    visible = (starts[:, 2] > NEAR_PLANE) | (ends[:, 2] > NEAR_PLANE)
    starts, ends = starts[visible], ends[visible]
    return np.concatenate([_cut(starts, ends), _cut(ends, starts)])


def _cut(points: Matrix, others: Matrix) -> Matrix:
    """The points (N, 3), those behind the near plane moved along their edge to where it crosses the plane."""
    behind = points[:, 2] < NEAR_PLANE
    cut = points.copy()
    fraction = (NEAR_PLANE - points[behind, 2]) / (others[behind, 2] - points[behind, 2])
    cut[behind] += fraction[:, None] * (others[behind] - points[behind])
    return cut


def _boxes(tracklet: Any, identity: int, where: str) -> Iterator[tuple[int, TrackedBox]]:
    name = tracklet.findtext("objectType")
    if not name:
        raise UserError(f"{where}: expected an <objectType>, found none")
    height, width, length = (_number(tracklet, key, where) for key in ("h", "w", "l"))
    if min(height, width, length) <= 0:
        raise UserError(f"{where}: expected positive dimensions, found {height:g} {width:g} {length:g}")
    first = int(_number(tracklet, "first_frame", where))
    for frame, pose in enumerate(tracklet.findall("poses/item"), start=first):
        x, y, z, yaw, occlusion = (
            _number(pose, key, f"{where}, frame {frame}") for key in ("tx", "ty", "tz", "rz", "occlusion")
        )
        known = int(occlusion) if int(occlusion) in (0, 1, 2) else None
        yield frame, TrackedBox(_CLASS_NAMES.get(name, name), (height, width, length), (x, y, z), yaw, known, identity)


def _number(element: Any, key: str, where: str) -> float:
    text = element.findtext(key)
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{where}: expected a number in <{key}>, found {text!r}")
    return value
