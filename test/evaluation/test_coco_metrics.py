"""COCO's mean average precision: perfect, half perfect, and with areas nobody labelled."""

from __future__ import annotations

import numpy as np
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


def test_figures_are_those_of_pycocotools(make_label, make_detections) -> None:
    """40 of 100 objects are found among false alarms: each recall is a multiple of 0.01, as the thresholds are."""
    random = np.random.default_rng(4)
    images, truths, results = [], [], []
    for number in range(20):
        labels, found = [], []
        for i in range(5):
            box = [100 * i, 0, 100 * i + 50, 40 + number]
            labels.append(make_label("Car", box))
            truths.append((number, box))
            if i % 2:
                found.append(("Car", box, random.uniform()))
        found += [("Car", [700, 0, 750, 50], random.uniform()) for _ in range(2)]
        images.append((labels, make_detections(found)))
        results += [(number, box, float(np.float32(score))) for _, box, score in found]
    ours = coco_mean_average_precision(images, ("Car",))
    assert ours["mAP"] / 100 == pytest.approx(pycocotools_map(truths, results), abs=1e-6)  # float32


def pycocotools_map(truths, results) -> float:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def entries(boxes, **values):
        return [
            {"id": i + 1, "image_id": image, "category_id": 1, "iscrowd": 0, **values}
            | {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
            for i, (image, (x1, y1, x2, y2), *_) in enumerate(boxes)
        ]

    def index(annotations):
        coco = COCO()
        pictures = [{"id": number} for number in {entry["image_id"] for entry in annotations}]
        coco.dataset = {"images": pictures, "annotations": annotations, "categories": [{"id": 1}]}
        coco.createIndex()
        return coco

    detections = entries(results)
    for entry, (_, _, score) in zip(detections, results, strict=True):
        entry["score"] = score
    evaluation = COCOeval(index(entries(truths)), index(detections), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return float(evaluation.stats[0])


def test_a_detection_in_a_ignored_region_is_not_a_false_alarm(make_label, make_detections) -> None:
    box, area = [0, 0, 50, 50], [200, 0, 300, 100]
    found = make_detections([("Car", [210, 10, 260, 60], 0.95), ("Car", box, 0.9)])
    labels = [make_label("Car", box), make_label(IGNORED_REGION, area, None, None)]
    assert coco_mean_average_precision([(labels, found)], CLASSES)["mAP"] == pytest.approx(100)
    assert coco_mean_average_precision([(labels[:1], found)], CLASSES)["mAP"] == pytest.approx(50)
