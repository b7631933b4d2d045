"""Evaluations of a few noisy frames, with names of classes and frames as a test wants them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mp_perception.data.frame_sets import FrameCamera
from mp_perception.data.object_label import Box3D, ObjectLabel
from mp_perception.data.samples import Sample
from mp_perception.evaluation.evaluate import Evaluation
from mp_perception.evaluation.report.frames import FrameGallery
from mp_perception.evaluation.report.html import Report
from mp_perception.evaluation.report.latency import FrameCounts, Latency
from mp_perception.geometry import CameraIntrinsics
from mp_perception.prediction import Detections, Prediction

CLASSES = ("Car", "Pedestrian", "Cyclist")
BOXES = ((20, 30, 80, 80), (120, 20, 150, 90), (200, 30, 240, 85))


@pytest.fixture(scope="session")
def make_frame() -> Callable[..., tuple[Sample, Prediction]]:
    """A frame whose depth is wrong by a share, with three objects found; its image is noise or grey."""

    def make(
        name: str, wrong: float, classes: tuple[str, ...] = CLASSES, size: tuple[int, int] = (96, 320), noise: int = 0
    ) -> tuple[Sample, Prediction]:
        random = np.random.default_rng(len(name))
        height, width = size
        image = (128 + random.integers(-noise, noise + 1, (height, width, 3))).astype(np.uint8)
        depth = np.full(size, 10.0, np.float32)
        depth[random.random(size) < 0.5] = np.nan
        numbers = np.ones(3, np.float32)
        detections = Detections(
            boxes=np.array(BOXES, np.float32) * np.float32(width / 320),
            scores=np.array([0.9, 0.8, 0.7], np.float32),
            labels=np.arange(3),
            depth=10 * numbers,
            depth_spread=numbers,
            valid_share=numbers,
            position=np.full((3, 3), np.nan, np.float32),
            class_names=classes,
        )
        known = np.full((height // 2, width // 2), 10 * (1 + wrong), np.float32)
        return Sample(name, "test", image, classes, depth=depth), Prediction(detections, known, size)

    return make


@pytest.fixture(scope="session")
def make_report(
    make_frame: Callable[..., tuple[Sample, Prediction]], make_label: Callable[..., ObjectLabel]
) -> Callable[..., Report]:
    """A whole report on frames of the given names; the first is the best one."""

    def make(
        names: tuple[str, ...], classes: tuple[str, ...] = CLASSES, protocol: str = "eigen", note: str = "", **frame
    ) -> Report:
        evaluation = Evaluation(protocol, "exact", CLASSES, {}, classes, 0.3)
        gallery, latency = FrameGallery(0.3), Latency()
        camera = FrameCamera(CameraIntrinsics(200, 200, 160, 48, 320, 96), np.eye(4))
        for i, name in enumerate(names):
            sample, prediction = make_frame(name, 0.05 * (i + 1), classes, **frame)
            labels = [
                make_label(kind, box, box_3d=Box3D(((box[0] - 140) / 20, 1.5, 10), (1.5, 1.6, 3.0), 0))
                for kind, box in zip(classes, BOXES, strict=True)
            ]
            evaluation.add(sample, labels, camera, prediction)
            gallery.add(sample, prediction)
            latency.add(0.1 * i, 20 + i, {"inference": 15 + i, "publish": 5})
        result = {
            **evaluation.result(20),
            "score_threshold": 0.3,
            "weights": {"file": f"weights{note}", "sha256": "0" * 64, "untrained": False, "parameters": 2439024}
            | {"description": {"backbone": "mobilenet_v2"}},
        }
        counts = FrameCounts(len(names) + 3, len(names), {f"too old{note}": 2})
        return Report(
            f"Test{note}", f"mp_perception{note}", result, evaluation.detection.curves(), gallery, latency, counts
        )

    return make
