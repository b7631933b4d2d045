"""Scores frames of bags: by a network, or what the node published; parts from several processes are joined.

A part is scored wherever it likes (this process, another one, another machine), and comes back as a BagScore.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from mp_perception.bags.contents import BagContents
from mp_perception.bags.frames import BagFrames, KnownTruth
from mp_perception.bags.recorded_outputs import is_complete, predicted_classes, read_prediction
from mp_perception.data.samples import Sample
from mp_perception.errors import UserError
from mp_perception.evaluation.evaluate import Evaluation, ImageObserver, evaluate, start_evaluation
from mp_perception.evaluation.report.latency import Latency
from mp_perception.evaluation.run import NetworkChoice
from mp_perception.inference.predictor import Predictor
from mp_perception.prediction import Prediction

if TYPE_CHECKING:
    from mp_perception.evaluation.report.frames import FrameGallery

#: Frames of one task: so few that several processes have equal work, so many that a task is worth its while.
FRAMES_PER_TASK = 50


@dataclass(frozen=True)
class ScoringTask:
    """Frames to score.

    bag: with the frames of this task only.  known: of all the bags.  network: None takes the recorded outputs.
    score_threshold: of the detections that stand for objects.  with_pictures: keep the best and worst frames.
    """

    bag: BagContents
    known: KnownTruth
    network: NetworkChoice | None
    score_threshold: float
    with_pictures: bool


@dataclass
class BagScore:
    """The figures of the frames scored so far.

    received: frames there were.  dropped: reason -> frames without it.  problems: what was wrong -> (how often, first
    example).  gallery: None without pictures.
    """

    evaluation: Evaluation
    latency: Latency
    gallery: FrameGallery | None
    received: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    problems: dict[str, tuple[int, str]] = field(default_factory=dict)

    def merge(self, other: BagScore) -> None:
        """Take over the frames of another part."""
        self.evaluation.merge(other.evaluation)
        self.latency.merge(other.latency)
        if self.gallery is not None and other.gallery is not None:
            self.gallery.merge(other.gallery)
        self.received += other.received
        for reason, count in other.dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + count
        for kind, (count, example) in other.problems.items():
            before, first = self.problems.get(kind, (0, example))
            self.problems[kind] = before + count, first


def tasks_of(
    bags: Sequence[BagContents],
    known: KnownTruth,
    network: NetworkChoice | None,
    score_threshold: float,
    with_pictures: bool,
) -> list[ScoringTask]:
    """The work on bags, in their order and in that of their frames."""
    return [
        ScoringTask(
            replace(bag, frames=bag.frames[start : start + FRAMES_PER_TASK]),
            known,
            network,
            score_threshold,
            with_pictures,
        )
        for bag in bags
        for start in range(0, len(bag.frames), FRAMES_PER_TASK)
    ]


def score(task: ScoringTask) -> BagScore:
    """Score a task's frames; images that cannot be used are counted and left out."""
    frames = BagFrames([task.bag], task.known)
    latency, gallery = Latency(), _new_gallery(task)
    dropped: dict[str, int] = {}

    def observe(index: int, sample: Sample, prediction: Prediction) -> None:
        stamp_ns = frames.place(index)[1].stamp_ns
        latency.add(stamp_ns / 1e9, sum(prediction.timings.values()), prediction.timings)
        if gallery is not None:
            gallery.add(sample, prediction)

    usable = _usable(frames, range(len(frames)), dropped)
    try:
        if task.network is not None:
            evaluation = evaluate(
                _loaded(task.network), frames, score_threshold=task.score_threshold, indices=usable, observe=observe
            )
        else:
            evaluation = _score_recorded(task, frames, usable, dropped, observe)
    finally:
        frames.close()
    return BagScore(evaluation, latency, gallery, len(frames), dropped, frames.problems)


def _usable(frames: BagFrames, indices: Iterable[int], dropped: dict[str, int]) -> Iterator[int]:
    """The frames whose image can be used; the others are counted."""
    for index in indices:
        try:
            frames.load(index)
        except UserError as error:
            dropped["image unusable"] = dropped.get("image unusable", 0) + 1
            frames.note(f"{frames.place(index)[0].name}: image unusable", str(error))
            continue
        yield index


def _score_recorded(
    task: ScoringTask,
    frames: BagFrames,
    indices: Iterable[int],
    dropped: dict[str, int],
    observe: ImageObserver,
) -> Evaluation:
    """Score what the node published, where all of it is there for a frame."""
    evaluation = start_evaluation(frames, predicted_classes(task.bag), task.score_threshold)
    has_depth = task.bag.recorded is not None and task.bag.recorded.depth is not None
    for index in indices:
        bag, frame = frames.place(index)
        if not is_complete(bag, frame):
            dropped["no output"] = dropped.get("no output", 0) + 1
            continue
        sample = frames[index]
        if not has_depth:
            sample = replace(sample, depth=None)
        try:
            prediction = read_prediction(frames, index)
        except UserError as error:
            dropped["output unusable"] = dropped.get("output unusable", 0) + 1
            frames.note(f"{bag.name}: output unusable", str(error))
            continue
        height, width = sample.size
        evaluation.add(sample, frames.labels(index), frames.camera(index, width, height), prediction)
        observe(index, sample, prediction)
    return evaluation


def _new_gallery(task: ScoringTask) -> FrameGallery | None:
    if not task.with_pictures:
        return None
    from mp_perception.evaluation.report.frames import FrameGallery  # matplotlib is not needed for figures

    return FrameGallery(task.score_threshold)


@lru_cache(maxsize=1)
def _loaded(network: NetworkChoice) -> Predictor:
    """The network, loaded once in a process."""
    return Predictor.load(**asdict(network))
