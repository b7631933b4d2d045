"""One image with everything that is known about it: the type that data sets give and transforms change.

Classes that a data set does not label are not among the labelled classes, an unknown depth map is None, a single
unknown depth NaN; training uses each label where it exists.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import DepthMap, Integers, Mask, RgbImage
from mp_perception.geometry import CameraIntrinsics

Boxes = NDArray[np.float32]


def no_boxes() -> Boxes:
    """Boxes (0, 4)."""
    return np.zeros((0, 4), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Sample:
    """An image with its N objects of C classes.

    Attributes:
        name: unique within its data set, such as "000123".
        origin: the data set's name in the registry.
        image: (H, W, 3) uint8 RGB.
        class_names: the C classes that labels index.
        labelled_classes: (C,) bool; where false, objects of the class are unknown, not background.  Default: all false.
        boxes: (N, 4) float32 x1 y1 x2 y2 pixels within the image.
        labels: (N,) int64 indices into class_names.
        object_depths: (N,) float32 metres along the optical axis, NaN where unknown: the surface of the object that
            the camera sees in the middle of its box.  A weak target: it is computed from labelled 3D boxes.
        exact: (N,) bool, whether a box follows the convention that the network shall learn.  Sets differ: KITTI's
            boxes enclose the projected 3D box of an object, others enclose its visible part.
        ignored: (M, 4) float32 regions whose objects are unknown: labelled as such, of similar classes, or cut to a
            sliver.
        depth: (H, W) float32 metres along the optical axis, NaN where unknown, or None.
        intrinsics: of this image, or None if the camera is not known.

    Raises:
        ValueError: shapes or types do not match.

    Examples:
        >>> sample = Sample(
        ...     name="000123",
        ...     origin="my_frames",
        ...     image=np.zeros((375, 1242, 3), np.uint8),
        ...     class_names=("Car", "Pedestrian"),
        ...     labelled_classes=np.array([True, False]),
        ...     boxes=np.array([[10, 20, 110, 80]], np.float32),
        ...     labels=np.array([0]),
        ...     object_depths=np.array([12.5], np.float32),
        ...     exact=np.array([True]),
        ... )
        >>> sample.size, sample.depth is None
        ((375, 1242), True)
    """

    name: str
    origin: str
    image: RgbImage
    class_names: tuple[str, ...]
    labelled_classes: Mask = field(default_factory=lambda: np.zeros(0, dtype=bool))
    boxes: Boxes = field(default_factory=no_boxes)
    labels: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    object_depths: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    exact: Mask = field(default_factory=lambda: np.zeros(0, dtype=bool))
    ignored: Boxes = field(default_factory=no_boxes)
    depth: DepthMap | None = None
    intrinsics: CameraIntrinsics | None = None

    def __post_init__(self) -> None:
        if len(self.labelled_classes) == 0:
            object.__setattr__(self, "labelled_classes", np.zeros(len(self.class_names), dtype=bool))
        count = len(self.boxes)
        _check(self.image, "image", (*self.size, 3), np.uint8)
        _check(self.labelled_classes, "labelled_classes", (len(self.class_names),), np.bool_)
        _check(self.boxes, "boxes", (count, 4), np.float32)
        _check(self.labels, "labels", (count,), np.int64)
        _check(self.object_depths, "object_depths", (count,), np.float32)
        _check(self.exact, "exact", (count,), np.bool_)
        _check(self.ignored, "ignored", (len(self.ignored), 4), np.float32)
        if not self.labelled_classes[self.labels].all():
            raise ValueError(f"{self.name}: found an object of a class that is not among the labelled ones")
        if self.depth is not None:
            _check(self.depth, "depth", self.size, np.float32)
        if self.intrinsics is not None and (self.intrinsics.height, self.intrinsics.width) != self.size:
            raise ValueError(f"{self.name}: an image of {self.size} does not fit {self.intrinsics}")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image, pixels."""
        return self.image.shape[0], self.image.shape[1]


def _check(array: NDArray[np.generic], what: str, shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"expected {what} {shape} {np.dtype(dtype)}, found {array.shape} {array.dtype}")
