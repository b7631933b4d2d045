"""Evaluations of a few noisy frames, with names of classes and frames as a test wants them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from mp_perception.data.frame_sets import Frame, FrameCamera, FrameSet, RecordedOutputs
from mp_perception.data.object_label import Box3D, ObjectLabel
from mp_perception.evaluation.figures import Evaluation
from mp_perception.evaluation.frame_scores import ScoringRules
from mp_perception.evaluation.report.example_frames import example_frames
from mp_perception.evaluation.report.page import Report
from mp_perception.evaluation.scoring import ScoringJob
from mp_perception.geometry import CameraIntrinsics
from mp_perception.prediction import Detections, Prediction

CLASSES = ("Car", "Pedestrian", "Cyclist")
BOXES = ((20, 30, 80, 80), (120, 20, 150, 90), (200, 30, 240, 85))


class MadeFrames(FrameSet):
    """Frames whose depth is wrong by a fraction each, with three labelled objects of which some are found.

    errors: relative depth error by frame; None: no depth map.  found: number of objects found by frame.
    """

    def __init__(
        self,
        names: Sequence[str],
        errors: Sequence[float | None],
        found: Sequence[int],
        classes: tuple[str, ...] = CLASSES,
        size: tuple[int, int] = (96, 320),
        noise: int = 0,
        ground_truth: str = "exact depth",
    ) -> None:
        super().__init__("made", [Frame(name, None) for name in names], classes, classes)
        self.recorded = RecordedOutputs(classes, frozenset({0.3}))
        self.ground_truth = ground_truth
        self._values = {name: values for name, *values in zip(names, errors, found, strict=True)}
        self._size, self._noise = size, noise

    def image(self, index):
        random = np.random.default_rng(index)
        return (128 + random.integers(-self._noise, self._noise + 1, (*self._size, 3))).astype(np.uint8)

    def depth(self, index):
        if self._values[self.frames[index].name][0] is None:
            return None
        depth = np.full(self._size, 10.0, np.float32)
        depth[np.random.default_rng(index).random(self._size) < 0.5] = np.nan
        return depth

    def labels(self, index):
        factor = self._size[1] / 320
        return [
            ObjectLabel(
                name,
                tuple(factor * edge for edge in box),
                0.0,
                0,
                Box3D(((box[0] - 140) / 20, 1.5, 10), (1.5, 1.6, 3.0), 0),
            )
            for name, box in zip(self.class_names, BOXES, strict=True)
        ]

    def camera(self, index, width, height):
        return FrameCamera(CameraIntrinsics(200, 200, width / 2, height / 2, width, height))

    def recorded_prediction(self, index):
        error, found = self._values[self.frames[index].name]
        height, width = self._size
        numbers = np.ones(3, np.float32)
        detections = Detections(
            boxes=np.array(BOXES, np.float32) * np.float32(width / 320),
            scores=np.array([0.9, 0.8, 0.7], np.float32),
            labels=np.arange(3),
            depth=10 * numbers,
            depth_std=numbers,
            valid_fraction=numbers,
            position=np.full((3, 3), np.nan, np.float32),
            class_names=self.class_names,
        )
        depth = np.full((height // 2, width // 2), 10 * (1 + (error or 0)), np.float32)
        timings = {"inference": 15.0 + index, "publish": 5.0}
        return Prediction(detections[:found], depth, self._size, timings)


def job_of(data_set: MadeFrames, protocol: str = "eigen") -> tuple[ScoringJob, Evaluation]:
    """The job of scoring a set, and its evaluation."""
    rules = ScoringRules(protocol, data_set.ground_truth, CLASSES, {}, data_set.class_names, 0.3)
    job = ScoringJob(data_set, rules)
    return job, job.score(None, range(len(data_set)))


@pytest.fixture(scope="session")
def make_job() -> Callable[..., tuple[ScoringJob, Evaluation]]:
    """Arguments of MadeFrames, and `protocol` -> job and evaluation."""

    def make(*values, protocol: str = "eigen", **more):
        return job_of(MadeFrames(*values, **more), protocol)

    return make


@pytest.fixture(scope="session")
def make_report() -> Callable[..., Report]:
    """A whole report on frames of the given names; the depth of the first is the best."""

    def make(
        names: tuple[str, ...], classes: tuple[str, ...] = CLASSES, protocol: str = "eigen", note: str = "", **frames
    ) -> Report:
        errors = [0.05 * (i + 1) for i in range(len(names))]
        job, evaluation = job_of(MadeFrames(names, errors, [3] * len(names), classes, **frames), protocol)
        evaluation.dropped |= {f"{i}": f"too old{note}" for i in range(2)}
        result = {
            **evaluation.result(20),
            "tracking": None,
            "data_set": {"name": f"made{note}", "problems": {}, "mended": []},
            "weights": {"file": f"weights{note}", "sha256": "0" * 64, "untrained": False, "parameters": 2439024}
            | {"description": {"backbone": "mobilenet_v2", "depth_error": 0.09529628769953537}},
        }
        return Report(f"Test{note}", f"mp_perception{note}", result, example_frames(job, evaluation, None))

    return make
