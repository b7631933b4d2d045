"""Predicts the frames of a data set, or takes what a node recorded, and scores them one at a time.

`evaluate` is what the validation of a training and `mp_perception export` call; `mp_perception evaluate` and
`mp_perception bag evaluate` share a ScoringJob out to processes (pipeline.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mp_perception.data.frame_sets import DroppedFrameError, FrameSet
from mp_perception.data.samples import Sample
from mp_perception.errors import UserError
from mp_perception.evaluation.figures import Evaluation
from mp_perception.evaluation.frame_scores import ScoringRules, needed_input_size, score_frame, scoring_rules
from mp_perception.evaluation.result_files import write_depth, write_detections
from mp_perception.inference.network_choice import NetworkChoice
from mp_perception.inference.predictor import Predictor
from mp_perception.prediction import Prediction


def evaluate(
    predictor: Predictor,
    data_set: FrameSet,
    *,
    protocol: str = "eigen",
    indices: Iterable[int] | None = None,
) -> Evaluation:
    """Predict and score the frames of a data set.

    protocol: a name in PROTOCOLS; `paper` needs a network input of 384x1280 (Predictor.load(input_size=...)).
    indices: of the frames to take; all if None.
    Raises UserError for a protocol that does not fit, and for errors in the data set's files.
    """
    check_input(predictor, protocol)
    description = predictor.description
    rules = scoring_rules(data_set, description.class_names, description.score_threshold, protocol)
    return ScoringJob(data_set, rules).score(predictor, range(len(data_set)) if indices is None else indices)


def check_input(predictor: Predictor, protocol: str) -> None:
    """Raises UserError if a protocol needs another network input."""
    height, width = predictor.input_size
    if needed_input_size(protocol) not in (None, (height, width)):
        raise UserError(f"protocol paper: expected a network input of 1280x384 pixels, found {width}x{height}")


@dataclass(frozen=True)
class ScoringJob:
    """What every process that scores frames of a data set needs.

    network: which one a worker process loads; None scores the recorded predictions.
    weights_sha256: of the network's file, so that a worker that outlives this run loads a replaced file again.
    detections, depth: folders for the result files of the frames, or None.
    """

    data_set: FrameSet
    rules: ScoringRules
    network: NetworkChoice | None = None
    weights_sha256: str | None = None
    detections: Path | None = None
    depth: Path | None = None

    def score(self, predictor: Predictor | None, indices: Iterable[int]) -> Evaluation:
        """Score frames and write their files.  predictor: None takes the recorded predictions.

        Raises UserError for errors in the data set's files, except for frames that the data set drops.
        """
        evaluation = Evaluation(self.rules)
        for index in indices:
            name = self.data_set.frames[index].name
            try:
                sample = self.data_set[index]
                prediction = self.predict(predictor, index, sample)
            except DroppedFrameError as error:
                evaluation.dropped[name] = error.reason
                evaluation.problems.append((error.reason, str(error)))
            else:
                height, width = sample.size
                labels, camera = self.data_set.labels(index), self.data_set.camera(index, width, height)
                sky = self.data_set.sky(index)
                evaluation.frames[name] = score_frame(self.rules, sample, labels, camera, prediction, predictor, sky)
                if self.detections is not None:
                    write_detections(self.detections, name, prediction.detections, camera)
                if self.depth is not None:
                    write_depth(self.depth, name, prediction)
            evaluation.problems += self.data_set.problems
        evaluation.mended.update(self.data_set.mended)
        return evaluation

    def predict(self, predictor: Predictor | None, index: int, sample: Sample) -> Prediction:
        """What the network predicts for a frame, or with predictor None what was recorded.

        Raises DroppedFrameError if nothing usable was recorded.
        """
        if predictor is None:
            return self.data_set.recorded_prediction(index)
        return predictor.predict(sample.image, sample.intrinsics, self.rules.prediction_settings)
