"""COCO's mean average precision: perfect, half perfect, and with areas nobody labelled."""

from __future__ import annotations

import pytest

from mp_perception.data.object_label import IGNORED_REGION
from mp_perception.evaluation.coco_metrics import coco_mean_average_precision

pytest.importorskip("torchmetrics")

CLASSES = ("Car", "Pedestrian", "Cyclist")


def test_boxes_that_fit_are_perfect_and_missing_classes_have_no_figure(make_label, make_detections) -> None:
    boxes = [[0, 0, 50, 50], [100, 0, 300, 120]]
    labels = [make_label("Car", box) for box in boxes]
    result = coco_mean_average_precision([(labels, make_detections([("Car", box, 0.9) for box in boxes]))], CLASSES)
    assert result["mAP"] == pytest.approx(100)
    assert result["mAP_by_class"] == {"Car": pytest.approx(100), "Pedestrian": None, "Cyclist": None}
    assert (result["AP_small"], result["AP_large"]) == (None, pytest.approx(100))


def test_an_overlap_of_four_fifths_counts_at_seven_of_ten_thresholds(make_label, make_detections) -> None:
    """IoU 0.825: a hit at 0.50, 0.55, ..., 0.80."""
    found = make_detections([("Car", [0, 0, 50, 82.5], 0.9), ("Van", [0, 0, 50, 100], 0.9)])
    result = coco_mean_average_precision([([make_label("Car", [0, 0, 50, 100])], found)], CLASSES)
    assert result["mAP"] == pytest.approx(70)
    assert (result["AP50"], result["AP75"]) == (pytest.approx(100), pytest.approx(100))


def test_classes_are_averaged_over_images(make_label, make_detections) -> None:
    box = [0, 0, 60, 60]
    images = [
        ([make_label("Car", box)], make_detections([("Car", box, 0.9)])),
        ([make_label("Pedestrian", box)], make_detections([])),
    ]
    result = coco_mean_average_precision(images, CLASSES)
    assert result["mAP_by_class"] == {"Car": pytest.approx(100), "Pedestrian": 0, "Cyclist": None}
    assert result["mAP"] == pytest.approx(50)


def test_a_detection_in_a_ignored_region_is_not_a_false_alarm(make_label, make_detections) -> None:
    box, area = [0, 0, 50, 50], [200, 0, 300, 100]
    found = make_detections([("Car", [210, 10, 260, 60], 0.95), ("Car", box, 0.9)])
    labels = [make_label("Car", box), make_label(IGNORED_REGION, area, None, None)]
    assert coco_mean_average_precision([(labels, found)], CLASSES)["mAP"] == pytest.approx(100)
    assert coco_mean_average_precision([(labels[:1], found)], CLASSES)["mAP"] == pytest.approx(50)
