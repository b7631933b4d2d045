"""Calibration of scores and depths on scenes whose answer is known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from mp_perception.data.object_label import ObjectLabel
from mp_perception.evaluation.average_precision import match_image
from mp_perception.evaluation.beyond import BeyondCounts
from mp_perception.evaluation.figures import Evaluation
from mp_perception.evaluation.frame_scores import FrameScore, ObjectScores, ScoringRules
from mp_perception.evaluation.object_depth_metrics import measure_objects
from mp_perception.evaluation.object_depth_truth import ObjectTruths
from mp_perception.prediction import Detections, Prediction
from mp_perception.training.output_calibration import OutputCalibration, calibrate_outputs

BOX, ELSEWHERE = (20.0, 20.0, 80.0, 80.0), (120.0, 20.0, 180.0, 80.0)


@pytest.fixture
def evaluation() -> Evaluation:
    return Evaluation(ScoringRules("eigen", "none", ("Car",), {}, ("Car",), 0.3))


def cars(*rows: tuple[tuple[float, ...], float], depth: float = 20, std: float = 1) -> Detections:
    """Detected cars of (box, score), all at one depth."""
    numbers = np.ones(len(rows), np.float32)
    return Detections(
        boxes=np.array([box for box, _ in rows], np.float32),
        scores=np.array([score for _, score in rows], np.float32),
        labels=np.zeros(len(rows), np.int64),
        depth=numbers * np.float32(depth),
        depth_std=numbers * np.float32(std),
        valid_fraction=numbers,
        position=np.full((len(rows), 3), np.nan, np.float32),
        class_names=("Car",),
    )


def add_car(evaluation: Evaluation, detections: Detections, true_depth: float) -> None:
    """Add a frame with one labelled car, at BOX."""
    labels, unknown = [ObjectLabel("Car", BOX)], np.array([np.nan])
    truths = ObjectTruths(np.array([true_depth]), unknown, unknown)
    prediction = Prediction(detections, np.full((50, 100), 20.0, np.float32), (100, 200))
    depths = measure_objects(labels, truths, prediction, ("Car",), 0.3)
    matches = match_image(labels, detections, evaluation.rules.criteria)
    objects = ObjectScores(labels, detections, matches, depths, truths, None)
    score = FrameScore(None, objects, BeyondCounts(0, 0, 0, 0), {}, {})
    evaluation.frames[f"{len(evaluation.frames):03d}"] = score


def test_the_threshold_separates_cars_from_false_alarms(evaluation):
    for i in range(8):
        add_car(evaluation, cars((BOX, 0.62 + 0.01 * i), (ELSEWHERE, 0.5 + 0.01 * i)), 20.0)
    # All cars have 0.62 and more, all false alarms 0.57 and less: 0.6 is the only one of the scores that keeps all and
    # nothing else.
    assert calibrate_outputs(evaluation).score_threshold == 0.6


@pytest.mark.parametrize(("true_error", "std"), [(0.1, 0.0), (0.1, 0.5), (0.05, 2.0)])
def test_the_depth_error_is_what_the_standard_deviation_leaves_of_a_normal_error(evaluation, true_error, std):
    random = np.random.default_rng(5)
    for _ in range(400):
        measured = random.uniform(10, 50)
        deviation = np.hypot(std, true_error * measured)
        add_car(evaluation, cars((BOX, 0.9), depth=measured, std=std), measured + random.normal() * deviation)
    error = calibrate_outputs(evaluation).depth_error
    objects = evaluation.objects()
    assert objects.found.sum() == 400
    inside = np.abs(objects.depth_map - objects.detection) <= np.hypot(objects.detection_std, error * objects.detection)
    assert inside.mean() == pytest.approx(0.6827, abs=0.003)
    assert error == pytest.approx(true_error, rel=0.25)


def test_a_standard_deviation_that_is_large_enough_needs_no_more(evaluation):
    for _ in range(10):
        add_car(evaluation, cars((BOX, 0.9), std=2.0), 21.0)
    assert calibrate_outputs(evaluation).depth_error == 0.0


def test_images_without_objects_give_no_calibration(evaluation):
    assert calibrate_outputs(evaluation) == OutputCalibration(None, None)
    completed = OutputCalibration(None, 0.1).completed_by(OutputCalibration(0.4, 0.2))
    assert completed == OutputCalibration(0.4, 0.1)
