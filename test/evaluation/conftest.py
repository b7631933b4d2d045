"""Labels and detections from a few numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from mp_perception.data.kitti.labels import KittiLabel
from mp_perception.prediction import Detections

CLASS_NAMES = ("Car", "Van", "Truck", "Pedestrian", "Cyclist")


@pytest.fixture(scope="session")
def make_label() -> Callable[..., KittiLabel]:
    """A label from its type, box and what matters of the rest."""

    def make(
        name: str,
        box: Sequence[float],
        occluded: int = 0,
        truncated: float = 0.0,
        dimensions: tuple[float, float, float] = (-1, -1, -1),
        location: tuple[float, float, float] = (-1000, -1000, -1000),
        rotation_y: float = -10.0,
    ) -> KittiLabel:
        return KittiLabel(name, truncated, occluded, -10, tuple(box), dimensions, location, rotation_y)

    return make


@pytest.fixture(scope="session")
def make_detections() -> Callable[..., Detections]:
    """Detections from (class, box, score) and, if given, (depth, spread) of each."""

    def make(
        rows: Sequence[tuple[str, Sequence[float], float]], depths: Sequence[tuple[float, float]] | None = None
    ) -> Detections:
        depth = np.array(depths if depths is not None else [(np.nan, np.nan)] * len(rows), np.float32).reshape(-1, 2)
        return Detections(
            boxes=np.array([box for _, box, _ in rows], np.float32).reshape(-1, 4),
            scores=np.array([score for _, _, score in rows], np.float32),
            labels=np.array([CLASS_NAMES.index(name) for name, _, _ in rows], np.int64),
            depth=depth[:, 0],
            depth_spread=depth[:, 1],
            valid_share=np.ones(len(rows), np.float32),
            position=np.full((len(rows), 3), np.nan, np.float32),
            class_names=CLASS_NAMES,
        )

    return make
