"""Object depth on scenes made by hand: a road ahead with boxes at known depth in a known map."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.frame_sets import FrameCamera
from mp_perception.data.object_label import IGNORED_REGION, Box3D
from mp_perception.evaluation.object_depth_metrics import (
    MEASURES,
    TRUTHS,
    join_objects,
    match_detections,
    measure_objects,
    object_figures,
)
from mp_perception.evaluation.object_depth_truth import ObjectTruths, depths_in_3d_boxes, object_truths
from mp_perception.evaluation.paper_protocol import mean_depths_in_boxes
from mp_perception.geometry import CameraIntrinsics
from mp_perception.prediction import Prediction

# 200x100 pixels; a point (x, y, z) falls on pixel (100 x / z + 100, 100 y / z + 50).
CAMERA = CameraIntrinsics(fx=100, fy=100, cx=100, cy=50, width=200, height=100)


def figures(*images):
    return object_figures(join_objects(images), DEFAULT_CLASSES, 0.5)


def measured(labels, truths, prediction):
    return measure_objects(labels, truths, prediction, DEFAULT_CLASSES, 0.5)


def truths_of(**known):
    number = len(next(iter(known.values())))
    return ObjectTruths(**{truth: np.array(known.get(truth, [np.nan] * number), float) for truth in TRUTHS})


def prediction_of(depth, detections):
    return Prediction(detections, np.asarray(depth, dtype=np.float32), (100, 200))


def scene(make_label, make_detections):
    """A car at 12 m seen as 12.6, a pedestrian at 5 m seen as 5 in the middle of a background at 50, a van missed."""
    labels = [
        make_label("Car", [20, 40, 60, 60], occlusion=1),
        make_label(IGNORED_REGION, [0, 0, 9, 9], None, None),
        make_label("Pedestrian", [120, 30, 140, 70]),
        make_label("Van", [160, 40, 180, 60], occlusion=2),
    ]
    depth = np.full((50, 100), 50.0)
    depth[20:30, 10:30] = 12.6
    # A quarter of the pedestrian's box, its core, is the pedestrian; the rest the background.
    depth[20:30, 62:68] = 5
    depth[20:30, 80:90] = 33
    found = make_detections(
        [("Car", [21, 40, 61, 60], 0.9), ("Pedestrian", [120, 32, 140, 72], 0.8), ("Van", [160, 40, 180, 60], 0.3)],
        [(12.2, 0.15), (5.3, 0.2), (30.0, 1.0)],
    )
    truths = truths_of(
        depth_map=[12, np.nan, 5, np.nan],
        surface=[12.1, np.nan, 5, 30],
        centre=[14, np.nan, 5.3, 32],
    )
    return measured(labels, truths, prediction_of(depth, found))


@pytest.fixture
def result(make_label, make_detections):
    return figures(scene(make_label, make_detections))


def test_a_scene_by_hand(result) -> None:
    assert result["Vehicle"]["count"] == 1  # the van has no depth in the map
    assert result["Vehicle"]["rel"] == pytest.approx(0.05)
    assert result["Vehicle"]["rmse"] == pytest.approx(0.6)
    assert result["Vehicle"]["log10"] == pytest.approx(math.log10(12.6 / 12))
    assert (result["People"]["count"], result["People"]["rel"]) == (1, 0)
    surface = result["measures"]["box_statistic"]["surface"]["category"]["Vehicle"]
    assert surface["count"] == 2
    assert surface["rel"] == pytest.approx((0.5 / 12.1 + 3 / 30) / 2)


def test_detections_are_scored_where_they_found_something(result) -> None:
    detection = result["measures"]["detection"]["depth_map"]["all"]["all"]
    assert (detection["count"], detection["without_depth"]) == (2, 0)
    assert detection["rel"] == pytest.approx((0.2 / 12 + 0.3 / 5) / 2, rel=1e-5)
    # Errors of 0.2 and 0.3 metres at standard deviations of 0.15 and 0.2: beyond one, within two.
    assert (detection["within_one_std"], detection["within_two_std"]) == (0, 1)
    surface = result["measures"]["detection"]["surface"]["all"]["all"]
    assert (surface["count"], surface["without_depth"]) == (2, 0)  # the missed van is not a detection without depth
    assert result["found"]["all"]["all"] == {
        "objects": 3,
        "found": 2,
        "missed": 1,
        "found_fraction": pytest.approx(2 / 3),
    }
    assert result["found"]["class"]["Van"]["missed"] == 1


def test_groups_by_distance_and_occlusion(result) -> None:
    by_distance = result["measures"]["box_statistic"]["surface"]["distance"]
    assert {group: figures["count"] for group, figures in by_distance.items()} == {
        "0-10 m": 1,
        "10-20 m": 1,
        "20-40 m": 1,
        "40-80 m": 0,
    }
    assert by_distance["40-80 m"]["rel"] is None
    by_occlusion = result["measures"]["box_statistic"]["surface"]["occlusion"]
    assert [by_occlusion[name]["count"] for name in ("visible", "partly", "largely", "unknown")] == [1, 1, 1, 0]
    assert result["found"]["distance"]["20-40 m"] == {"objects": 1, "found": 0, "missed": 1, "found_fraction": 0.0}


def test_the_result_is_json(result) -> None:
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert tuple(result["measures"]) == MEASURES


def test_objects_without_measured_depth_are_counted(make_label, make_detections) -> None:
    found = make_detections([("Car", [20, 40, 60, 60], 0.9)], [(np.nan, np.nan)])
    car = make_label("Car", [20, 40, 60, 60])
    result = figures(measured([car], truths_of(depth_map=[10]), prediction_of(np.full((50, 100), np.nan), found)))
    for measure in MEASURES:
        row = result["measures"][measure]["depth_map"]["all"]["all"]
        assert (row["count"], row["without_depth"], row["rel"]) == (0, 1, None)
    assert result["found"]["all"]["all"]["found"] == 1


def test_objects_of_several_images_are_one_set(make_label, make_detections) -> None:
    """The metrics are means over objects: of one image with one car and one with three."""
    nothing = make_detections([])
    car = make_label("Car", [20, 40, 60, 60])
    map_of_20 = prediction_of(np.full((50, 100), 20.0), nothing)
    result = figures(
        measured([car], truths_of(depth_map=[10]), map_of_20),
        measured([car] * 3, truths_of(depth_map=[20] * 3), map_of_20),
    )
    assert (result["Vehicle"]["rel"], result["Vehicle"]["count"]) == (0.25, 4)


def test_images_without_objects_have_figures(make_label, make_detections) -> None:
    result = figures(measured([], truths_of(depth_map=[]), prediction_of(np.ones((50, 100)), make_detections([]))))
    assert result["Vehicle"]["count"] == result["found"]["all"]["all"]["objects"] == 0


def test_matching_prefers_score_then_overlap(make_detections) -> None:
    names = np.array(["Car", "Car", "Pedestrian"])
    boxes = np.array([[0, 0, 10, 10], [2, 0, 12, 10], [50, 0, 60, 10]], float)
    found = make_detections(
        [
            ("Car", [2, 0, 12, 10], 0.9),  # fits both cars, the second best
            ("Car", [1, 0, 11, 10], 0.8),  # so takes the first
            ("Car", [0, 0, 10, 10], 0.7),  # comes too late
            ("Van", [50, 0, 60, 10], 0.9),  # the wrong class
            ("Pedestrian", [50, 0, 60, 5], 0.9),  # overlaps exactly half: not more
        ]
    )
    assert match_detections(names, boxes, found, 0.5).tolist() == [1, 0, -1]
    assert match_detections(names, boxes, found, 0.85).tolist() == [-1, 0, -1]


# ---- True depths -----------------------------------------------------------------------------------------------


def car_ahead(make_label):
    """A car 2 m wide, 4 m long, 1.5 m high, that drives away 10 m ahead (its middle), on the axis."""
    return make_label("Car", [88, 41, 113, 60], box_3d=Box3D((0, 0.75, 10), (1.5, 2, 4), -math.pi / 2))


def test_the_depth_is_the_median_of_points_within_both_boxes(make_label) -> None:
    scan = np.full((100, 200), np.nan, dtype=np.float32)
    scan[50, 95:100] = 8, 8.1, 8.2, 8.3, 11
    scan[52, 95:100] = 30  # behind it
    scan[55, 95:100] = 4  # before it
    scan[50, 88] = 11.95  # 1.43 m left of the axis there, though inside the 2D box
    scan[50, 20] = 8  # outside the 2D box
    assert depths_in_3d_boxes([car_ahead(make_label)], scan, FrameCamera(CAMERA)) == pytest.approx([8.2], rel=1e-6)
    scan[50, 99] = np.nan
    assert np.isnan(depths_in_3d_boxes([car_ahead(make_label)], scan, FrameCamera(CAMERA))).all()


@pytest.mark.parametrize("shift", [0.0, 0.4])
def test_a_point_lies_at_its_pixel_s_centre_as_seen_from_the_shifted_camera(make_label, shift) -> None:
    """At 8 m a pixel is 8 cm wide, and camera 0's x is the camera's less the shift."""
    transform = np.eye(4)
    transform[0, 3] = shift
    car = make_label("Car", [0, 41, 200, 60], box_3d=Box3D((0, 0.75, 10), (1.5, 2, 4), -math.pi / 2))
    for column in range(80, 125):
        scan = np.full((100, 200), np.nan, dtype=np.float32)
        scan[48:53, column] = 8.05
        known = np.isfinite(depths_in_3d_boxes([car], scan, FrameCamera(CAMERA, transform)))[0]
        assert known == (abs((column - 100) * 8.05 / 100 - shift) < 1.1)


def test_all_truths_of_a_car_ahead(make_label) -> None:
    scan = np.full((100, 200), np.nan, dtype=np.float32)
    scan[45:55, 95:105] = 8
    shift = np.eye(4)
    shift[:3, 3] = 0.06, 0, 0.003
    labels = [car_ahead(make_label), make_label("Car", [0, 0, 50, 50])]
    truths = object_truths(labels, scan, FrameCamera(CAMERA, shift))
    np.testing.assert_allclose(truths.depth_map, [8, np.nan])
    np.testing.assert_allclose(truths.surface, [8.003, np.nan])
    np.testing.assert_allclose(truths.centre, [10.003, np.nan])
    assert np.isnan(object_truths(labels, None, FrameCamera(CAMERA, shift)).depth_map).all()
    assert np.isnan(object_truths(labels, scan, None).centre).all()


def test_means_take_the_pixels_whose_centres_lie_inside() -> None:
    depth = np.arange(12, dtype=np.float32).reshape(3, 4)
    depth[0, 0] = np.nan
    boxes = np.array([[0, 0, 2, 1], [0.6, 0.6, 2.4, 2.4], [-5, -5, 99, 99], [0, 0, 1, 1], [9, 9, 10, 10]], float)
    # One finite pixel; the pixel (1, 1); all but the unknown one; an unknown one; none.
    np.testing.assert_allclose(mean_depths_in_boxes(depth, boxes), [1, 5, 66 / 11, np.nan, np.nan])
