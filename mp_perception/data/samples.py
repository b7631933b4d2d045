"""One image with everything that is known about it: the type that data sets give and transforms change.

What a data set does not label is None (no boxes at all, no depth map), NaN (single depths) or not among the labelled
classes; the training takes each label where it exists.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mp_perception.geometry import CameraIntrinsics

Boxes = NDArray[np.float32]


def no_boxes() -> Boxes:
    """Boxes (0, 4)."""
    return np.zeros((0, 4), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Sample:
    """An image with its labels.

    name: unique within its data set, such as "000123".  origin: the data set's name in the registry.
    image: (H, W, 3) uint8 RGB.
    class_names: the C classes that labels count.
    boxes: (N, 4) float32 x1 y1 x2 y2 pixels within the image, or None if nobody looked for objects.
    labels: (N,) int64 indices into class_names, or None with boxes.
    object_depths: (N,) float32 metres along the optical axis, or None with boxes: the surface of the object that the
    camera sees in the middle of its box, NaN where unknown.  A weak target: it comes from labelled 3D boxes.
    exact: (N,) bool, whether a box is drawn as the network shall draw it; without, all are.  Sets differ: KITTI's
    boxes hold the projected 3D box of an object, others cling to what is seen of it.
    ignored: (M, 4) float32 regions whose objects are unknown: labelled as such, neighbour classes, or cut to a sliver.
    labelled_classes: (C,) bool; where false, objects of the class are unknown, not background.
    depth: (H, W) float32 metres along the optical axis, NaN where unknown, or None.
    intrinsics: of this image, or None if no camera is known.
    Raises ValueError if shapes or types do not fit together.
    """

    name: str
    origin: str
    image: NDArray[np.uint8]
    class_names: tuple[str, ...]
    boxes: Boxes | None = None
    labels: NDArray[np.int64] | None = None
    object_depths: NDArray[np.float32] | None = None
    exact: NDArray[np.bool_] | None = None
    ignored: Boxes = field(default_factory=no_boxes)
    labelled_classes: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    depth: NDArray[np.float32] | None = None
    intrinsics: CameraIntrinsics | None = None

    def __post_init__(self) -> None:
        if self.boxes is None and len(self.labelled_classes) == 0:
            object.__setattr__(self, "labelled_classes", np.zeros(len(self.class_names), dtype=bool))
        _check(self.image, "image", (*self.image.shape[:2], 3), np.uint8)
        _check(self.labelled_classes, "labelled_classes", (len(self.class_names),), np.bool_)
        _check(self.ignored, "ignored", (len(self.ignored), 4), np.float32)
        if (self.boxes is None) != (self.labels is None) or (self.boxes is None) != (self.object_depths is None):
            raise ValueError(f"{self.name}: expected boxes, labels and object_depths together or none of them")
        if self.boxes is not None and self.labels is not None and self.object_depths is not None:
            _check(self.boxes, "boxes", (len(self.boxes), 4), np.float32)
            _check(self.labels, "labels", (len(self.boxes),), np.int64)
            _check(self.object_depths, "object_depths", (len(self.boxes),), np.float32)
            if self.exact is None:
                object.__setattr__(self, "exact", np.ones(len(self.boxes), dtype=bool))
            assert self.exact is not None
            _check(self.exact, "exact", (len(self.boxes),), np.bool_)
            if not self.labelled_classes[self.labels].all():
                raise ValueError(f"{self.name}: found an object of a class that is not among the labelled ones")
        if self.depth is not None:
            _check(self.depth, "depth", self.image.shape[:2], np.float32)
        if self.intrinsics is not None and (self.intrinsics.height, self.intrinsics.width) != self.size:
            raise ValueError(f"{self.name}: an image of {self.size} does not fit {self.intrinsics}")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image, pixels."""
        return self.image.shape[0], self.image.shape[1]


def _check(array: NDArray[np.generic], what: str, shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"expected {what} {shape} {np.dtype(dtype)}, found {array.shape} {array.dtype}")
