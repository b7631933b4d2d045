"""The prediction of a network for one image: plain NumPy, without torch or ROS.

`Prediction` is the central type: commands write it, the node publishes it, evaluation scores it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Detections:
    """N objects in one image, highest score first.

    Attributes:
        boxes: (N, 4) float32 x1 y1 x2 y2, pixels of the input image, edges continuous (pixel i covers [i, i + 1)).
        scores: (N,) float32, 0..1.
        labels: (N,) int64, indices into class_names.
        depth: (N,) float32 metres along the optical axis, NaN if the box holds no known depth.
        depth_std: (N,) float32 metres, standard deviation of depth: variation in the object and the network's
            error; NaN where depth is NaN.
        valid_fraction: (N,) float32, fraction of the box's core with known depth.
        position: (N, 3) float32 metres in the camera's optical frame (x right, y down, z forward); z equals depth, x
            and y are NaN without intrinsics.
        class_names: the network's classes, without the background.
        ids: (N,) int64, of the tracks, 0 for a detection without one; None where objects are not followed.

    Examples:
        >>> import numpy as np
        >>> detections = Detections(
        ...     boxes=np.array([[10, 20, 50, 60], [30, 30, 90, 70]], np.float32),
        ...     scores=np.array([0.9, 0.4], np.float32),
        ...     labels=np.array([0, 1]),
        ...     depth=np.array([12.5, np.nan], np.float32),
        ...     depth_std=np.array([0.5, np.nan], np.float32),
        ...     valid_fraction=np.array([1.0, 0.0], np.float32),
        ...     position=np.full((2, 3), np.nan, np.float32),
        ...     class_names=("Car", "Pedestrian"),
        ... )
        >>> near = detections[detections.depth < 20]
        >>> len(near), near.name(0)
        (1, 'Car')
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    depth: NDArray[np.float32]
    depth_std: NDArray[np.float32]
    valid_fraction: NDArray[np.float32]
    position: NDArray[np.float32]
    class_names: tuple[str, ...]
    ids: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, selection: NDArray[np.bool_] | NDArray[np.int64] | slice) -> Detections:
        """The detections selected by a mask, indices or a slice."""
        arrays: dict[str, Any] = {
            name: value[selection] for name, value in vars(self).items() if isinstance(value, np.ndarray)
        }
        return replace(self, **arrays)

    def above(self, score_threshold: float) -> Detections:
        """The detections of at least this score."""
        return self[self.scores >= score_threshold]

    def name(self, index: int) -> str:
        """Class name of detection number `index`."""
        return self.class_names[int(self.labels[index])]


@dataclass(frozen=True)
class Prediction:
    """Objects and depth of one image.

    Attributes:
        detections: the objects.
        network_depth: (h, w) float32 metres at the network's resolution, cropped to the image.  As in REP 117, +Inf
            means beyond the maximum depth (the sky, or a surface too far away), NaN unknown.
        image_size: (height, width) of the input image, pixels.
        timings: milliseconds by stage ("preprocess", "inference", "postprocess").
    """

    detections: Detections
    network_depth: NDArray[np.float32]
    image_size: tuple[int, int]
    timings: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def depth(self) -> NDArray[np.float32]:
        """(H, W) float32 metres at the input image's resolution, as network_depth; computed at first use."""
        height, width = self.image_size
        return resize_depth(self.network_depth, width, height)

    def without_distances(self) -> Prediction:
        """The same objects with unknown distance, and no valid depth: for a camera whose focal length is in doubt."""
        found = self.detections
        unknown = {name: np.full_like(getattr(found, name), np.nan) for name in ("depth", "depth_std", "position")}
        detections = replace(found, **unknown, valid_fraction=np.zeros_like(found.valid_fraction))
        return replace(self, detections=detections, network_depth=np.full_like(self.network_depth, np.nan))


def resize_depth(depth: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Depth (h, w), metres, resized to (height, width), bilinear with aligned pixel edges.

    A pixel is unknown (NaN) or beyond the range (+Inf) where the nearest one of `depth` is.  The others are
    interpolated between known depths only, so that no surface appears between an object and the sky behind it; an
    unknown one counts as the mean of its known neighbours.
    """
    size = (width, height)
    if depth.shape == (height, width):
        return depth
    known = np.isfinite(depth)
    if known.all():
        return np.asarray(cv2.resize(depth, size, interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    # At the small size, because every array of the large size costs more than all arithmetic here.
    window = np.ones((3, 3), np.float32)
    total = cv2.filter2D(np.where(known, depth, np.float32(0)), -1, window, borderType=cv2.BORDER_CONSTANT)
    count = cv2.filter2D(known.astype(np.float32), -1, window, borderType=cv2.BORDER_CONSTANT)
    filled = np.where(known, depth, total / np.maximum(count, 1)).astype(np.float32)
    resized = np.asarray(cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    beyond = np.isposinf(depth)
    for value, cells in ((np.inf, beyond), (np.nan, ~known & ~beyond)):
        if cells.any():
            mask = cv2.resize(cells.view(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT)
            np.putmask(resized, mask.view(np.bool_), value)
    return resized
