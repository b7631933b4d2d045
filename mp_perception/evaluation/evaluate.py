"""Scores a network on a data set: depth maps, depth of single objects, and detections, image by image.

`evaluate` is what `mp_perception evaluate` and the validation of a training both call.  Parts of one data set, scored
by several processes, are joined by `Evaluation.merge` and give the same figures to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mp_perception.data.frame_sets import FrameCamera, FrameSet
from mp_perception.data.kitti.raw_frames import EXACT_DEPTH
from mp_perception.data.object_label import ObjectLabel
from mp_perception.data.samples import Sample
from mp_perception.errors import UserError
from mp_perception.evaluation.coco_metrics import coco_mean_average_precision
from mp_perception.evaluation.depth_by_distance import DepthByDistance, mean_relative_error
from mp_perception.evaluation.detection_metrics import MIN_IOUS, KittiDetectionScorer, average_precision_table
from mp_perception.evaluation.kitti_matching import DIFFICULTIES
from mp_perception.evaluation.object_depth_metrics import ObjectDepthScorer
from mp_perception.evaluation.object_depth_truth import ObjectTruths, object_truths
from mp_perception.evaluation.paper_protocol import INPUT_SIZE, PaperScorer
from mp_perception.evaluation.protocols import (
    IMPROVED,
    SINGLE_SCAN,
    EigenProtocol,
    OfficialProtocol,
    SelectionProtocol,
)
from mp_perception.inference.predictor import PredictionSettings, Predictor
from mp_perception.prediction import Detections, Prediction

#: Average precision takes detections of at least this score (SSD's own choice), so that the whole curve is measured.
LOWEST_SCORE = 0.01
#: At most so many detections of an image are scored, the best (COCO's choice).
MAX_DETECTIONS = 100

#: Depth protocols by name; `paper` runs the network on the paper's input as well.
PROTOCOLS = ("eigen", "official", "selection", "paper")

#: What gets every image that was scored: its index in the data set, the sample and what was predicted for it.
ImageObserver = Callable[[int, Sample, Prediction], None]


class Evaluation:
    """The figures of the images taken so far.

    protocol: a name in PROTOCOLS.  ground_truth: what the depth maps are, in words.
    scored_classes: classes of average precision.  left_out: class -> why it is not among them.
    labelled_classes: label types whose depth is scored.  score_threshold: of the detections that stand for objects.
    Depth is kept as sums; of every image its boxes and some numbers per object stay (kilobytes), no pictures.
    """

    def __init__(
        self,
        protocol: str,
        ground_truth: str,
        scored_classes: Sequence[str],
        left_out: Mapping[str, str],
        labelled_classes: Sequence[str],
        score_threshold: float,
    ) -> None:
        self.protocol = protocol
        self.score_threshold = score_threshold
        self.scored_classes = tuple(scored_classes)
        self._left_out = dict(left_out)
        self._labelled_classes = tuple(labelled_classes)
        self._depth: EigenProtocol | OfficialProtocol | SelectionProtocol | None = None
        self._paper: PaperScorer | None = None
        if protocol == "paper":
            self._paper = PaperScorer(ground_truth, score_threshold, labelled_classes)
        elif protocol == "selection":
            self._depth = SelectionProtocol(ground_truth)
        elif protocol == "official":
            self._depth = OfficialProtocol(ground_truth)
        else:
            self._depth = EigenProtocol(ground_truth)
        self.by_distance = DepthByDistance()
        self.detection = KittiDetectionScorer({name: MIN_IOUS[name] for name in scored_classes})
        self.objects = ObjectDepthScorer(score_threshold, labelled_classes)
        self._boxes: dict[str, tuple[list[ObjectLabel], Detections]] = {}
        #: Name of each image with a depth map -> its mean relative error, all known pixels up to 80 m.
        self.frame_errors: dict[str, float] = {}
        self.num_images = 0

    def add(
        self,
        sample: Sample,
        labels: list[ObjectLabel] | None,
        camera: FrameCamera | None,
        prediction: Prediction,
    ) -> None:
        """Take an image.  labels: as FrameSet.labels gives them; None where nobody looked for objects."""
        self.num_images += 1
        if sample.depth is not None:
            if self._depth is not None:
                self._depth.add(sample.depth, prediction.network_depth)
            self.by_distance.add(sample.depth, prediction.network_depth)
            error = mean_relative_error(sample.depth, prediction.network_depth)
            if error is not None:
                self.frame_errors[sample.name] = error
        if labels is not None:
            self.detection.add(sample.name, labels, prediction.detections)
            self.objects.add(sample.name, labels, _truths(labels, camera, sample), prediction)
            self._boxes[sample.name] = (labels, prediction.detections)

    def add_paper(
        self, predictor: Predictor, sample: Sample, labels: list[ObjectLabel] | None, camera: FrameCamera | None
    ) -> None:
        """Take an image's depth the paper's way as well; nothing to do for another protocol or without a depth map."""
        if self._paper is not None and sample.depth is not None:
            self._paper.add(predictor.runtime, sample, labels, camera)

    def merge(self, other: Evaluation) -> None:
        """Take over the images of another part of the same data set.  ValueError if an image is in both."""
        self.num_images += other.num_images
        if self._depth is not None:
            self._depth.merge(other._depth)  # type: ignore[arg-type]
        if self._paper is not None and other._paper is not None:
            self._paper.merge(other._paper)
        self.by_distance.merge(other.by_distance)
        self.detection.merge(other.detection)
        self.objects.merge(other.objects)
        self._boxes |= other._boxes
        self.frame_errors |= other.frame_errors

    def depth_result(self) -> dict[str, Any] | None:
        """The depth maps' figures with their protocol, and by distance; None if no image has a depth map."""
        part = self._depth or self._paper
        result = {} if part is None else part.result()
        if not self.by_distance.num_images:
            return None
        return {**result, "by_distance": self.by_distance.result()}

    def objects_result(self) -> dict[str, Any] | None:
        """The figures of single objects; None if no image has labels."""
        if not self._boxes:
            return None
        if self._paper is not None:
            return {**self._paper.objects_result(), "correct": self.objects.result()}
        return self.objects.result()

    def detection_protocol(self) -> dict[str, Any]:
        """How average precision was measured, in words."""
        return {
            "name": "KITTI 2D object detection",
            "classes": list(self.scored_classes),
            "left_out": self._left_out,
            "detections": f"score >= {min(LOWEST_SCORE, self.score_threshold):g}, the best {MAX_DETECTIONS} per image",
            "difficulties": {
                d.name: f"height >= {d.min_height} pixels, occlusion <= {d.max_occlusion}, "
                f"truncation <= {d.max_truncation:g} (unknown counts as none)"
                for d in DIFFICULTIES
            },
            "unit": "percent",
            "highest": "of N objects that count AP40 is at most (min(N, 41) - 1) / 40: compare few objects with care",
        }

    def result(self, num_resamples: int = 0, with_coco: bool = False) -> dict[str, Any]:
        """All figures, ready for JSON: depth, objects, detection, detection_protocol, coco, images.

        num_resamples: bootstrap resamples of whole images for the intervals of average precision, 0 for none.
        with_coco: COCO's mean average precision as well; raises UserError if its libraries are missing.
        """
        curves = self.detection.curves(num_resamples)
        protocol = self.detection_protocol()
        if num_resamples:
            protocol["intervals"] = f"2.5 and 97.5 percentile of {num_resamples} bootstrap resamples of images"
        coco = None
        known = [name for name in self._labelled_classes if name not in self._left_out]
        if with_coco and self._boxes:
            coco = coco_mean_average_precision((self._boxes[name] for name in sorted(self._boxes)), known)
        return {
            "depth": self.depth_result(),
            "objects": self.objects_result(),
            "detection": average_precision_table(curves) if self._boxes else None,
            "detection_protocol": protocol,
            "coco": coco,
            "images": {
                "evaluated": self.num_images,
                "with_depth": len(self.frame_errors),
                "with_labels": len(self._boxes),
            },
        }


def evaluate(
    predictor: Predictor,
    data_set: FrameSet,
    *,
    protocol: str = "eigen",
    score_threshold: float | None = None,
    indices: Iterable[int] | None = None,
    observe: ImageObserver | None = None,
) -> Evaluation:
    """Predict and score the images of a data set, one at a time.

    protocol: a name in PROTOCOLS; `paper` needs a network input of 384x1280 (Predictor.load(input_size=...)).
    score_threshold: of the detections that stand for objects; None takes the checkpoint's.  Average precision takes
    those of LOWEST_SCORE and more.  indices: of the images to take; all without.  observe: gets every image.
    Raises UserError for an unknown or unfitting protocol, and for what the data set finds wrong in its files.
    """
    check_protocol(protocol, data_set, predictor)
    threshold = predictor.description.score_threshold if score_threshold is None else score_threshold
    evaluation = start_evaluation(data_set, predictor.description.class_names, threshold, protocol)
    settings = PredictionSettings(score_threshold=min(LOWEST_SCORE, threshold), max_detections=MAX_DETECTIONS)
    for index in range(len(data_set)) if indices is None else indices:
        sample = data_set[index]
        height, width = sample.size
        labels, camera = data_set.labels(index), data_set.camera(index, width, height)
        prediction = predictor.predict(sample.image, sample.intrinsics, settings)
        evaluation.add(sample, labels, camera, prediction)
        evaluation.add_paper(predictor, sample, labels, camera)
        if observe is not None:
            observe(index, sample, prediction)
    return evaluation


def start_evaluation(
    data_set: FrameSet, predicted_classes: Sequence[str], score_threshold: float, protocol: str = "eigen"
) -> Evaluation:
    """An evaluation of a data set without images yet; predicted_classes: those that the predictions can name."""
    labelled = [name for name, known in zip(data_set.class_names, data_set.labelled_classes, strict=True) if known]
    left_out = {name: "not labelled in this data set" for name in MIN_IOUS if name not in labelled}
    left_out |= {name: "not known to this network" for name in labelled if name not in predicted_classes}
    return Evaluation(
        protocol,
        describe_ground_truth(data_set),
        [name for name in MIN_IOUS if name not in left_out],
        left_out,
        labelled,
        score_threshold,
    )


def check_protocol(protocol: str, data_set: FrameSet, predictor: Predictor) -> None:
    """Raises UserError if the protocol is unknown, or asks for other images or another network input."""
    if protocol not in PROTOCOLS:
        raise UserError(f"unknown protocol '{protocol}': expected one of {', '.join(PROTOCOLS)}")
    if protocol == "selection" and data_set.origin != "kitti-depth-selection":
        raise UserError(f"protocol selection: expected data set kitti-depth-selection, found {data_set.origin}")
    if protocol == "paper" and tuple(predictor.description.input_size) != INPUT_SIZE:
        height, width = predictor.description.input_size
        raise UserError(f"protocol paper: expected a network input of 1280x384 pixels, found {width}x{height}")


def describe_ground_truth(data_set: FrameSet) -> str:
    """What the depth maps of a data set are, in words, as far as it or their folders tell."""
    if data_set.ground_truth is not None:
        return data_set.ground_truth
    if data_set.origin == "synthetic":
        return EXACT_DEPTH
    folders = {part for frame in data_set.frames if frame.depth is not None for part in frame.depth.parts[-4:-1]}
    kinds = []
    if folders & {"groundtruth", "groundtruth_depth"}:
        kinds.append(IMPROVED)
    if folders & {"velodyne_raw", "depth_2"}:
        kinds.append(SINGLE_SCAN)
    if len(kinds) > 1:
        return f"mixed: {' and '.join(kinds)}"
    return kinds[0] if kinds else "depth maps of the data set"


def headline_figures(evaluation: Evaluation) -> dict[str, float]:
    """The few figures that a training watches: d1 (0..1) and rmse (metres) of depth maps, and moderate AP40 (0..1).

    Only those that the data set has labels for.
    """
    depth = evaluation.depth_result() or {}
    figures = {name: float(depth[name]) for name in ("d1", "rmse") if depth.get(name) is not None}
    for curve in evaluation.detection.curves():
        if curve.difficulty == "moderate" and curve.counted and curve.min_iou == MIN_IOUS[curve.class_name][0]:
            figures[f"AP40-{curve.class_name}"] = curve.ap40 / 100
    return figures


def _truths(labels: list[ObjectLabel], camera: FrameCamera | None, sample: Sample) -> ObjectTruths:
    """True depths of an image's objects; all unknown without a camera."""
    if camera is None:
        unknown = np.full(len(labels), np.nan)
        return ObjectTruths(unknown, unknown, unknown, unknown)
    return object_truths(labels, sample.depth, sample.depth, camera.intrinsics, camera.label_to_camera)
