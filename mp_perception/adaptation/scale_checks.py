"""Whether recorded depth is in metres: against heights that are known.

Images tell no scale.  What does: the floor is 0.1 to 3 m below most cameras, and cars have a known height.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import DepthMap
from mp_perception.data.frame_sets import FrameSet
from mp_perception.data.samples import Sample
from mp_perception.geometry import CameraIntrinsics
from mp_perception.inference.predictor import Predictor

#: Heights of a camera above the floor, metres, of robots, people and cars.
_CAMERA_HEIGHTS = (0.05, 2.8)
#: Mean heights in KITTI's labels, metres, and the factors by which the median of several may differ.  Not of people:
#: indoors, the default weights take all kinds of things for them.
_OBJECT_HEIGHTS = {"Car": 1.53, "Van": 2.21}
_HEIGHT_RATIOS = (0.6, 1.7)
_MIN_OBJECTS = 5
#: Depth of the default weights / recorded depth: 1.0 to 4.7 on cameras of cars, people and robots.
_NETWORK_RATIOS = (0.4, 9.0)
#: Points of a frame, planes through three of them that are tried, and the smallest fraction of the points on a floor.
_POINTS, _PLANES, _MIN_FLOOR = 1500, 200, 0.15
#: Cosine of the largest angle between the image's vertical and the floor's normal.
_UPRIGHT = 0.7


def doubts_of_scale(frames: FrameSet, indices: Sequence[int], predictor: Predictor | None) -> Iterator[str]:
    """What speaks against metres, in some of the frames.  predictor: with the default weights."""
    heights, sizes, ratios = [], [], []
    for index in indices:
        sample = frames[index]
        if sample.depth is None or sample.intrinsics is None:
            continue
        heights.append(floor_distance(sample.depth, sample.intrinsics))
        if predictor is not None:
            prediction = predictor.predict(sample.image, sample.intrinsics)
            of_pixels = prediction.depth / sample.depth
            comparable = of_pixels[np.isfinite(of_pixels)]
            ratios.append(float(np.median(comparable)) if len(comparable) else np.nan)
            found = prediction.detections
            seen = [(found.name(number), found.boxes[number]) for number in range(len(found))]
            sizes += object_size_ratios(sample, seen)
    height = _median(heights, at_least=3)
    if height is not None and not _CAMERA_HEIGHTS[0] <= height <= _CAMERA_HEIGHTS[1]:
        low, high = _CAMERA_HEIGHTS
        yield f"the floor is {height:.2g} m below the camera: expected {low:g} to {high:g} m"
    size = _median(sizes, at_least=_MIN_OBJECTS)
    if size is not None and not _HEIGHT_RATIOS[0] <= size <= _HEIGHT_RATIOS[1]:
        yield f"{len(sizes)} cars are {size:.2g} times as high as usual"
    ratio = _median(ratios, at_least=3)
    if ratio is not None and not _NETWORK_RATIOS[0] <= ratio <= _NETWORK_RATIOS[1]:
        low, high = _NETWORK_RATIOS
        yield f"the network sees {ratio:.2g} times the depth: expected {low:g} to {high:g} times"


def floor_distance(depth: DepthMap, camera: CameraIntrinsics) -> float:
    """Distance of a camera from the floor, metres; NaN if the depth map (H, W) shows none.

    The floor is the plane with most points that is roughly below the camera and has hardly anything beneath it.
    """
    random = np.random.default_rng(0)
    rows, columns = np.nonzero(np.isfinite(depth))
    if len(rows) < 100:
        return float("nan")
    chosen = random.choice(len(rows), min(_POINTS, len(rows)), replace=False)
    rows, columns = rows[chosen], columns[chosen]
    points = camera.unproject(np.column_stack([columns + 0.5, rows + 0.5]), depth[rows, columns])
    points = points[np.isfinite(points).all(axis=1)]
    corners = points[random.integers(0, len(points), (_PLANES, 3))]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1)
    normals, corners = normals[lengths > 0] / lengths[lengths > 0, None], corners[lengths > 0]
    normals *= np.sign(normals[:, 1:2])
    distances = np.sum(normals * corners[:, 0], axis=1)
    usable = (normals[:, 1] > _UPRIGHT) & (distances > 0)
    if not usable.any():
        return float("nan")
    normals, distances = normals[usable], distances[usable]
    beneath = (points @ normals.T - distances) / points[:, 2:]
    on_plane = np.mean(np.abs(beneath) < 0.02, axis=0)
    on_plane[np.mean(beneath > 0.05, axis=0) > 0.03] = 0
    best = int(np.argmax(on_plane))
    return float(distances[best]) if on_plane[best] >= _MIN_FLOOR else float("nan")


def object_size_ratios(sample: Sample, objects: Sequence[tuple[str, NDArray[np.float32]]]) -> list[float]:
    """Height by the recorded depth / usual height, of objects (class, box x1 y1 x2 y2) that are wholly in the image."""
    depth, camera, (height, width) = sample.depth, sample.intrinsics, sample.size
    assert depth is not None
    assert camera is not None
    ratios = []
    for name, (left, top, right, bottom) in objects:
        if name not in _OBJECT_HEIGHTS or min(left, top) < 2 or right > width - 2 or bottom > height - 2:
            continue
        quarter = (right - left) / 4, (bottom - top) / 4
        core = depth[
            int(top + quarter[1]) : int(bottom - quarter[1]) + 1, int(left + quarter[0]) : int(right - quarter[0]) + 1
        ]
        if np.isfinite(core).any():
            ratios.append(float(bottom - top) / camera.fy * float(np.nanmedian(core)) / _OBJECT_HEIGHTS[name])
    return ratios


def _median(values: Sequence[float], at_least: int) -> float | None:
    """Of the known values; None if they are too few."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.median(known)) if len(known) >= at_least else None
