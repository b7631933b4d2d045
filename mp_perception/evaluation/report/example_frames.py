"""The worst and the best frames of an evaluation as pictures: which they are, and what is drawn of them.

They are chosen when all frames have been scored, and predicted once more to be drawn.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from mp_perception.arrays import RgbImage
from mp_perception.data.object_label import IGNORED_REGION
from mp_perception.data.samples import Sample
from mp_perception.evaluation.average_precision import MIN_IOUS
from mp_perception.evaluation.depth_protocols import MAX_DEPTH
from mp_perception.evaluation.figures import Evaluation
from mp_perception.evaluation.frame_scores import FrameScore, ScoringRules
from mp_perception.evaluation.scoring import ScoringJob
from mp_perception.files import write_atomically
from mp_perception.inference.predictor import Predictor
from mp_perception.prediction import Detections, Prediction, resize_depth
from mp_perception.visualization.depth_colors import color_depth
from mp_perception.visualization.overlay import draw_detections, draw_true_boxes

#: Kinds of examples.
WORST_DEPTH, WORST_DETECTION, BEST_DEPTH = "worst depth", "worst detection", "best depth"
MOST_OBJECTS = "most objects"
#: At most so many frames of each kind.
NUM_FRAMES = 3
#: Frames of a video that are closer together show the same scene: only one of them is an example.
MIN_DISTANCE = 10
#: Pictures are made to fit into this width and height, pixels.
MAX_PICTURE_SIZE = (960, 640)

#: Relative error at which the error map's colour ends.
MAX_ERROR = 0.5


class Picture(NamedTuple):
    """title: what it shows.  pixels: RGB (H, W, 3)."""

    title: str
    pixels: RgbImage


@dataclass(frozen=True)
class ExampleFrame:
    """kind: such as "worst depth".  number: from 1 within its kind.  caption: why it was chosen, in one sentence."""

    kind: str
    number: int
    name: str
    caption: str
    pictures: tuple[Picture, ...]


def example_frames(job: ScoringJob, evaluation: Evaluation, predictor: Predictor | None) -> list[ExampleFrame]:
    """The frames with the worst depth, the worst detections, and the best depth of an evaluated job.

    Without any truth they are those with the most objects.
    predictor: None takes the recorded predictions.
    """
    indices = {frame.name: index for index, frame in enumerate(job.data_set.frames)}
    examples = []
    for kind, names in choose_frames(evaluation).items():
        for number, name in enumerate(names, start=1):
            index = indices[name]
            sample = job.data_set[index]
            prediction = job.predict(predictor, index, sample)
            shown = prediction.detections.above(job.rules.score_threshold)
            labels = [label for label in job.data_set.labels(index) or [] if label.class_name != IGNORED_REGION]
            pictures = [draw_objects(sample, shown, [label.box for label in labels])]
            if kind != WORST_DETECTION:
                pictures += draw_depth(sample, prediction)
            caption = _caption(kind, job.rules, evaluation.frames[name])
            if kind != MOST_OBJECTS:
                caption += f" Labelled: {_counted(label.class_name for label in labels)}."
            examples.append(ExampleFrame(kind, number, name, caption, tuple(pictures)))
    return examples


def choose_frames(evaluation: Evaluation) -> dict[str, list[str]]:
    """Kind -> names of frames, the most extreme first; a frame is not both among the worst and the best by depth.

    Depth is ranked by mean relative error, detection by objects missed and false alarms; frames without any truth by
    the number of detections.
    """
    frames = dict(sorted(evaluation.frames.items()))
    if all(score.depth is None and score.objects is None for score in frames.values()):
        ranking = sorted(frames, key=lambda name: -_num_detected(frames[name]))
        return {MOST_OBJECTS: _far_apart(ranking, list(frames), NUM_FRAMES)}
    errors = {name: score.depth.mean_relative_error for name, score in frames.items() if score.depth is not None}
    known = {name: error for name, error in errors.items() if error is not None}
    mistakes = {name: sum(_mistakes(evaluation.rules, score)) for name, score in frames.items()}
    by_error = sorted(known, key=lambda name: known[name])
    by_mistakes = sorted(filter(mistakes.get, frames), key=lambda name: -mistakes[name])
    worst = _far_apart(by_error[::-1], list(frames), min(NUM_FRAMES, len(known) // 2))
    rest = [name for name in by_error if name not in worst]
    return {
        WORST_DEPTH: worst,
        WORST_DETECTION: _far_apart(by_mistakes, list(frames), NUM_FRAMES),
        BEST_DEPTH: _far_apart(rest, list(frames), NUM_FRAMES),
    }


def _far_apart(ranking: Sequence[str], order: Sequence[str], count: int) -> list[str]:
    """The first frames of a ranking that are not close to each other in the order of all frames."""
    place = {name: i for i, name in enumerate(order)}
    # Small sets are taken as they are: they would have no second frame.
    distance = min(MIN_DISTANCE, len(order) // (4 * NUM_FRAMES))
    chosen: list[str] = []
    for name in ranking:
        if len(chosen) < count and all(abs(place[name] - place[other]) >= distance for other in chosen):
            chosen.append(name)
    return chosen


def _mistakes(rules: ScoringRules, score: FrameScore) -> tuple[int, int]:
    """Objects missed and false alarms by KITTI's moderate rules, at the smallest overlap that counts."""
    missed = false_alarms = 0
    if score.objects is not None:
        for (class_name, min_iou, difficulty), match in zip(rules.criteria, score.objects.matches, strict=True):
            if difficulty.name == "moderate" and min_iou == min(MIN_IOUS[class_name]):
                hits, alarms = match.counts_at(rules.score_threshold)
                missed, false_alarms = missed + match.counted - hits, false_alarms + alarms
    return missed, false_alarms


def _num_detected(score: FrameScore) -> int:
    return sum(map(len, score.detected.values()))


def _caption(kind: str, rules: ScoringRules, score: FrameScore) -> str:
    if kind == MOST_OBJECTS:
        return f"Objects detected: {_num_detected(score)}."
    if kind == WORST_DETECTION:
        missed, false_alarms = _mistakes(rules, score)
        return f"Objects missed: {missed}, false alarms: {false_alarms} (KITTI's moderate rules)."
    assert score.depth is not None
    return f"Mean relative error {score.depth.mean_relative_error:.3f} over the pixels whose true depth is known."


def draw_objects(
    sample: Sample, detections: Detections, true_boxes: Sequence[tuple[float, float, float, float]]
) -> Picture:
    """The camera image with true boxes in white, and detections."""
    canvas = sample.image.copy()
    draw_true_boxes(canvas, true_boxes)
    draw_detections(canvas, detections)
    counted = _counted(detections.name(i) for i in range(len(detections)))
    labelled = "; labelled, in white" if true_boxes else ""
    return Picture(f"detected, in colour: {counted}{labelled}", fitted(canvas))


def draw_depth(sample: Sample, prediction: Prediction) -> list[Picture]:
    """Predicted depth; true depth and error map of a sample with a depth map."""
    height, width = sample.size
    depth = resize_depth(prediction.network_depth, width, height)
    title = "predicted depth: red is 1 m, blue is 80 m, in logarithmic steps; grey is beyond"
    predicted = Picture(title, fitted(color_depth(depth, scale_bar=False)))
    truth = sample.depth
    if truth is None:
        return [predicted]
    error = (np.abs(np.minimum(depth, MAX_DEPTH) - truth) / truth).astype(np.float32)
    return [
        predicted,
        Picture("true depth, where it is known", fitted(color_depth(thickened(truth), scale_bar=False))),
        Picture(
            f"error: blue is correct, red is wrong by {MAX_ERROR:.0%} or more",
            fitted(color_error(thickened(error))),
        ),
    ]


def write_examples(folder: Path, examples: Iterable[ExampleFrame]) -> None:
    """Write <folder>/<kind>_<number>_<name>.jpg of each frame: its pictures below each other."""
    for example in examples:
        stacked = np.concatenate([picture.pixels for picture in example.pictures])
        name = f"{example.kind}_{example.number}_{example.name}".replace("/", "_").replace(" ", "_")
        write_atomically(folder / f"{name}.jpg", encode_jpeg(stacked))


def encode_jpeg(pixels: RgbImage, quality: int = 80) -> bytes:
    """RGB (H, W, 3) as the bytes of a JPEG file; colours are kept at full resolution, because they are a scale."""
    content = io.BytesIO()
    # OpenCV has this option only since version 4.7.
    PillowImage.fromarray(pixels).save(content, "JPEG", quality=quality, subsampling="4:4:4")
    return content.getvalue()


def _counted(class_names: Iterable[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in Counter(class_names).most_common()) or "none"


def fitted(picture: RgbImage) -> RgbImage:
    """A picture (H, W, 3) made small enough."""
    height, width = picture.shape[:2]
    factor = min(1.0, MAX_PICTURE_SIZE[0] / width, MAX_PICTURE_SIZE[1] / height)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def color_error(error: NDArray[np.float32]) -> RgbImage:
    """Relative errors (H, W) as colours up to MAX_ERROR; black where unknown."""
    levels = np.clip(np.nan_to_num(error, nan=0.0) / MAX_ERROR, 0, 1) * 255
    colors = cv2.cvtColor(cv2.applyColorMap(levels.astype(np.uint8), cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    colors[np.isnan(error)] = 0
    return np.asarray(colors, dtype=np.uint8)


def thickened(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """A sparse map (H, W), NaN where unknown, made visible: an unknown pixel takes the minimum of its neighbours."""
    largest = np.finfo(np.float32).max
    known = np.isfinite(values)
    filled = np.where(known, values, largest).astype(np.float32)
    thick = np.where(known, values, cv2.erode(filled, np.ones((3, 3), dtype=np.uint8)))
    return np.where(thick == largest, np.nan, thick).astype(np.float32)
