"""`bag render`: every image of a bag with the detections and depth of the network or of the recorded node."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.bags.contents import BagContents
from mp_perception.bags.frames import BagFrames
from mp_perception.bags.opening import open_contents
from mp_perception.bags.topic_choice import ChosenTopics
from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.frame_sets import DroppedFrameError
from mp_perception.data.object_label import IGNORED_REGION
from mp_perception.errors import UserError
from mp_perception.files import check_can_be_written
from mp_perception.geometry import CameraIntrinsics
from mp_perception.inference.network_choice import NetworkChoice
from mp_perception.inference.prediction_settings import PredictionSettings
from mp_perception.inference.predictor import Predictor
from mp_perception.model.checkpoint_description import CheckpointDescription
from mp_perception.prediction import Prediction
from mp_perception.progress import console, track, warn
from mp_perception.tracking.tracker import Tracker
from mp_perception.tracking.tracks import Tracks
from mp_perception.visualization.depth_colors import color_depth
from mp_perception.visualization.overlay import draw_detections, draw_true_boxes
from mp_perception.visualization.track_overlay import draw_tracks

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class RenderedFrame:
    """An image of the bag.

    stamp_ns: nanoseconds since 1970.  image: RGB uint8 (H, W, 3).  intrinsics: None without usable camera info.
    prediction: None where the recorded node published nothing.  true_boxes: x1 y1 x2 y2, pixels.
    tracks: after the image; None without tracking.
    """

    stamp_ns: int
    image: NDArray[np.uint8]
    intrinsics: CameraIntrinsics | None
    prediction: Prediction | None
    true_boxes: tuple[Box, ...]
    tracks: Tracks | None = None

    def overlay(self) -> NDArray[np.uint8]:
        """RGB (H, W, 3): the image with the true boxes in white, below the tracks or detections."""
        canvas = self.image.copy()
        draw_true_boxes(canvas, self.true_boxes)
        if self.tracks is not None:
            draw_tracks(canvas, self.tracks, self.intrinsics)
        elif self.prediction is not None:
            draw_detections(canvas, self.prediction.detections)
        return canvas

    def colored_depth(self, depth_range: tuple[float, float]) -> NDArray[np.uint8]:
        """RGB (H, W, 3); black with the text "no output" where nothing was published for the image."""
        if self.prediction is not None:
            return color_depth(self.prediction.depth, *depth_range)
        height, width = self.image.shape[:2]
        canvas = np.zeros((height, width, 3), np.uint8)
        place, scale = (10, height // 2), max(0.38, height / 450)
        cv2.putText(canvas, "no output", place, cv2.FONT_HERSHEY_SIMPLEX, scale, (230, 230, 230), 1, cv2.LINE_AA)
        return canvas


@dataclass(frozen=True)
class RenderedBag:
    """A bag with all its frames; iterating over `frames` reads it.

    class_names: classes that can be detected.  score_threshold: of the detections shown.  depth_range: (minimum,
    maximum) metres of the depth colours.
    """

    contents: BagContents
    class_names: tuple[str, ...]
    score_threshold: float
    depth_range: tuple[float, float]
    frames: Iterable[RenderedFrame]


def render_bag(
    path: Path,
    out: Path,
    topics: ChosenTopics,
    network: NetworkChoice | None,
    score_threshold: float | None,
    tracking: bool = False,
) -> None:
    """Render a bag and print what was written; images that cannot be used are left out and counted.

    Args:
        path: folder or file of the bag.
        out: new file; its suffix selects the format.
        topics: topics named by the user.
        network: None shows the recorded outputs of the node.
        score_threshold: of the detections shown; None for the checkpoint's, or that of the recorded node.
        tracking: whether objects are followed, and drawn with ids, speeds and trails.

    Raises:
        UserError: bad bag or file name, or no usable image; then no file is left.
    """
    write = _writer(out)
    _check_target(path, out)
    with tempfile.TemporaryDirectory(prefix="mp_perception_bag_") as workspace:
        contents = open_contents(path, topics, path.resolve().name, Path(workspace), needs_recorded=network is None)
        for note in contents.notes:
            warn(f"{path}: {note}")
        problems: list[tuple[str, str]] = []
        with nullcontext() if network is None else closing(network.load_with_warning()) as predictor:
            write(out, _rendered_bag(contents, predictor, score_threshold, tracking, problems))
    for problem, number in Counter(problem for problem, _ in problems).items():
        first = next(example for other, example in problems if other == problem)
        warn(f"{problem} in {number} frames; the first: {first}")
    console.print(f"{out}: {len(contents.frames)} frames, {out.stat().st_size / 1e6:.1f} MB")


def _writer(out: Path) -> Callable[[Path, RenderedBag], None]:
    """The writer of a suffix.  Each is imported only when needed: a video does not need Rerun."""
    match out.suffix:
        case ".mp4":
            return _write_video
        case ".mcap":
            from mp_perception.bags.render.annotated_bag import write_annotated_bag

            return write_annotated_bag
        case ".rrd":
            try:
                from mp_perception.bags.render.rerun_recording import write_rerun_recording
            except ModuleNotFoundError as error:
                raise UserError(f"{out}: {error.name} is not installed: pip install mp_perception[rerun]") from error
            return write_rerun_recording
    raise UserError(f"{out}: expected a file that ends in .mp4, .mcap or .rrd")


def _write_video(path: Path, bag: RenderedBag) -> None:
    """A video with the bag's own times: the overlay above the coloured depth."""
    from mp_perception.visualization.video import VideoWriter

    with VideoWriter(path) as video:
        for frame in bag.frames:
            video.write(np.concatenate([frame.overlay(), frame.colored_depth(bag.depth_range)]), frame.stamp_ns)


def _check_target(bag: Path, out: Path) -> None:
    if out.is_dir():
        raise UserError(f"{out}: expected the name of a file, found a folder")
    if bag.resolve() in (out.resolve(), *out.resolve().parents):
        raise UserError(f"{out}: expected a file outside the bag {bag}")
    if not out.absolute().parent.is_dir():
        raise UserError(f"{out}: expected a file in an existing folder, {out.parent} is not one")
    check_can_be_written(out)


def _rendered_bag(
    contents: BagContents,
    predictor: Predictor | None,
    asked_threshold: float | None,
    tracking: bool,
    problems: list[tuple[str, str]],
) -> RenderedBag:
    """problems: is extended by (what was wrong, an example) while the frames are read."""
    if predictor is None:
        class_names, known = contents.predicted_classes or DEFAULT_CLASSES, contents.recorded_threshold or 0.0
        depth_range = CheckpointDescription.depth_range
    else:
        description = predictor.description
        class_names, known = description.class_names, float(description.score_threshold)
        depth_range = description.valid_depth_range
    threshold = known if asked_threshold is None else asked_threshold
    frames = track(_frames(contents, predictor, threshold, tracking, problems), "render", len(contents.frames))
    return RenderedBag(contents, class_names, threshold, depth_range, frames)


def _frames(
    contents: BagContents,
    predictor: Predictor | None,
    threshold: float,
    tracking: bool,
    problems: list[tuple[str, str]],
) -> Iterator[RenderedFrame]:
    """Raises UserError if no image can be used."""
    # The true depth is not shown, and reading it takes longer than everything else.
    without_depth = tuple(replace(frame, depth=None, points=None) for frame in contents.frames)
    usable = 0
    tracker = Tracker(threshold)
    lowest = tracker.lowest_score if tracking else threshold
    with closing(BagFrames([replace(contents, frames=without_depth)], score_recorded=predictor is None)) as frames:
        for index in range(len(frames)):
            try:
                image = frames.image(index)
            except DroppedFrameError as error:
                problems.append((error.reason, str(error)))
                continue
            problems += frames.problems
            camera = frames.camera(index, image.shape[1], image.shape[0])
            intrinsics = None if camera is None else camera.intrinsics
            prediction: Prediction | None = None
            if predictor is not None:
                prediction = predictor.predict(image, intrinsics, PredictionSettings(score_threshold=lowest))
            else:
                try:
                    prediction = frames.recorded_prediction(index)
                except DroppedFrameError as error:
                    problems.append((error.reason, str(error)))
            labels = frames.labels(index) or []
            boxes = tuple(label.box for label in labels if label.class_name != IGNORED_REGION)
            stamp_ns, tracks = frames.place(index)[1].stamp_ns, None
            if prediction is not None and tracking:
                prediction, tracks = tracker.report(prediction, stamp_ns / 1e9, intrinsics)
            elif prediction is not None:
                prediction = replace(prediction, detections=prediction.detections.above(threshold))
            yield RenderedFrame(stamp_ns, image, intrinsics, prediction, boxes, tracks)
            usable += 1
        if not usable:
            raise UserError(f"{contents.source}: none of {len(frames)} images can be used; the first: {problems[0][1]}")
