"""Evaluation as a whole: predictions made from the truth itself, parts that are merged, sets with few labels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mp_perception.data.data_sets import open_data_set
from mp_perception.data.frame_sets import DroppedFrameError, Frame, FrameSet, RecordedOutputs
from mp_perception.data.ground_truth import EXACT_DEPTH, SINGLE_SCAN
from mp_perception.data.samples import Sample
from mp_perception.errors import UserError
from mp_perception.evaluation.figures import Evaluation, headline_figures
from mp_perception.evaluation.frame_scores import ScoringRules, score_frame, scoring_rules
from mp_perception.evaluation.paper_protocol import padded_depths
from mp_perception.evaluation.scoring import ScoringJob, evaluate
from mp_perception.inference.predictor import Predictor
from mp_perception.network.checkpoint import build_network, write_checkpoint
from mp_perception.network.multitask import describe_network
from mp_perception.prediction import Detections, Prediction, resize_depth
from mp_perception.synthetic.drive import write_object_set
from mp_perception.synthetic.sensors import camera_of_size

CLASSES = ("Car", "Van", "Truck", "Pedestrian", "Cyclist")
SCORED = ("Car", "Pedestrian", "Cyclist")
DIFFICULTIES = ("easy", "moderate", "hard")


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> FrameSet:
    root = tmp_path_factory.mktemp("streets") / "object"
    write_object_set(root, 4, seed=4, camera=camera_of_size(640, 192))
    return open_data_set("synthetic", root)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load("mobilenet_v2", num_threads=1, input_size=(96, 320))


def prediction_from_truth(sample: Sample, random: np.random.Generator | None = None, score: float = 0.9) -> Prediction:
    """All labelled objects and the true depth; with random numbers, shifted boxes, any scores and wrong depth."""
    assert sample.depth is not None
    count = len(sample.boxes)
    boxes, scores, depth = sample.boxes, np.full(count, score, np.float32), sample.depth
    if random is not None:
        boxes = boxes + random.normal(0, 2, (count, 1)).astype(np.float32)
        scores = random.uniform(0, 1, count).astype(np.float32)
        depth = depth * np.float32(random.uniform(0.7, 1.3))
    order = np.argsort(-scores)
    object_depth = np.nan_to_num(sample.object_depths, nan=20.0)
    numbers = np.ones(count, np.float32)
    detections = Detections(
        boxes, scores, sample.labels, object_depth, numbers, numbers, np.full((count, 3), np.nan, np.float32), CLASSES
    )
    return Prediction(detections[order], depth, sample.size)


def evaluated(
    data_set: FrameSet,
    indices: list[int],
    seed: int | None,
    score: float = 0.9,
    protocol: str = "eigen",
    threshold: float = 0.3,
) -> Evaluation:
    evaluation = Evaluation(ScoringRules(protocol, "truth", SCORED, {}, CLASSES, threshold))
    for index in indices:
        sample = data_set[index]
        random = None if seed is None else np.random.default_rng([seed, index])
        height, width = sample.size
        labels, camera = data_set.labels(index), data_set.camera(index, width, height)
        prediction = prediction_from_truth(sample, random, score)
        evaluation.frames[sample.name] = score_frame(evaluation.rules, sample, labels, camera, prediction)
    return evaluation


def test_the_truth_itself_is_perfect(streets: FrameSet) -> None:
    evaluation = evaluated(streets, list(range(4)), seed=None)
    result = evaluation.result(with_coco=True)
    perfect = {"d1": 1, "d2": 1, "d3": 1, "rel": 0, "rmse": 0, "log10": 0, "sq_rel": 0, "rmse_log": 0}
    assert {name: result["depth"][name] for name in perfect} == perfect
    assert result["depth"]["images"] == result["images"]["with_depth"] == result["images"]["with_labels"] == 4
    rows = result["detection"].values()
    counts = [
        (row["counted"][name], row["thresholds"][name], row["precision"][name]) for row in rows for name in DIFFICULTIES
    ]
    assert sum(counted for counted, _, _ in counts) > 50
    for counted, thresholds, precision in counts:
        # No false alarm anywhere, and one threshold per object.
        assert len(thresholds) == counted
        assert precision == ([1.0] * counted + [0.0] * (41 - counted) if counted else None)
    assert result["coco"]["mAP"] == pytest.approx(100)
    found = result["objects"]["found"]["all"]["all"]
    assert found["objects"] == found["found"] > 10
    assert result["objects"]["Vehicle"]["count"] > 3
    # What is hidden is measured at what hides it, so the depth is right of those that are seen.
    by_occlusion = result["objects"]["measures"]["box_statistic"]["depth_map"]["occlusion"]
    assert by_occlusion["visible"]["count"] > 20
    assert by_occlusion["visible"]["d1"] > 0.8 > by_occlusion["largely"]["d1"]


@pytest.mark.parametrize("protocol", ["eigen", "selection"])
def test_parts_give_the_same_figures_to_the_last_bit(streets: FrameSet, protocol: str) -> None:
    whole = evaluated(streets, [0, 1, 2, 3], seed=5, protocol=protocol).result(20, with_coco=True)
    for parts in ([[0, 2], [1, 3]], [[3], [2, 1], [0]], [[], [0, 1, 2, 3]]):
        first, *others = (evaluated(streets, part, seed=5, protocol=protocol) for part in parts)
        for other in others:
            first.merge(other)
        assert json.dumps(first.result(20, with_coco=True)) == json.dumps(whole)
    assert whole["detection"]["Pedestrian"]["AP40"]["hard"] > 0
    assert whole["depth"]["protocol"]["name"] == protocol


def test_parts_that_do_not_fit_are_refused(streets: FrameSet) -> None:
    one, other = (evaluated(streets, [0], seed=5) for _ in range(2))
    with pytest.raises(ValueError, match="000000 was scored twice"):
        one.merge(other)
    with pytest.raises(ValueError, match="different rules"):
        one.merge(evaluated(streets, [1], seed=5, threshold=0.4))


def test_detections_below_the_threshold_count_for_precision_but_find_no_object(streets: FrameSet) -> None:
    result = evaluated(streets, [0, 1, 2, 3], seed=None, score=0.2, threshold=0.5).result()
    assert result["objects"]["found"]["all"]["all"]["found"] == 0
    assert result["detection"]["Pedestrian"]["AP40"]["hard"] > 10


def test_without_truth_nothing_is_scored(streets: FrameSet) -> None:
    sample = streets[0]
    bare = Sample(sample.name, sample.origin, sample.image, sample.class_names)
    evaluation = evaluated(streets, [], seed=None)
    evaluation.frames["0"] = score_frame(evaluation.rules, bare, None, None, prediction_from_truth(sample))
    result = evaluation.result(with_coco=True)
    assert result["depth"] is result["objects"] is result["detection"] is result["coco"] is None
    assert result["frames"] == {"received": 1, "scored": 1, "dropped": {}}
    assert headline_figures(evaluation) == {}


def test_headline_figures_are_fractions_and_an_error(streets: FrameSet) -> None:
    evaluation = evaluated(streets, [0, 1, 2, 3], seed=5)
    figures, result = headline_figures(evaluation), evaluation.result()
    assert figures["d1"] == result["depth"]["d1"]
    assert figures["rmse"] == result["depth"]["rmse"]
    assert figures["AP40-Pedestrian"] == pytest.approx(result["detection"]["Pedestrian"]["AP40"]["moderate"] / 100)
    assert all(0 <= value <= 1 for name, value in figures.items() if name != "rmse")


def test_latency_is_numpy_s_percentiles_over_the_frames_that_have_the_stage(streets: FrameSet) -> None:
    evaluation = evaluated(streets, [], seed=None)
    times = np.random.default_rng(0).gamma(3, 10, 1001)
    sample = streets[0]
    bare = Sample(sample.name, sample.origin, sample.image, sample.class_names)
    for i, milliseconds in enumerate(times):
        prediction = Prediction(
            prediction_from_truth(sample).detections, sample.depth, sample.size, {"run": milliseconds}
        )
        if i % 2:
            prediction.timings["wait"] = 1.0
        evaluation.frames[f"{i:04d}"] = score_frame(evaluation.rules, bare, None, None, prediction)
    figures = evaluation.latency_figures()
    expected = dict(zip(("median", "p90", "p99", "max"), np.percentile(times, [50, 90, 99, 100]), strict=True))
    assert figures["run"] == {**{name: pytest.approx(value) for name, value in expected.items()}, "frames": 1001}
    assert figures["wait"] == {"median": 1, "p90": 1, "p99": 1, "max": 1, "frames": 500}
    assert figures["total"]["max"] == pytest.approx(max(time + i % 2 for i, time in enumerate(times)))


def test_a_set_is_scored_for_its_own_classes_only(tmp_path: Path, predictor: Predictor) -> None:
    root = tmp_path / "penn_fudan"
    for name in ("image", "label"):
        (root / name).mkdir(parents=True)
    image = np.random.default_rng(0).integers(0, 256, (96, 320, 3), dtype=np.uint8)
    cv2.imwrite(str(root / "image" / "1.png"), image)
    unknown = "-1 -1 -1 -1000 -1000 -1000 -10"
    (root / "label" / "1.txt").write_text(f"Pedestrian -1 -1 -10 50 10 80 90 {unknown}\n")
    result = evaluate(predictor, open_data_set("people", root)).result()
    assert list(result["detection"]) == ["Pedestrian"]
    assert result["detection_protocol"]["left_out"] == dict.fromkeys(
        ("Car", "Cyclist"), "not labelled in this data set"
    )
    assert result["depth"] is None
    assert result["objects"]["found"]["all"]["all"]["objects"] == 1


def test_the_frames_asked_for_are_predicted_and_compared(streets: FrameSet, predictor: Predictor) -> None:
    evaluation = evaluate(predictor, streets, indices=[2, 0])
    assert list(evaluation.frames) == ["000002", "000000"]
    errors = []
    for index in (0, 2):
        sample = streets[index]
        height, width = sample.depth.shape
        predicted = predictor.predict(sample.image, sample.intrinsics).network_depth
        enlarged = np.minimum(resize_depth(predicted, width, height), 80)  # beyond counts as the cap
        rows = slice(int(0.40810811 * height), int(0.99189189 * height))
        columns = slice(int(0.03594771 * width), int(0.96405229 * width))
        truth, found = sample.depth[rows, columns].astype(float), enlarged[rows, columns].astype(float)
        known = (truth > 0.001) & (truth < 80)
        errors.append(np.mean(np.abs(truth - found)[known] / truth[known]))
    assert evaluation.result()["depth"]["rel"] == pytest.approx(np.mean(errors), rel=1e-6)


class RecordedStreets(FrameSet):
    """Frames of another set with recorded predictions: the truth; every third image is unusable or has no output."""

    def __init__(self, frames: FrameSet) -> None:
        names = [Frame(f"{i}", frames.frames[i % 4].image) for i in range(6)]
        super().__init__("recorded", names, frames.class_names, frames.class_names)
        self.recorded = RecordedOutputs(CLASSES, frozenset({0.3}))
        self._frames = frames

    def image(self, index):
        self.problems = [("depth unusable", f"frame {index}")] if index == 1 else []
        if index == 2:
            raise DroppedFrameError("image unusable", "frame 2: no pixels")
        return super().image(index)

    def recorded_prediction(self, index):
        if index == 5:
            raise DroppedFrameError("no output", "frame 5: nothing was published")
        return prediction_from_truth(self._frames[index % 4])


def test_dropped_frames_and_problems_are_counted(streets: FrameSet) -> None:
    data_set = RecordedStreets(streets)
    rules = scoring_rules(data_set, data_set.recorded.class_names, 0.3)
    evaluation = ScoringJob(data_set, rules).score(None, range(6))
    assert list(evaluation.frames) == ["0", "1", "3", "4"]
    result = evaluation.result()
    assert result["frames"] == {"received": 6, "scored": 4, "dropped": {"image unusable": 1, "no output": 1}}
    assert evaluation.problem_figures() == {
        "depth unusable": {"frames": 1, "first": "frame 1"},
        "image unusable": {"frames": 1, "first": "frame 2: no pixels"},
        "no output": {"frames": 1, "first": "frame 5: nothing was published"},
    }


@pytest.mark.parametrize("focal_ratio", [None, 2.0])
def test_the_papers_protocol_stretches_and_the_correct_one_does_not(
    streets: FrameSet, tmp_path: Path, focal_ratio: float | None
) -> None:
    """focal_ratio: of the camera's focal length to that of a network whose depth depends on it."""
    sample = streets[0]
    training_focal_length = focal_ratio and sample.intrinsics.fy / focal_ratio
    description = replace(describe_network("mobilenet_v2"), training_focal_length=training_focal_length)
    write_checkpoint(tmp_path / "network.safetensors", build_network(description))
    predictor = Predictor.load(weights=tmp_path / "network.safetensors", num_threads=1, input_size=(384, 1280))
    result = evaluate(predictor, streets, protocol="paper", indices=[0]).result()
    padded = np.zeros((384, 1280, 3), np.uint8)
    padded[:192, :640] = sample.image
    straight = predictor.runtime.run(padded[None]).depth[0]
    mirrored = predictor.runtime.run(np.ascontiguousarray(padded[None, :, ::-1])).depth[0]
    np.testing.assert_array_equal(padded_depths(predictor.runtime, sample.image, "x")[1], mirrored)
    straight, mirrored = (np.float32(focal_ratio or 1) * depth for depth in (straight, mirrored))
    # The image fills the left top quarter of the padded one; the faulty way lays all of it over the image.
    stretched = cv2.resize((straight + mirrored[:, ::-1]) / 2, (640, 192), interpolation=cv2.INTER_LINEAR)
    known = np.isfinite(sample.depth)
    correct = cv2.resize(straight, (1280, 384), interpolation=cv2.INTER_LINEAR)[:192, :640]
    error = np.sqrt(np.mean((correct[known].astype(float) - sample.depth[known]) ** 2))
    assert result["depth"]["correct"]["rmse"] == pytest.approx(error, rel=1e-5)
    # The sky has no depth in the true map: the paper's target is filled there, and so counts more pixels.
    assert result["depth"]["pixels"] == sample.depth.size > result["depth"]["correct"]["pixels"] == known.sum()
    faulty = np.sqrt(np.mean((stretched[known].astype(float) - sample.depth[known]) ** 2) * known.sum())
    assert result["depth"]["rmse"] > faulty / np.sqrt(sample.depth.size) - 1e-6
    assert result["depth"]["rmse_in_paper_units"] == pytest.approx(result["depth"]["rmse"] * 0.256)
    assert result["objects"]["Vehicle"]["count"] >= result["objects"]["correct"]["Vehicle"]["count"]
    assert "8-bit" in result["depth"]["protocol"]["input"]


def test_ground_truth_is_named_by_the_folders(streets: FrameSet) -> None:
    assert streets.ground_truth == EXACT_DEPTH
    assert open_data_set("kitti-object", streets.frames[0].image.parents[2]).ground_truth == SINGLE_SCAN


def test_protocols_that_do_not_fit_are_refused(streets: FrameSet, predictor: Predictor) -> None:
    with pytest.raises(UserError, match="unknown protocol 'other': expected one of eigen, official"):
        scoring_rules(streets, CLASSES, 0.3, "other")
    with pytest.raises(UserError, match="expected data set kitti-depth-selection, found synthetic"):
        scoring_rules(streets, CLASSES, 0.3, "selection")
    with pytest.raises(UserError, match="expected a network input of 1280x384 pixels, found 320x96"):
        evaluate(predictor, streets, protocol="paper")
    with pytest.raises(UserError, match="image big: expected at most 1280x384 pixels for protocol paper, found 1400x"):
        padded_depths(predictor.runtime, np.zeros((100, 1400, 3), np.uint8), "big")
