"""Labels and detections from a few numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from mp_perception.data.object_label import Box3D, ObjectLabel
from mp_perception.prediction import Detections

CLASS_NAMES = ("Car", "Van", "Truck", "Pedestrian", "Cyclist")


@pytest.fixture(scope="session")
def make_label() -> Callable[..., ObjectLabel]:
    """A label from its class, box and what matters of the rest."""

    def make(
        name: str,
        box: Sequence[float],
        occlusion: int | None = 0,
        truncation: float | None = 0.0,
        box_3d: Box3D | None = None,
    ) -> ObjectLabel:
        return ObjectLabel(name, tuple(box), truncation, occlusion, box_3d)

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
            depth_std=depth[:, 1],
            valid_fraction=np.ones(len(rows), np.float32),
            position=np.full((len(rows), 3), np.nan, np.float32),
            class_names=CLASS_NAMES,
        )

    return make
