"""`PredictionSettings`: what may change from image to image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mp_perception.errors import unknown_name
from mp_perception.inference.object_depth import DEFAULT_STATISTIC


@dataclass(frozen=True)
class PredictionSettings:
    """Settings that may change from image to image.

    Attributes:
        score_threshold: minimum score, 0..1; None for that of the checkpoint.
        nms_iou_threshold: intersection over union for non-maximum suppression, 0..1.
        max_detections: maximum number of detections, at least 1.
        classes: names of the classes to report; None for all.
        min_depth: metres, smaller depth is unknown; None for the minimum of the network.
        max_depth: metres, larger depth is beyond the range; None for that of the checkpoint.
        object_depth_statistic: a name in STATISTICS.
        focal_scaling: whether depth is corrected for a focal length that differs from that of the training.
    """

    score_threshold: float | None = None
    nms_iou_threshold: float = 0.45
    max_detections: int = 100
    classes: tuple[str, ...] | None = None
    min_depth: float | None = None
    max_depth: float | None = None
    object_depth_statistic: str = DEFAULT_STATISTIC
    focal_scaling: bool = True

    def wanted_classes(self, class_names: Sequence[str]) -> NDArray[np.bool_] | None:
        """(C,) mask of the network's classes; None for all.  Raises UserError for a class that it does not have."""
        if self.classes is None:
            return None
        unknown = [name for name in self.classes if name not in class_names]
        if unknown:
            raise unknown_name("class", unknown[0], class_names)
        return np.array([name in self.classes for name in class_names])
