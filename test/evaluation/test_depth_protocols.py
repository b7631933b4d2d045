"""What each protocol compares: crops, caps, sizes, rounding, and the paper's faults on a constructed case."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from mp_perception.data.depth_png import read_depth_png, write_depth_png
from mp_perception.evaluation.depth_metrics import server_depth_errors
from mp_perception.evaluation.depth_protocols import (
    DEPTH_PROTOCOLS,
    compare_by_distance,
    depth_figures,
    figures_by_distance,
)
from mp_perception.evaluation.frame_scores import DepthScores
from mp_perception.evaluation.paper_protocol import (
    compare_paper_way,
    paper_depth_figures,
    paper_object_figures,
)


def flat(height, width, value):
    return np.full((height, width), value, dtype=np.float32)


def figures(name, truth, prediction):
    errors = [protocol.compare(truth, prediction) for protocol in DEPTH_PROTOCOLS[name]]
    return depth_figures(name, [errors], "lidar")


def eigen(truth, prediction):
    return figures("eigen", truth, prediction)


def test_eigen_scores_exactly_garg_s_rows_and_columns() -> None:
    """375x1242: rows 153..370 and columns 44..1196, as int(0.40810811 * 375) and so on."""
    truth = flat(375, 1242, 10)
    prediction = flat(375, 1242, 99)
    prediction[153:371, 44:1197] = 10
    result = eigen(truth, prediction)
    assert result["rel"] == 0
    assert result["pixels"] == 218 * 1153
    for row, column in ((153, 600), (370, 600), (200, 44), (200, 1196)):
        changed = prediction.copy()
        changed[row, column] = 20
        assert eigen(truth, changed)["rel"] == pytest.approx(1 / (218 * 1153))


def test_eigen_caps_truth_and_prediction() -> None:
    truth = flat(100, 100, np.nan)
    truth[60, 40:45] = 40, 80.5, 0, 79, 0.0005
    prediction = flat(100, 100, 120)
    result = eigen(truth, prediction)
    assert result["pixels"] == 2
    assert result["rmse"] == pytest.approx(math.sqrt((40**2 + 1) / 2))
    prediction[:] = np.inf  # the sky is a depth beyond the cap, too
    assert eigen(truth, prediction)["rmse"] == result["rmse"]
    prediction[:] = -3
    result = eigen(truth, prediction)
    assert result["rmse"] == pytest.approx(math.sqrt((39.999**2 + 78.999**2) / 2))
    assert (result["non_positive_predictions"], result["non_finite_predictions"]) == (2, 0)


def test_eigen_brings_the_prediction_to_the_size_of_the_truth() -> None:
    """A ramp across the image, known at half the size, is the same ramp; its steps lie half a pixel apart."""
    ramp = 10 + 0.1 * (np.arange(200, dtype=np.float32) + 0.5)[None].repeat(100, axis=0)
    half = 10 + 0.2 * (np.arange(100, dtype=np.float32) + 0.5)[None].repeat(50, axis=0)
    assert eigen(ramp, half)["rmse"] < 1e-5


def test_official_scores_all_pixels_as_the_png_holds_them(tmp_path) -> None:
    random = np.random.default_rng(0)
    truth = random.uniform(1, 90, (40, 60)).astype(np.float32)
    truth[random.random(truth.shape) < 0.5] = np.nan
    prediction = random.uniform(0.0005, 300, (40, 60)).astype(np.float32)
    prediction[0, :10] = np.nan
    result = figures("official", truth, prediction)
    write_depth_png(tmp_path / "depth.png", prediction)
    stored = read_depth_png(tmp_path / "depth.png")
    scored = np.isfinite(truth) & np.isfinite(stored)
    expected = server_depth_errors(truth[scored].astype(float), stored[scored].astype(float))
    assert {name: result[name] for name in expected} == expected
    assert result["pixels"] == scored.sum()
    assert result["non_finite_predictions"] == np.isfinite(truth[0, :10]).sum() > 0


def test_official_predictions_of_zero_or_infinity_are_named() -> None:
    result = figures("official", flat(1, 4, 10), np.array([[10, 0, -5, np.inf]], dtype=np.float32))
    assert (result["pixels"], result["non_positive_predictions"], result["non_finite_predictions"]) == (3, 2, 1)


def test_selection_gives_both_sets() -> None:
    result = figures("selection", flat(352, 1216, 10), flat(352, 1216, 11))
    assert result["rel"] == pytest.approx(0.1)
    assert result["official"]["absErrorRel"] == pytest.approx(10)
    assert result["official"]["pixels"] == 352 * 1216 > result["pixels"]
    assert result["protocol"]["name"] == "selection"


def slanted_scene():
    """A plane whose depth grows along both axes of an image of 375x1242, and the half-size depth of the padded one."""
    rows, columns = np.mgrid[0:384, 0:1280].astype(np.float32)
    padded = 5 + 0.02 * (columns + 0.5) + 0.05 * (rows + 0.5)
    half = cv2.resize(padded, (640, 192), interpolation=cv2.INTER_AREA)
    return padded[:375, :1242], half


def test_a_perfect_network_fails_the_paper_s_protocol_because_its_depth_is_stretched() -> None:
    truth, half = slanted_scene()
    result = paper_depth_figures([compare_paper_way(truth, truth, half, half[:, ::-1])], "lidar")
    assert result["correct"]["rmse"] < 0.01
    # At column u of 1220 and row v of 375 the stretched map shows u * 1280 / 1220 and v * 384 / 375.
    v, u = np.mgrid[0:375, 0:1220] + 0.5
    expected = 0.02 * u * (1280 / 1220 - 1) + 0.05 * v * (384 / 375 - 1)
    assert result["rmse"] == pytest.approx(math.sqrt(np.mean(expected**2)), rel=1e-3)
    assert result["rmse_in_paper_units"] == pytest.approx(0.256 * result["rmse"])


def test_the_paper_s_other_faults() -> None:
    """Filled sky counts; the mirrored prediction is averaged in; a negative depth is praised and breaks log10."""
    measured, filled = flat(370, 1224, np.nan), flat(370, 1224, 80)
    measured[300:] = filled[300:] = 10
    errors = compare_paper_way(filled, measured, flat(192, 640, 10), flat(192, 640, -30))
    result = paper_depth_figures([errors], "lidar")
    assert result["correct"] == {
        "images": 1,
        "images_without_pixels": 0,
        "pixels": 70 * 1224,
        "non_finite_predictions": 0,
        "non_positive_predictions": 0,
        "d1": 1,
        "d2": 1,
        "d3": 1,
        "rel": 0,
        "rmse": 0,
        "log10": 0,
        "sq_rel": 0,
        "rmse_log": 0,
    }
    assert result["pixels"] == result["non_positive_predictions"] == 370 * 1220
    assert (result["d1"], result["log10"]) == (1, None)
    assert result["rmse"] == pytest.approx(math.sqrt((300 * 90**2 + 70 * 20**2) / 370))


def test_the_paper_s_table_of_objects_is_a_mean_over_images(make_label) -> None:
    """One image with one car, 100 % off; one with three cars, exact: mean 50 %."""
    car = make_label("Car", [20, 40, 60, 60])
    images = [
        compare_paper_way(flat(375, 1220, true), flat(375, 1220, true), flat(192, 640, 20), flat(192, 640, 20), cars)
        for true, cars in ((10, [car]), (20, [car] * 3))
    ]
    table = paper_object_figures(images)
    assert table["Vehicle"]["rel"] == 0.5
    assert (table["Vehicle"]["count"], table["Vehicle"]["images"]) == (4, 2)
    assert (table["People"]["rel"], table["People"]["count"]) == (None, 0)


def test_depth_by_distance_by_hand() -> None:
    truth = np.array([[4.0, 12.0, 12.0, np.nan, 90.0]], np.float32)
    found = np.array([[5.0, 12.0, 18.0, 1.0, 1.0]], np.float32)
    rows = {(row["from"], row["to"]): row for row in figures_by_distance([compare_by_distance(truth, found)])}
    assert rows[0, 5]["rel"] == pytest.approx(0.25)
    assert rows[10, 15]["rel"] == pytest.approx(0.25)
    assert rows[10, 15]["d1"] == 0.5
    assert [row["pixels"] for row in rows.values()] == [1, 0, 2, *[0] * 8, 3]
    assert rows[0, 80]["rel"] == pytest.approx((0.25 + 0 + 0.5) / 3)
    assert rows[0, 80]["d1"] == pytest.approx(1 / 3)
    error = DepthScores((), compare_by_distance(truth, found), None).mean_relative_error
    assert error == pytest.approx((0.25 + 0 + 0.5) / 3)
    assert DepthScores((), compare_by_distance(truth, np.full_like(truth, np.nan)), None).mean_relative_error is None


@pytest.mark.parametrize("name", [*DEPTH_PROTOCOLS, "paper"])
def test_every_description_names_what_was_compared(name) -> None:
    description = (paper_depth_figures([], "x") if name == "paper" else depth_figures(name, [], "x"))["protocol"]
    for part in [description["eigen"], description["official"]] if name == "selection" else [description]:
        assert {"name", "metrics", "crop", "cap", "resolution", "ground_truth", "mean"} <= set(part)
