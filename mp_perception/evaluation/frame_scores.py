"""One frame's prediction compared with its truth: by which rules, and what is kept of it.

Nothing is summed here: figures.py makes the figures of a data set from the scores of its frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mp_perception.data.frame_sets import FrameCamera, FrameSet
from mp_perception.data.object_label import ObjectLabel
from mp_perception.data.samples import Sample
from mp_perception.errors import UserError, unknown_name
from mp_perception.evaluation.average_precision import MIN_IOUS, Criterion, criteria_of, match_image
from mp_perception.evaluation.beyond import BeyondCounts, count_beyond
from mp_perception.evaluation.depth_metrics import DEPTH_METRICS, ImageErrors
from mp_perception.evaluation.depth_protocols import DEPTH_PROTOCOLS, compare_by_distance
from mp_perception.evaluation.kitti_matching import ImageMatches
from mp_perception.evaluation.object_depth_metrics import ObjectDepths, measure_objects
from mp_perception.evaluation.object_depth_truth import ObjectTruths, object_truths
from mp_perception.evaluation.paper_protocol import INPUT_SIZE, PaperErrors, score_paper_frame
from mp_perception.inference.prediction_settings import PredictionSettings
from mp_perception.inference.predictor import Predictor
from mp_perception.prediction import Detections, Prediction

#: Depth protocols by name; `paper` runs the network on the paper's input as well.
PROTOCOLS = (*DEPTH_PROTOCOLS, "paper")
#: Average precision takes detections of at least this score (SSD's own choice), so that the whole curve is measured.
LOWEST_SCORE = 0.01
#: At most so many detections of an image are scored, the best (COCO's choice).
MAX_DETECTIONS = 100


@dataclass(frozen=True)
class ScoringRules:
    """What is compared with what: the same for all frames of an evaluation.

    protocol: a name in PROTOCOLS.  ground_truth: what the depth maps are, in words.
    scored_classes: classes of average precision.  left_out: class -> why it is not among them.
    labelled_classes: classes whose depth is scored.
    score_threshold: minimum score of a detection that finds an object.
    """

    protocol: str
    ground_truth: str
    scored_classes: tuple[str, ...]
    left_out: Mapping[str, str]
    labelled_classes: tuple[str, ...]
    score_threshold: float

    @property
    def criteria(self) -> list[Criterion]:
        """Of average precision."""
        return criteria_of(self.scored_classes)

    @property
    def prediction_settings(self) -> PredictionSettings:
        """How a network predicts for an evaluation."""
        return PredictionSettings(
            score_threshold=min(LOWEST_SCORE, self.score_threshold), max_detections=MAX_DETECTIONS
        )


@dataclass(frozen=True)
class DepthScores:
    """Errors of one depth map.

    by_protocol: by each of the protocols that the rules name; none for `paper`.
    by_distance: by range of true distance.  paper: for protocol `paper` only.
    """

    by_protocol: tuple[ImageErrors, ...]
    by_distance: tuple[ImageErrors, ...]
    paper: PaperErrors | None

    @property
    def mean_relative_error(self) -> float | None:
        """Of all known pixels up to 80 m; None without any."""
        *_, everywhere = self.by_distance
        return float(everywhere.errors[DEPTH_METRICS.index("rel")]) if everywhere.pixels else None


@dataclass(frozen=True)
class ObjectScores:
    """The objects of one frame.

    matches: by criterion of average precision.  depths: of the objects of the labelled classes.  truths: of all labels.
    camera: None if unknown.
    """

    labels: Sequence[ObjectLabel]
    detections: Detections
    matches: tuple[ImageMatches, ...]
    depths: ObjectDepths
    truths: ObjectTruths
    camera: FrameCamera | None


@dataclass(frozen=True)
class FrameScore:
    """What is kept of one frame: its boxes and some numbers, a few kilobytes.

    depth: None without a depth map.  objects: None where objects were not labelled.  beyond: see there.
    detected: class -> distances of its detections (at the score threshold), metres, NaN where unknown.
    timings: milliseconds by stage, as in Prediction.
    """

    depth: DepthScores | None
    objects: ObjectScores | None
    beyond: BeyondCounts
    detected: Mapping[str, Sequence[float]]
    timings: Mapping[str, float]


def needed_input_size(protocol: str) -> tuple[int, int] | None:
    """Network input (height, width) that a protocol needs; None if any."""
    return INPUT_SIZE if protocol == "paper" else None


def scoring_rules(
    data_set: FrameSet, predicted_classes: Sequence[str], score_threshold: float, protocol: str = "eigen"
) -> ScoringRules:
    """The rules for a data set.

    predicted_classes: those that predictions can name.
    Raises UserError if the protocol is unknown or made for another data set.
    """
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS)
    if protocol == "selection" and data_set.origin != "kitti-depth-selection":
        raise UserError(f"protocol selection: expected data set kitti-depth-selection, found {data_set.origin}")
    labelled = data_set.labelled_names
    left_out = {name: "not labelled in this data set" for name in MIN_IOUS if name not in labelled}
    left_out |= {name: "not known to this network" for name in labelled if name not in predicted_classes}
    return ScoringRules(
        protocol=protocol,
        ground_truth=data_set.ground_truth,
        scored_classes=tuple(name for name in MIN_IOUS if name not in left_out),
        left_out=left_out,
        labelled_classes=tuple(labelled),
        score_threshold=score_threshold,
    )


def score_frame(
    rules: ScoringRules,
    sample: Sample,
    labels: Sequence[ObjectLabel] | None,
    camera: FrameCamera | None,
    prediction: Prediction,
    predictor: Predictor | None = None,
    sky: NDArray[np.bool_] | None = None,
) -> FrameScore:
    """Compare a frame's prediction with its truth.

    labels, camera, sky: as FrameSet has them.  predictor: what predicted; protocol `paper` runs its network again.
    """
    depth = None
    if sample.depth is not None:
        protocols = DEPTH_PROTOCOLS.get(rules.protocol, ())
        paper = None
        if rules.protocol == "paper":
            assert predictor is not None
            paper = score_paper_frame(predictor.runtime, sample, labels or [], camera)
        depth = DepthScores(
            by_protocol=tuple(protocol.compare(sample.depth, prediction.network_depth) for protocol in protocols),
            by_distance=compare_by_distance(sample.depth, prediction.network_depth),
            paper=paper,
        )
    objects = None
    if labels is not None:
        truths = object_truths(labels, sample.depth, camera)
        objects = ObjectScores(
            labels,
            prediction.detections,
            match_image(labels, prediction.detections, rules.criteria),
            measure_objects(labels, truths, prediction, rules.labelled_classes, rules.score_threshold),
            truths,
            camera,
        )
    beyond = count_beyond(sky, sample.depth, prediction.network_depth)
    detected: dict[str, list[float]] = {}
    found = prediction.detections.above(rules.score_threshold)
    for i in range(len(found)):
        detected.setdefault(found.name(i), []).append(float(found.depth[i]))
    return FrameScore(depth, objects, beyond, detected, prediction.timings)
