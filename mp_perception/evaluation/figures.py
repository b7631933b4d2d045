"""All figures of a data set from the scores of its frames, ready for JSON.

An `Evaluation` holds the scores by frame.  Parts of one data set, scored by several processes, are joined by `merge`;
frames are sorted by name before anything is summed, so the figures are the same to the last digit.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from mp_perception.evaluation.average_precision import average_precision_figures
from mp_perception.evaluation.beyond import beyond_figures
from mp_perception.evaluation.coco_metrics import coco_mean_average_precision
from mp_perception.evaluation.depth_protocols import depth_figures, figures_by_distance
from mp_perception.evaluation.frame_scores import (
    LOWEST_SCORE,
    MAX_DETECTIONS,
    DepthScores,
    FrameScore,
    ObjectScores,
    ScoringRules,
)
from mp_perception.evaluation.kitti_matching import DIFFICULTIES
from mp_perception.evaluation.object_depth_metrics import ObjectDepths, join_objects, object_figures
from mp_perception.evaluation.paper_protocol import paper_depth_figures, paper_object_figures


class Evaluation:
    """The frames scored so far.

    frames: name -> score.  dropped: name -> why the frame could not be scored.
    problems: (what was wrong, an example), for each frame in which something could not be used.
    mended: what was corrected while frames were read, one line each.
    """

    def __init__(self, rules: ScoringRules) -> None:
        self.rules = rules
        self.frames: dict[str, FrameScore] = {}
        self.dropped: dict[str, str] = {}
        self.problems: list[tuple[str, str]] = []
        self.mended: set[str] = set()

    def merge(self, other: Evaluation) -> None:
        """Take over the frames of another part of the same data set.  ValueError if a frame is in both."""
        if self.rules != other.rules:
            raise ValueError("parts that were scored by different rules cannot be merged")
        if twice := self.frames.keys() & other.frames.keys():
            raise ValueError(f"frame {min(twice)} was scored twice")
        self.frames |= other.frames
        self.dropped |= other.dropped
        self.problems += other.problems
        self.mended |= other.mended

    def detection(self, num_resamples: int = 0) -> dict[str, dict[str, Any]]:
        """Average precision (average_precision_figures); num_resamples: for intervals, 0 for none."""
        matches = [objects.matches for objects in self._labelled_objects()]
        return average_precision_figures(matches, self.rules.criteria, num_resamples)

    def objects(self) -> ObjectDepths | None:
        """The labelled objects of all frames; None if no frame has labels."""
        depths = [objects.depths for objects in self._labelled_objects()]
        return join_objects(depths) if depths else None

    def result(self, num_resamples: int = 0, with_coco: bool = False) -> dict[str, Any]:
        """All figures by kind: `depth`, `objects`, `detection`, ... (the table in docs/evaluation.md).

        num_resamples: bootstrap resamples of whole images for the intervals of average precision, 0 for none.
        with_coco: also COCO's mean average precision, which needs coco_metrics.LIBRARIES.
        """
        labelled = self._labelled_objects()
        depths = [score.depth for score in self.frames.values() if score.depth is not None]
        known = [name for name in self.rules.labelled_classes if name not in self.rules.left_out]
        images = ((objects.labels, objects.detections) for objects in labelled)
        return {
            "depth": self._depth_figures(depths) if depths else None,
            "beyond": beyond_figures([score.beyond for score in self.frames.values()]),
            "objects": self._object_figures(depths) if labelled else None,
            "detection": self.detection(num_resamples) if labelled else None,
            "detection_protocol": self._detection_protocol(num_resamples),
            "coco": coco_mean_average_precision(images, known) if with_coco and labelled else None,
            "detected": self._detected_figures(),
            "images": {
                "evaluated": len(self.frames),
                "with_depth": sum(depth.mean_relative_error is not None for depth in depths),
                "with_labels": len(labelled),
            },
            "latency_ms": self.latency_figures(),
            "frames": {
                "received": len(self.frames) + len(self.dropped),
                "scored": len(self.frames),
                "dropped": dict(Counter(self.dropped.values())),
            },
            "score_threshold": self.rules.score_threshold,
        }

    def latency_figures(self) -> dict[str, dict[str, float]]:
        """Of every stage, and of the whole as `total`: median, p90, p99 and max in milliseconds, and frames."""
        stages: dict[str, list[float]] = {}
        for score in self.frames.values():
            if score.timings:
                for name, milliseconds in {**score.timings, "total": sum(score.timings.values())}.items():
                    stages.setdefault(name, []).append(milliseconds)
        percentiles = {"median": 50, "p90": 90, "p99": 99, "max": 100}
        return {
            stage: {
                **{name: float(np.percentile(values, percent)) for name, percent in percentiles.items()},
                "frames": len(values),
            }
            for stage, values in stages.items()
        }

    def _detected_figures(self) -> dict[str, dict[str, Any]]:
        """Of every detected class, also without labels: detections, images with one, median distance in metres."""
        distances: dict[str, list[Sequence[float]]] = {}
        for score in self.frames.values():
            for name, of_frame in score.detected.items():
                distances.setdefault(name, []).append(of_frame)
        figures = {}
        for name, by_frame in sorted(distances.items()):
            known = [metres for of_frame in by_frame for metres in of_frame if math.isfinite(metres)]
            figures[name] = {
                "objects": sum(map(len, by_frame)),
                "images": len(by_frame),
                "median_distance": statistics.median(known) if known else None,
            }
        return figures

    def problem_figures(self) -> dict[str, dict[str, Any]]:
        """What was wrong -> in how many frames, and the first example."""
        figures: dict[str, dict[str, Any]] = {}
        for kind, example in self.problems:
            figures.setdefault(kind, {"frames": 0, "first": example})["frames"] += 1
        return figures

    def _labelled_objects(self) -> list[ObjectScores]:
        """The objects of each frame with labels, in order of the frames' names."""
        return [score.objects for _, score in sorted(self.frames.items()) if score.objects is not None]

    def _depth_figures(self, depths: list[DepthScores]) -> dict[str, Any]:
        rules = self.rules
        if rules.protocol == "paper":
            figures = paper_depth_figures([depth.paper for depth in depths if depth.paper], rules.ground_truth)
        else:
            figures = depth_figures(rules.protocol, [depth.by_protocol for depth in depths], rules.ground_truth)
        return {**figures, "by_distance": figures_by_distance([depth.by_distance for depth in depths])}

    def _object_figures(self, depths: list[DepthScores]) -> dict[str, Any]:
        objects = self.objects()
        assert objects is not None
        figures = object_figures(objects, self.rules.labelled_classes, self.rules.score_threshold)
        if self.rules.protocol == "paper":
            return {**paper_object_figures([depth.paper for depth in depths if depth.paper]), "correct": figures}
        return figures

    def _detection_protocol(self, num_resamples: int) -> dict[str, Any]:
        """How average precision was measured, in words."""
        lowest = min(LOWEST_SCORE, self.rules.score_threshold)
        protocol = {
            "name": "KITTI 2D object detection",
            "classes": list(self.rules.scored_classes),
            "left_out": dict(self.rules.left_out),
            "detections": f"score >= {lowest:g}, the best {MAX_DETECTIONS} per image",
            "difficulties": {
                d.name: f"height >= {d.min_height} pixels, occlusion <= {d.max_occlusion}, "
                f"truncation <= {d.max_truncation:g} (unknown counts as 0)"
                for d in DIFFICULTIES
            },
            "unit": "percent",
            "maximum": "of N objects that count AP40 is at most (min(N, 41) - 1) / 40: compare few objects with care",
        }
        if num_resamples:
            protocol["intervals"] = f"2.5 and 97.5 percentile of {num_resamples} bootstrap resamples of images"
        return protocol


def headline_figures(evaluation: Evaluation) -> dict[str, float]:
    """The few figures that a training watches: d1 (0..1) and rmse (metres) of depth maps, and moderate AP40 (0..1).

    Only those that the data set has labels for.
    """
    result = evaluation.result()
    depth, detection = result["depth"] or {}, result["detection"] or {}
    figures = {name: float(depth[name]) for name in ("d1", "rmse") if depth.get(name) is not None}
    for name in evaluation.rules.scored_classes:
        average_precision = detection[name]["AP40"]["moderate"] if detection else None
        if average_precision is not None:
            figures[f"AP40-{name}"] = average_precision / 100
    return figures
