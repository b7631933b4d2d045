"""Scores the frames of a replay, as `bag evaluate` scores those of the file: the same reading, the same figures."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mp_perception.bags.contents import BagContents
from mp_perception.bags.frames import BagFrames
from mp_perception.bags.live_pairing import Key, LiveFrame, PairingCounts
from mp_perception.bags.message_index import Place
from mp_perception.bags.messages import Message
from mp_perception.bags.reading import BagMessage, BagReader
from mp_perception.bags.recorded_outputs import detections_of
from mp_perception.bags.scoring import BagScore
from mp_perception.errors import UserError
from mp_perception.evaluation.coco_metrics import missing_libraries
from mp_perception.evaluation.evaluate import start_evaluation
from mp_perception.evaluation.files import describe_versions
from mp_perception.evaluation.report.latency import Latency
from mp_perception.image_messages import depth_to_array
from mp_perception.prediction import Prediction


class LiveFrames(BagFrames):
    """The frames of one bag whose messages come from a replay instead of the file.

    messages: those of the frame that is read next.
    """

    def __init__(self, bag: BagContents) -> None:
        super().__init__([bag])
        self.messages: Mapping[Key, BagMessage] = {}
        self._decoder = BagReader(bag.path)

    def read(self, bag: BagContents, topic: str, place: Place) -> Message:
        return self.message(topic, place.stamp_ns)

    def message(self, topic: str, stamp_ns: int) -> Message:
        """The message of that topic and stamp, decoded."""
        return self._decoder.decode(self.messages[topic, stamp_ns])


class LiveScoring:
    """The figures of the frames taken so far.

    bag: what is replayed.  detections, depth: topics of the node.  class_names: that it can name.
    score_threshold: of the detections that stand for objects.  with_pictures: keep the best and worst frames.
    """

    def __init__(
        self,
        bag: BagContents,
        detections: str,
        depth: str,
        class_names: Sequence[str],
        score_threshold: float,
        with_pictures: bool,
    ) -> None:
        self._bag = bag
        self._detections, self._depth = detections, depth
        self._class_names = tuple(class_names)
        self._frames = LiveFrames(bag)
        self._start = time.perf_counter()
        gallery = None
        if with_pictures:
            from mp_perception.evaluation.report.frames import FrameGallery  # matplotlib is not needed for figures

            gallery = FrameGallery(score_threshold)
        evaluation = start_evaluation(self._frames, class_names, score_threshold)
        self.score = BagScore(evaluation, Latency(), gallery, problems=self._frames.problems)

    def add(self, frame: LiveFrame) -> None:
        """Score a frame, or count why it cannot be used."""
        frames, score, index = self._frames, self.score, frame.index
        frames.messages = frame.messages
        try:
            frames.load(index)
        except UserError as error:
            self._drop("image unusable", error)
            return
        sample = frames[index]
        try:
            prediction = self._prediction(index)
        except UserError as error:
            self._drop("output unusable", error)
            return
        height, width = sample.size
        score.evaluation.add(sample, frames.labels(index), frames.camera(index, width, height), prediction)
        score.latency.add(self._bag.frames[index].stamp_ns / 1e9, sum(prediction.timings.values()), prediction.timings)
        if score.gallery is not None:
            score.gallery.add(sample, prediction)

    def result(self, counts: PairingCounts, node: Mapping[str, str]) -> tuple[dict[str, Any], BagScore]:
        """All figures, ready for JSON, and what they were made from.  node: the node's own last diagnostics."""
        dropped = self.dropped(counts)
        evaluation = self.score.evaluation
        received = evaluation.num_images + sum(dropped.values())
        score = BagScore(
            evaluation, self.score.latency, self.score.gallery, received, dropped, dict(self.score.problems)
        )
        return {
            **evaluation.result(with_coco=not missing_libraries()),
            "latency_ms": score.latency.figures(),
            "frames": {
                "received": received,
                "scored": evaluation.num_images,
                "dropped": dropped,
                "repeated": counts.repeated,
                "late": counts.late,
                "malformed_messages": counts.malformed,
            },
            "score_threshold": evaluation.score_threshold,
            **describe_versions(),
            "node": dict(node),
            "run": {
                "processes": 1,
                "cluster": None,
                "threads_per_process": None,
                "seconds": round(time.perf_counter() - self._start, 3),
            },
        }, score

    def dropped(self, counts: PairingCounts) -> dict[str, int]:
        """Reason -> frames that were dropped, while they were waited for or because they cannot be used."""
        return dict(Counter(self.score.dropped) + Counter(counts.dropped))

    def _prediction(self, index: int) -> Prediction:
        """What the node published for a frame."""
        frames, stamp_ns = self._frames, self._bag.frames[index].stamp_ns
        detections = detections_of(frames.message(self._detections, stamp_ns), self._class_names, self._detections)
        depth = np.asarray(depth_to_array(frames.message(self._depth, stamp_ns)))
        height, width = frames.image(index).shape[:2]
        published = frames.messages[self._detections, stamp_ns].time_ns
        milliseconds = (published - frames.messages[self._bag.topics.image, stamp_ns].time_ns) / 1e6
        return Prediction(detections, depth, (height, width), {"image to detections": milliseconds})

    def _drop(self, reason: str, error: UserError) -> None:
        self.score.dropped[reason] = self.score.dropped.get(reason, 0) + 1
        self._frames.note(f"{self._bag.name}: {reason}", str(error))
