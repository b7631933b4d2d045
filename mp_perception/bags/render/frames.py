"""The frames of a bag as they are rendered: image, what the network or the recorded node says of it, true boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mp_perception.bags.contents import BagContents
from mp_perception.bags.frames import BagFrames
from mp_perception.data.frame_sets import DroppedFrameError
from mp_perception.data.object_label import IGNORED_REGION
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics
from mp_perception.inference.predictor import PredictionSettings, Predictor
from mp_perception.prediction import Prediction

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class RenderedBag:
    """What is the same for all frames.

    name: of the bag.  image_topic, camera_info_topic: where image and camera info come from, the latter None without.
    frame_id: of the camera.  class_names: those that are detected.  score_threshold: of the detections that are shown.
    depth_range: (minimum, maximum) metres of the depth colours.
    """

    name: str
    image_topic: str
    camera_info_topic: str | None
    frame_id: str
    class_names: tuple[str, ...]
    score_threshold: float
    depth_range: tuple[float, float]


@dataclass(frozen=True)
class RenderedFrame:
    """An image of the bag.

    stamp_ns: nanoseconds since 1970.  image: RGB uint8 (H, W, 3).  intrinsics: None without usable camera info.
    prediction: None where the recorded node has published nothing.  true_boxes: x1 y1 x2 y2, pixels.
    """

    stamp_ns: int
    image: NDArray[np.uint8]
    intrinsics: CameraIntrinsics | None
    prediction: Prediction | None
    true_boxes: tuple[Box, ...]


class FrameSource:
    """Iterates over the frames of a bag.

    predictor: None takes the recorded outputs.  score_threshold: of the detections that are shown.
    After it: without_output, the frames whose recorded outputs are not there or unusable; problems, what was wrong ->
    (in how many frames, the first example).  Images that cannot be used are left out and counted there.
    """

    def __init__(self, bag: BagContents, predictor: Predictor | None, score_threshold: float) -> None:
        # The truth of depth is not drawn, and reading it takes longer than all else.
        self._bag = replace(bag, topics=replace(bag.topics, depth=None, scan=None))
        self._predict: Callable[[BagFrames, int], Prediction | None] = (
            self._recorded if predictor is None else self._predicted
        )
        self._predictor = predictor
        self._settings = PredictionSettings(score_threshold=score_threshold)
        self._score_threshold = score_threshold
        self.without_output = 0
        self.problems: dict[str, tuple[int, str]] = {}

    def __len__(self) -> int:
        return len(self._bag.frames)

    def __iter__(self) -> Iterator[RenderedFrame]:
        """Raises UserError if no image can be used."""
        frames = BagFrames([self._bag], score_recorded=self._predictor is None)
        usable = 0
        try:
            for index in range(len(frames)):
                try:
                    frame = self._frame(frames, index)
                except DroppedFrameError as error:
                    self._count(error.reason, str(error))
                    continue
                finally:
                    for problem in frames.problems:
                        self._count(*problem)
                usable += 1
                yield frame
        finally:
            frames.close()
        if not usable:
            reason = next(iter(self.problems.values()))[1]
            raise UserError(f"{self._bag.source}: none of {len(self)} images can be used; the first: {reason}")

    def _frame(self, frames: BagFrames, index: int) -> RenderedFrame:
        image, intrinsics = frames.image(index), _intrinsics(frames, index)
        boxes = [label.box for label in frames.labels(index) or [] if label.class_name != IGNORED_REGION]
        prediction = self._predict(frames, index)
        self.without_output += prediction is None
        stamp_ns = frames.place(index)[1].stamp_ns
        return RenderedFrame(stamp_ns, image, intrinsics, prediction, tuple(boxes))

    def _predicted(self, frames: BagFrames, index: int) -> Prediction:
        assert self._predictor is not None
        return self._predictor.predict(frames.image(index), _intrinsics(frames, index), self._settings)

    def _recorded(self, frames: BagFrames, index: int) -> Prediction | None:
        try:
            prediction = frames.recorded_prediction(index)
        except DroppedFrameError as error:
            if error.reason != "no output":
                self._count(error.reason, str(error))
            return None
        shown = prediction.detections.scores >= self._score_threshold
        return replace(prediction, detections=prediction.detections[shown])

    def _count(self, problem: str, example: str) -> None:
        count, first = self.problems.get(problem, (0, example))
        self.problems[problem] = count + 1, first


def _intrinsics(frames: BagFrames, index: int) -> CameraIntrinsics | None:
    height, width = frames.image(index).shape[:2]
    camera = frames.camera(index, width, height)
    return None if camera is None else camera.intrinsics
