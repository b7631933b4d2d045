"""What each protocol compares: crops, caps, sizes, rounding, and the paper's faults on a constructed case."""

from __future__ import annotations

import json
import math

import cv2
import numpy as np
import pytest

from mp_perception.data.depth_png import read_depth_png, write_depth_png
from mp_perception.evaluation.depth_metrics import server_depth_errors
from mp_perception.evaluation.protocols import (
    SINGLE_SCAN,
    EigenProtocol,
    OfficialProtocol,
    PaperProtocol,
    SelectionProtocol,
    registered_paper_depth,
    stretched_paper_depth,
)

SIX = ("d1", "d2", "d3", "rel", "rmse", "log10")


def flat(height, width, value):
    return np.full((height, width), value, dtype=np.float32)


def eigen(truth, prediction):
    protocol = EigenProtocol(SINGLE_SCAN)
    protocol.add(truth, prediction)
    return protocol.result()


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
    protocol = OfficialProtocol(SINGLE_SCAN)
    protocol.add(truth, prediction)
    result = protocol.result()
    write_depth_png(tmp_path / "depth.png", prediction)
    stored = read_depth_png(tmp_path / "depth.png")
    scored = np.isfinite(truth) & np.isfinite(stored)
    expected = server_depth_errors(truth[scored].astype(float), stored[scored].astype(float))
    assert {name: result[name] for name in expected} == expected
    assert result["pixels"] == scored.sum()
    assert result["non_finite_predictions"] == np.isfinite(truth[0, :10]).sum() > 0


def test_official_predictions_of_zero_or_infinity_are_named() -> None:
    protocol = OfficialProtocol(SINGLE_SCAN)
    protocol.add(flat(1, 4, 10), np.array([[10, 0, -5, np.inf]], dtype=np.float32))
    result = protocol.result()
    assert (result["pixels"], result["non_positive_predictions"], result["non_finite_predictions"]) == (3, 2, 1)


def test_selection_gives_both_sets() -> None:
    truth, prediction = flat(352, 1216, 10), flat(352, 1216, 11)
    selection = SelectionProtocol()
    selection.add(truth, prediction)
    result = selection.result()
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
    protocol = PaperProtocol(SINGLE_SCAN)
    protocol.add(truth, truth, half, half[:, ::-1])
    result = protocol.result()
    assert result["correct"]["rmse"] < 0.01
    # At column u of 1220 and row v of 375 the stretched map shows u * 1280 / 1220 and v * 384 / 375.
    v, u = np.mgrid[0:375, 0:1220] + 0.5
    expected = 0.02 * u * (1280 / 1220 - 1) + 0.05 * v * (384 / 375 - 1)
    assert result["rmse"] == pytest.approx(math.sqrt(np.mean(expected**2)), rel=1e-3)
    assert result["rmse_in_paper_units"] == pytest.approx(0.256 * result["rmse"])


def test_stretched_and_registered_depth_put_a_column_where_they_say() -> None:
    half = flat(192, 640, 10)
    half[:, 400:402] = 20
    # Columns 400 and 401 of 640 are 800..804 of 1280, and 762.5..766.3 of 1220.
    assert 800 <= registered_paper_depth(half, 1242, 375)[100].argmax() < 804
    assert 762 <= stretched_paper_depth(half, 1220, 375)[100].argmax() < 767
    assert registered_paper_depth(half, 1242, 375).shape == (375, 1242)


def test_the_paper_s_other_faults() -> None:
    """Filled sky counts; the mirrored prediction is averaged in; a negative depth is praised and breaks log10."""
    measured, filled = flat(370, 1224, np.nan), flat(370, 1224, 80)
    measured[300:] = filled[300:] = 10
    protocol = PaperProtocol(SINGLE_SCAN)
    protocol.add(filled, measured, flat(192, 640, 10), flat(192, 640, -30))
    result = protocol.result()
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
    }
    assert result["pixels"] == result["non_positive_predictions"] == 370 * 1220
    assert (result["d1"], result["log10"]) == (1, None)
    assert result["rmse"] == pytest.approx(math.sqrt((300 * 90**2 + 70 * 20**2) / 370))


def test_sizes_the_paper_s_network_cannot_have_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected depth of the padded image, \(192, 640\), found \(188, 640\)"):
        registered_paper_depth(flat(188, 640, 1), 1242, 375)
    with pytest.raises(ValueError, match="found 1242x400"):
        registered_paper_depth(flat(192, 640, 1), 1242, 400)


def protocols_and_images():
    random = np.random.default_rng(1)
    truths = [random.uniform(1, 90, (30, 50)).astype(np.float32) for _ in range(20)]
    predictions = [random.uniform(-1, 90, (15, 25)).astype(np.float32) for _ in range(20)]
    halves = [random.uniform(-0.01, 90, (192, 640)).astype(np.float32) for _ in range(20)]
    pairs = list(zip(truths, predictions, strict=True))
    yield lambda: EigenProtocol(SINGLE_SCAN), pairs
    yield lambda: OfficialProtocol(SINGLE_SCAN), pairs
    yield SelectionProtocol, pairs
    yield lambda: PaperProtocol(SINGLE_SCAN), [(t, t, h, h) for t, h in zip(truths, halves, strict=True)]


@pytest.mark.parametrize("number", range(4), ids=["eigen", "official", "selection", "paper"])
def test_parts_merge_to_the_same_json(number) -> None:
    make, images = list(protocols_and_images())[number]
    whole = make()
    for image in images:
        whole.add(*image)
    parts = [make() for _ in range(3)]
    for i in np.random.default_rng(2).permutation(20):
        parts[i % 3].add(*images[i])
    parts[2].merge(parts[0])
    parts[2].merge(parts[1])
    text = json.dumps(whole.result(), allow_nan=False)
    assert json.dumps(parts[2].result(), allow_nan=False) == text
    assert whole.result()["images"] == 20


@pytest.mark.parametrize("number", range(4), ids=["eigen", "official", "selection", "paper"])
def test_every_description_names_what_was_compared(number) -> None:
    make, _ = list(protocols_and_images())[number]
    description = make().result()["protocol"]
    for part in [description["eigen"], description["official"]] if number == 2 else [description]:
        assert {"name", "metrics", "crop", "cap", "resolution", "ground_truth", "mean"} <= set(part)
