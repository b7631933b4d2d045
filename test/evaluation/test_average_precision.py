"""KITTI's average precision against a second scorer, written step by step as the protocol reads, and by hand."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

from mp_perception.data.object_label import IGNORED_REGION
from mp_perception.evaluation.average_precision import (
    MIN_IOUS,
    SCORES,
    average_precision_figures,
    criteria_of,
    match_image,
)

CRITERIA = criteria_of(MIN_IOUS)

# ---- The second scorer: plain Python, one loop per sentence of the protocol -------------------------------------

REQUIREMENTS = {"easy": (40, 0, 0.15), "moderate": (25, 1, 0.30), "hard": (25, 2, 0.50)}
NEIGHBOUR = {"Car": "Van", "Pedestrian": "Person_sitting", "Cyclist": None}


def intersection(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0.0


def area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def overlap(a, b):
    shared = intersection(a, b)
    return shared / (area(a) + area(b) - shared) if shared else 0.0


def cleaned(image, name, difficulty):
    """Steps 1 and 2: [(box, ignored)] of objects, ignored regions, [(box, score, ignored)] of detections."""
    labels, detections = image
    min_height, max_occlusion, max_truncation = REQUIREMENTS[difficulty]
    objects = []
    for label in labels:
        meets = (
            label.box[3] - label.box[1] >= min_height
            and (label.occlusion or 0) <= max_occlusion
            and (label.truncation or 0) <= max_truncation
        )
        if label.class_name == name:
            objects.append((label.box, not meets))
        elif label.class_name == NEIGHBOUR[name]:
            objects.append((label.box, True))
    candidates = []
    for i in range(len(detections)):
        box, score = [float(value) for value in detections.boxes[i]], float(detections.scores[i])
        if int(abs(box[3] - box[1])) < min_height:
            candidates.append((box, score, True))
        elif detections.name(i) == name:
            candidates.append((box, score, False))
    return objects, [label.box for label in labels if label.class_name == IGNORED_REGION], candidates


def scores_of_hits(objects, detections, min_iou):
    """Step 3, first half."""
    assigned, scores = set(), []
    for box, ignored in objects:
        best = None
        for j, (other, score, _) in enumerate(detections):
            if j not in assigned and overlap(other, box) > min_iou and (best is None or score > detections[best][1]):
                best = j
        if best is not None:
            assigned.add(best)
            if not ignored and not detections[best][2]:
                scores.append(detections[best][1])
    return scores


def kept_scores(scores, counted):
    """Step 3, second half."""
    scores, kept, recall = sorted(scores, reverse=True), [], 0.0
    for i, score in enumerate(scores):
        last = i == len(scores) - 1
        left = (i + 1) / counted
        right = left if last else (i + 2) / counted
        if right - recall < recall - left and not last:
            continue
        kept.append(score)
        recall += 1 / 40
    return kept


def count(objects, dont_care, detections, min_iou, threshold):
    """Steps 4 and 5: hits and false alarms of one image."""
    detections = [detection for detection in detections if detection[1] >= threshold]
    assigned, hits = set(), 0
    for box, object_ignored in objects:
        best, best_overlap = None, 0.0
        for j, (other, _, small) in enumerate(detections):
            value = overlap(other, box)
            if j in assigned or not value > min_iou:
                continue
            best_is_small = best is not None and detections[best][2]
            if not small and (value > best_overlap or best_is_small):
                best, best_overlap = j, value
            elif small and best is None:
                best = j
        if best is None:
            continue
        assigned.add(best)
        if not object_ignored and not detections[best][2]:
            hits += 1
    false_alarms = 0
    for j, (box, _, small) in enumerate(detections):
        if j in assigned or small:
            continue
        if not any(area(box) > 0 and intersection(box, other) / area(box) > min_iou for other in dont_care):
            false_alarms += 1
    return hits, false_alarms


def reference_average_precision(images, name, min_iou, difficulty):
    """Step 6: AP40 and AP11, percent, and the number of counted objects."""
    prepared = [cleaned(image, name, difficulty) for image in images]
    counted = sum(not ignored for objects, _, _ in prepared for _, ignored in objects)
    if counted == 0:
        return None, None, 0
    scores = [score for objects, _, found in prepared for score in scores_of_hits(objects, found, min_iou)]
    precision = []
    for threshold in kept_scores(scores, counted):
        numbers = [count(*image, min_iou, threshold) for image in prepared]
        hits, alarms = sum(pair[0] for pair in numbers), sum(pair[1] for pair in numbers)
        precision.append(hits / (hits + alarms) if hits else 0.0)
    precision = [max(precision[k:]) for k in range(len(precision))]
    precision += [0.0] * (41 - len(precision))
    return 100 * sum(precision[1:]) / 40, 100 * sum(precision[::4]) / 11, counted


# ---- Generated sets --------------------------------------------------------------------------------------------


def random_set(seed, make_label, make_detections):
    """Images whose boxes, heights, scores and classes often meet the protocol's limits exactly."""
    random = np.random.default_rng(seed)
    types = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", IGNORED_REGION, "Misc")
    # Some sets have few distinct scores, so that ties abound; some whole pixels, so that overlaps do.
    levels = int(random.choice([3, 10, 1000]))
    whole = random.random() < 0.5
    images = []
    for _ in range(random.integers(1, 7)):
        labels, rows = [], []
        for _ in range(random.integers(0, 9)):
            name = str(random.choice(types, p=[0.3, 0.1, 0.05, 0.15, 0.1, 0.15, 0.1, 0.05]))
            left, top = random.uniform(0, 300), random.uniform(0, 100)
            width = random.uniform(15, 90)
            height = random.choice([25, 40, 24.99, 25.5, 39.5, random.uniform(15, 80)])
            if whole:
                left, top, width = round(left), round(top), 10 * round(width / 10) + 10
            box = [float(np.float32(value)) for value in (left, top, left + width, top + height)]
            occlusion, truncation = int(random.integers(-1, 4)), float(random.choice([0, 0.15, 0.2, 0.3, 0.5, 0.51]))
            labels.append(make_label(name, box, None if occlusion < 0 else occlusion, truncation))
            for _ in range(random.integers(0, 4)):
                found = name if name in ("Car", "Van", "Truck", "Pedestrian", "Cyclist") else "Car"
                if random.random() < 0.15:
                    found = str(random.choice(["Car", "Pedestrian", "Cyclist"]))
                shift = random.choice([0, 1, 0.1 * width, 0.5 * width]) * random.choice([-1, 1])
                shrink = random.choice([0, 0, 0, 0.5, 10])
                rows.append((found, [box[0] + shift, box[1] + shrink, box[2] + shift, box[3]]))
        for _ in range(random.integers(0, 4)):
            left, top, width, height = random.uniform([0, 0, 10, 15], [300, 100, 90, 80])
            rows.append((str(random.choice(["Car", "Pedestrian", "Cyclist"])), [left, top, left + width, top + height]))
        random.shuffle(rows)
        scored = [(name, box, random.integers(0, levels) / levels) for name, box in rows]
        images.append((labels, make_detections(scored)))
    return images


def curves_of(images, num_resamples=0):
    """The figures of each criterion, which `named` tells."""
    matches = [match_image(labels, detections, CRITERIA) for labels, detections in images]
    table = average_precision_figures(matches, CRITERIA, num_resamples)
    kinds = ("counted", "AP40", "AP11", "AP40_interval", "AP11_interval", "precision", "thresholds", "by_score")
    return [
        SimpleNamespace(
            named=(criterion.class_name, criterion.min_iou, criterion.difficulty.name),
            **{kind: table[criterion.name].get(kind, {}).get(criterion.difficulty.name) for kind in kinds},
        )
        for criterion in CRITERIA
    ]


def test_average_precision_equals_the_second_scorer_on_400_sets(make_label, make_detections) -> None:
    compared = partly_right = 0
    for seed in range(400):
        images = random_set(seed, make_label, make_detections)
        for curve in curves_of(images):
            ap40, ap11, counted = reference_average_precision(images, *curve.named)
            where = (seed, *curve.named)
            assert curve.counted == counted, where
            assert pytest.approx(ap40, abs=1e-9) == curve.AP40, where
            assert pytest.approx(ap11, abs=1e-9) == curve.AP11, where
            compared += counted > 0
            partly_right += counted > 0 and 0 < ap40 < 100
    assert compared > 2000
    assert partly_right > 500, partly_right


def test_precision_and_recall_by_score_are_the_second_scorers_counts(make_label, make_detections) -> None:
    compared = 0
    for seed in range(60):
        images = random_set(seed, make_label, make_detections)
        for curve in curves_of(images):
            class_name, min_iou, difficulty = curve.named
            prepared = [cleaned(image, class_name, difficulty) for image in images]
            assert [row["score"] for row in curve.by_score] == list(SCORES)
            for row in curve.by_score:
                numbers = [count(*image, min_iou, row["score"]) for image in prepared]
                hits, alarms = sum(pair[0] for pair in numbers), sum(pair[1] for pair in numbers)
                assert row["precision"] == pytest.approx(hits / (hits + alarms) if hits + alarms else None)
                assert row["recall"] == pytest.approx(hits / curve.counted if curve.counted else None)
                compared += 0 < (row["recall"] or 0) < 1
    assert compared > 300, compared


def test_more_objects_than_recalls_are_thinned_out_as_the_protocol_says(make_label, make_detections) -> None:
    random = np.random.default_rng(7)
    images = []
    for _ in range(60):
        boxes = [[100 * i, 10, 100 * i + 60, 60] for i in range(3)]
        rows = [("Car", box, random.random()) for box in boxes if random.random() < 0.8]
        rows += [
            ("Car", [100 * i, 100, 100 * i + 60, 150], random.random() * 0.8) for i in range(random.integers(0, 3))
        ]
        images.append(([make_label("Car", box) for box in boxes], make_detections(rows)))
    curve = curves_of(images)[0]
    ap40, ap11, _ = reference_average_precision(images, "Car", 0.7, "easy")
    assert 20 < len(curve.thresholds) < 41
    assert (pytest.approx(ap40, abs=1e-9), pytest.approx(ap11, abs=1e-9)) == (curve.AP40, curve.AP11)
    assert 0 < ap40 < 90


# ---- By hand ---------------------------------------------------------------------------------------------------

HIGH = [0, 0, 50, 50]


def ap(curves, class_name="Car", difficulty="easy", min_iou=None):
    return next(
        curve
        for curve in curves
        if (curve.named[0], curve.named[2]) == (class_name, difficulty) and min_iou in (None, curve.named[1])
    )


def test_one_object_found_and_one_missed(make_label, make_detections) -> None:
    """Two objects, one hit: one kept score, so only recall 0 has a precision: AP11 is 1/11, AP40 none at all."""
    labels = [make_label("Car", HIGH), make_label("Car", [100, 0, 150, 50])]
    curve = ap(curves_of([(labels, make_detections([("Car", HIGH, 0.9)]))]))
    assert curve.counted == 2
    assert curve.thresholds == [pytest.approx(0.9)]
    assert curve.precision == [1.0] + [0.0] * 40
    assert (0.0, pytest.approx(100 / 11)) == (curve.AP40, curve.AP11)


def test_a_false_alarm_with_a_higher_score_halves_the_precision(make_label, make_detections) -> None:
    found = make_detections([("Car", [200, 0, 250, 50], 0.95), ("Car", HIGH, 0.9)])
    assert ap(curves_of([([make_label("Car", HIGH)], found)])).precision[0] == 0.5


def test_detections_in_ignored_regions_and_on_neighbours_count_for_nothing(make_label, make_detections) -> None:
    labels = [
        make_label("Car", HIGH),
        make_label("Van", [100, 0, 150, 50]),
        make_label(IGNORED_REGION, [190, 0, 300, 100], None, None),
    ]
    found = [("Car", HIGH, 0.5), ("Car", [100, 0, 150, 50], 0.9), ("Car", [200, 0, 250, 50], 0.9)]
    assert ap(curves_of([(labels, make_detections(found))])).precision[0] == 1.0


def test_exactly_the_minimum_height_counts(make_label, make_detections) -> None:
    box, lower = [0, 0, 50, 40], [100, 0, 150, 39.9]
    labels = [make_label("Car", box), make_label("Car", lower)]
    curves = curves_of([(labels, make_detections([("Car", box, 0.5), ("Car", lower, 0.6)]))])
    assert ap(curves).counted == 1
    assert ap(curves, difficulty="moderate").counted == 2


def test_a_small_detection_of_another_class_takes_an_object_without_being_a_hit(make_label, make_detections) -> None:
    """KITTI tests the height before the class: a quirk that decides who is assigned first (step 2)."""
    box, small = [0, 0, 50, 40], [0, 0.5, 50, 39.5]
    found = make_detections([("Pedestrian", small, 0.9), ("Car", box, 0.5)])
    curve = ap(curves_of([([make_label("Car", box)], found)]))
    assert (curve.counted, len(curve.thresholds), curve.AP11) == (1, 0, 0.0)


def test_an_overlap_of_exactly_the_bound_is_not_enough(make_label, make_detections) -> None:
    """A car's box covered to 0.7 is missed: its detection, the surest, is a false alarm and sets no threshold."""
    first, second = [0, 0, 100, 100], [200, 0, 300, 100]
    found = make_detections([("Car", first, 0.5), ("Car", [200, 0, 300, 70], 0.75)])
    curve = ap(curves_of([([make_label("Car", first), make_label("Car", second)], found)]))
    assert (curve.thresholds, curve.precision[0]) == ([0.5], 0.5)


def test_car_is_scored_at_both_overlaps(make_label, make_detections) -> None:
    found = make_detections([("Car", [0, 0, 50, 30], 0.5)])
    curves = curves_of([([make_label("Car", HIGH)], found)])
    assert ap(curves, difficulty="moderate", min_iou=0.7).AP11 == 0
    assert ap(curves, difficulty="moderate", min_iou=0.5).precision[0] == 1.0
    matches = match_image([make_label("Car", HIGH)], found, CRITERIA)
    table = average_precision_figures([matches], CRITERIA)
    assert set(table) == {"Car", "Car (IoU > 0.5)", "Pedestrian", "Cyclist"}
    assert table["Pedestrian"]["AP40"] == {"easy": None, "moderate": None, "hard": None}
    assert table["Car"]["counted"] == {"easy": 1, "moderate": 1, "hard": 1}
    assert table["Car (IoU > 0.5)"]["precision"]["moderate"] == [1.0] + [0.0] * 40
    assert json.loads(json.dumps(table, allow_nan=False)) == table


# ---- The bootstrap ---------------------------------------------------------------------------------------------


def test_a_resample_is_scored_like_a_set_in_which_images_repeat(make_label, make_detections) -> None:
    """The interval of two resamples spans their two figures, each from the second scorer on the repeated images."""
    images = [image for seed in range(20, 32) for image in random_set(seed, make_label, make_detections)]
    spans = []
    draws = np.random.default_rng(0).integers(0, len(images), (2, len(images)))
    for curve in curves_of(images, num_resamples=2):
        figures = [reference_average_precision([images[i] for i in draw], *curve.named) for draw in draws]
        figures = [figure for figure in figures if figure[2]]  # without objects there is no figure
        if not figures:
            assert curve.AP40_interval is None
            continue
        spans.append(np.ptp([figure[0] for figure in figures]))
        assert curve.AP40_interval == pytest.approx(np.percentile([f[0] for f in figures], [2.5, 97.5]), abs=1e-9)
        assert curve.AP11_interval == pytest.approx(np.percentile([f[1] for f in figures], [2.5, 97.5]), abs=1e-9)
    assert sum(span > 0 for span in spans) >= 3


def test_a_set_without_images_or_detections_has_figures(make_label, make_detections) -> None:
    assert all(curve.AP40 is None for curve in curves_of([], num_resamples=10))
    curve = ap(curves_of([([make_label("Car", HIGH)], make_detections([]))], num_resamples=10))
    assert (curve.AP40, curve.AP11, curve.AP40_interval) == (0.0, 0.0, [0.0, 0.0])


def test_the_order_of_images_does_not_matter(make_label, make_detections) -> None:
    images = [image for seed in range(12) for image in random_set(seed, make_label, make_detections)]
    for one, other in zip(curves_of(images), curves_of(images[::-1]), strict=True):
        assert repr((one.AP40, one.AP11, one.by_score)) == repr((other.AP40, other.AP11, other.by_score))
        assert one.precision == other.precision


def test_scores_that_are_not_finite_are_refused(make_label, make_detections) -> None:
    with pytest.raises(ValueError, match="finite"):
        curves_of([([make_label("Car", HIGH)], make_detections([("Car", HIGH, math.nan)]))])
