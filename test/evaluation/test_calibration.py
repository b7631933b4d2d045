"""Calibration of scores and depths on scenes whose answer is known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from mp_perception.evaluation.calibration import Calibration, calibrate
from mp_perception.evaluation.evaluate import Evaluation
from mp_perception.evaluation.object_depth_truth import ObjectTruths
from mp_perception.prediction import Prediction


@pytest.fixture
def evaluation() -> Evaluation:
    return Evaluation("eigen", "none", ["Car"], {}, ["Car"], 0.3)


def add_image(evaluation, name, labels, detections, lidar):
    unknown = np.full(len(labels), np.nan)
    prediction = Prediction(detections, np.full((50, 100), 20.0, np.float32), (100, 200))
    evaluation.detection.add(name, labels, detections)
    evaluation.objects.add(name, labels, ObjectTruths(np.array(lidar, float), unknown, unknown, unknown), prediction)


def test_the_threshold_parts_cars_from_false_alarms(evaluation, make_label, make_detections):
    box, elsewhere = [20, 20, 80, 80], [120, 20, 180, 80]
    for i in range(8):
        detections = make_detections([("Car", box, 0.62 + 0.01 * i), ("Car", elsewhere, 0.5 + 0.01 * i)], [(20, 1)] * 2)
        add_image(evaluation, f"{i}", [make_label("Car", box)], detections, [20.0])
    # All cars have 0.62 and more, all false alarms 0.57 and less: 0.6 is the only one of the scores that keeps all and
    # nothing else.
    assert calibrate(evaluation).score_threshold == 0.6


@pytest.mark.parametrize(("true_error", "spread"), [(0.1, 0.0), (0.1, 0.5), (0.05, 2.0)])
def test_the_depth_error_is_what_the_spread_leaves_of_a_normal_error(
    evaluation, make_label, make_detections, true_error, spread
):
    random = np.random.default_rng(5)
    box = [20, 20, 80, 80]
    for i in range(400):
        measured = random.uniform(10, 50)
        deviation = np.hypot(spread, true_error * measured)
        detections = make_detections([("Car", box, 0.9)], [(measured, spread)])
        add_image(evaluation, f"{i}", [make_label("Car", box)], detections, [measured + random.normal() * deviation])
    error = calibrate(evaluation).depth_error
    true, measured, spreads = evaluation.objects.detection_depths()
    assert len(true) == 400
    inside = np.abs(true - measured) <= np.hypot(spreads, error * measured)
    assert inside.mean() == pytest.approx(0.6827, abs=0.003)
    assert error == pytest.approx(true_error, rel=0.25)


def test_a_spread_that_is_large_enough_needs_no_more(evaluation, make_label, make_detections):
    box = [20, 20, 80, 80]
    for i in range(10):
        add_image(
            evaluation, f"{i}", [make_label("Car", box)], make_detections([("Car", box, 0.9)], [(20, 2.0)]), [21.0]
        )
    assert calibrate(evaluation).depth_error == 0.0


def test_images_without_objects_tell_nothing(evaluation):
    assert calibrate(evaluation) == Calibration(None, None)
    assert Calibration(None, 0.1).completed_by(Calibration(0.4, 0.2)) == Calibration(0.4, 0.1)
