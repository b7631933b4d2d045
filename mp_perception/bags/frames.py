"""The frames of bags as a data set: bags are evaluated and rendered by the code that reads files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import Matrix
from mp_perception.bags.contents import BagContents
from mp_perception.bags.message_index import Place
from mp_perception.bags.pairing import BagFrame
from mp_perception.bags.reading import BagReader
from mp_perception.bags.truth_messages import join_boxes, read_boxes, read_boxes_3d, read_labels
from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.depth_registration import is_same_view, register_depth
from mp_perception.data.frame_sets import DroppedFrameError, Frame, FrameCamera, FrameSet, RecordedOutputs
from mp_perception.data.ground_truth import SINGLE_SCAN
from mp_perception.data.lidar_projection import project_to_depth_map
from mp_perception.data.object_label import IGNORED_REGION, ObjectLabel
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics
from mp_perception.messages.camera_info import intrinsics_of, is_rectified_topic
from mp_perception.messages.detections import read_detections
from mp_perception.messages.header import Message
from mp_perception.messages.images import depth_to_array, image_to_array
from mp_perception.messages.points import read_points
from mp_perception.prediction import Prediction

Value = TypeVar("Value")


class BagFrames(FrameSet):
    """The images of bags, with the truth that the bags hold, and on request with what a node published for them.

    bags: their contents, with different names; a frame is named <bag>/<stamp>.
    score_recorded: `recorded_prediction` gives the node's outputs; depth is truth only where the node published depth.
    A frame whose image is unusable raises DroppedFrameError.  What is wrong with a frame's truth or camera info leaves
    that out, and is in `problems` until the next frame is read.
    One bag is open at a time; `close` closes it.
    """

    def __init__(
        self,
        bags: Sequence[BagContents],
        class_names: Sequence[str] = DEFAULT_CLASSES,
        score_recorded: bool = False,
    ) -> None:
        self._places = {f"{bag.name}/{frame.name}": (bag, frame) for bag in bags for frame in bag.frames}
        frames = [
            Frame(name, bag.source / frame.image.topic.lstrip("/"), _depth_path(bag, frame))
            for name, (bag, frame) in self._places.items()
        ]
        super().__init__("bag", frames, class_names, _labelled_classes(bags))
        self.ground_truth = _describe_depth(bags)
        offsets = [abs(frame.depth.stamp_ns - frame.stamp_ns) for _, frame in self._places.values() if frame.depth]
        if any(offsets):
            away = f"{np.median(offsets) / 1e6:.0f} ms away"
            self._mend(f"depth images have other stamps than the images: the nearest is taken, {away}")
        if score_recorded:
            self.recorded = _recorded_outputs(bags)
        self._reader: BagReader | None = None
        self._loaded = -1

    def __getstate__(self) -> dict[str, Any]:
        """For other processes: without the open bag and what was read from it."""
        return self.__dict__ | {"_reader": None, "_loaded": -1}

    def place(self, index: int) -> tuple[BagContents, BagFrame]:
        """The bag of a frame, and where its messages are."""
        return self._places[self.frames[index].name]

    def stamp(self, index: int) -> float:
        return self.place(index)[1].stamp_ns / 1e9

    def close(self) -> None:
        """Close the bag that is open."""
        if self._reader is not None:
            self._reader.__exit__()
            self._reader = None

    def recorded_prediction(self, index: int) -> Prediction:
        bag, frame = self.place(index)
        detections, depth = frame.predicted_detections, frame.predicted_depth
        if self.recorded is None or detections is None or (bag.topics.predicted_depth and depth is None):
            raise DroppedFrameError("no output", f"{bag.source}: the node published nothing at {frame.stamp_ns} ns")
        height, width = self.image(index).shape[:2]
        try:
            where = f"{bag.source}: {detections.topic}"
            objects = read_detections(self._read(bag, detections), self.recorded.class_names, where)
            depth_map: NDArray[np.float32] = np.full((height, width), np.nan, dtype=np.float32)
            if depth is not None:
                depth_map = depth_to_array(self._read(bag, depth))
        except UserError as error:
            raise DroppedFrameError("output unusable", str(error)) from error
        milliseconds = (detections.time_ns - frame.image.time_ns) / 1e6
        return Prediction(objects, depth_map, (height, width), {"recorded": milliseconds})

    def image(self, index: int) -> NDArray[np.uint8]:
        self._load(index)
        return self._image

    def depth(self, index: int) -> NDArray[np.float32] | None:
        self._load(index)
        return self._depth

    def sky(self, index: int) -> NDArray[np.bool_] | None:
        self._load(index)
        return self._sky

    def labels(self, index: int) -> list[ObjectLabel] | None:
        self._load(index)
        return self._labels

    def camera(self, index: int, width: int, height: int) -> FrameCamera | None:
        self._load(index)
        return self._camera

    def _load(self, index: int) -> None:
        """Decode everything of a frame, once."""
        if self._loaded == index:
            return
        self.problems = []
        bag, frame = self.place(index)
        try:
            image = image_to_array(self._read(bag, frame.image))
        except UserError as error:
            where = f"{bag.source}: {frame.image.topic} at {frame.stamp_ns} ns"
            raise DroppedFrameError("image unusable", f"{where}: {error}") from error
        height, width = image.shape[:2]
        rectified = is_rectified_topic(frame.image.topic)
        intrinsics = self._usable(
            bag, frame.camera_info, lambda message, _: intrinsics_of(message, width, height, rectified)
        )
        to_camera = bag.frame_tree.lookup(bag.camera_frame, bag.boxes_3d_frame, frame.stamp_ns)
        label_to_camera = np.eye(4) if to_camera is None or frame.labels is None else to_camera
        self._image = image
        self._camera = None if intrinsics is None else FrameCamera(intrinsics, label_to_camera)
        self._depth, self._sky = _without_sky(self._true_depth(bag, frame, (width, height), intrinsics))
        if not bag.depth_description:
            self._sky = None  # +Inf of a sensor is only what is beyond its range
        self._labels = self._true_labels(bag, frame, to_camera, intrinsics)
        self._loaded = index

    def _true_depth(
        self, bag: BagContents, frame: BagFrame, size: tuple[int, int], intrinsics: CameraIntrinsics | None
    ) -> NDArray[np.float32] | None:
        """size: (width, height) of the image, pixels."""
        if self.recorded is not None and bag.topics.predicted_depth is None:
            return None
        if frame.points is not None:
            return self._usable(bag, frame.points, lambda message, _: _projected(message, bag, frame, intrinsics))
        return self._usable(
            bag, frame.depth, lambda message, _: self._depth_in_image(message, bag, frame, size, intrinsics)
        )

    def _depth_in_image(
        self,
        message: Message,
        bag: BagContents,
        frame: BagFrame,
        size: tuple[int, int],
        camera: CameraIntrinsics | None,
    ) -> NDArray[np.float32]:
        """A depth image as the camera sees it, registered if its own camera is another one.

        size: (width, height) of the image, pixels.
        """
        depth = depth_to_array(message)
        (height, width), topic = depth.shape, str(bag.topics.depth)
        own_size = width, height
        depth_camera = self._usable(
            bag, frame.depth_info, lambda info, _: intrinsics_of(info, width, height, is_rectified_topic(topic))
        )
        if depth_camera is None or camera is None:
            if own_size == size:
                return depth
            if bag.depth_frame == bag.camera_frame and own_size[0] * size[1] == own_size[1] * size[0]:
                self._mend(f"{topic}: resized from {own_size[0]}x{own_size[1]} to the image's {size[0]}x{size[1]}")
                return np.asarray(cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST_EXACT), dtype=np.float32)
            found = f"{own_size[0]}x{own_size[1]}"
            raise UserError(f"expected {size[0]}x{size[1]} pixels as the image has, found {found}")
        to_camera = bag.frame_tree.lookup(bag.camera_frame, bag.depth_frame, frame.stamp_ns)
        same_view = is_same_view(depth_camera, camera)
        # Registered depth keeps its old frame with some drivers, but has the camera info of the image.
        if same_view and (to_camera is None or np.allclose(to_camera, np.eye(4), atol=1e-6)):
            return depth
        if to_camera is None:
            frames = f"{bag.depth_frame!r} to {bag.camera_frame!r}"
            raise UserError(f"expected depth that is registered to the image, or a transform from {frames}, found none")
        distance = np.linalg.norm(to_camera[:3, 3])
        self._mend(f"{topic}: registered into the camera of the image ({distance * 1000:.0f} mm away)")
        return register_depth(depth, depth_camera, to_camera, camera)

    def _mend(self, what: str) -> None:
        """Note once what is corrected."""
        if what not in self.mended:
            self.mended.append(what)

    def _true_labels(
        self, bag: BagContents, frame: BagFrame, to_camera: Matrix | None, intrinsics: CameraIntrinsics | None
    ) -> list[ObjectLabel] | None:
        """to_camera: (4, 4) from the frame of the 3D boxes, or None if it is unknown."""
        labels = self._usable(bag, frame.labels, read_labels)
        if labels is not None and to_camera is None:
            labels = [replace(label, box_3d=None) for label in labels]
        boxes = self._usable(bag, frame.detections, lambda message, topic: read_boxes(message, bag.class_map, topic))
        boxes_3d = None
        if intrinsics is not None and to_camera is not None:
            boxes_3d = self._usable(
                bag,
                frame.detections_3d,
                lambda message, topic: read_boxes_3d(message, bag.class_map, to_camera, intrinsics, topic),
            )
        if boxes is not None:
            labels = join_boxes(boxes, boxes_3d or [])
        elif boxes_3d is not None and frame.detections is None:
            labels = [label for _, label in boxes_3d]
        if labels is None:
            return None
        # Objects of classes that only some of the bags label are neither right nor wrong to find.
        unknown = set(self.class_names).difference(self.labelled_names)
        return [ObjectLabel(IGNORED_REGION, label.box) if label.class_name in unknown else label for label in labels]

    def _usable(self, bag: BagContents, place: Place | None, read: Callable[[Message, str], Value]) -> Value | None:
        """What `read` makes of a message and its topic; None if it is missing, or unusable, which is a problem."""
        if place is None:
            return None
        try:
            return read(self._read(bag, place), place.topic)
        except UserError as error:
            self.problems.append((f"{bag.name}: {place.topic} unusable", f"{place.stamp_ns} ns: {error}"))
            return None

    def _read(self, bag: BagContents, place: Place) -> Message:
        """A message of a bag."""
        if self._reader is None or self._reader.path != bag.path:
            self.close()
            self._reader = BagReader(bag.path, bag.source).__enter__()
        messages = self._reader.messages([place.topic], place.time_ns, place.time_ns + 1)
        found = next((message for number, message in enumerate(messages) if number == place.nth), None)
        if found is None:
            raise UserError(f"{bag.source}: {place.topic}: no message at {place.time_ns} ns, the bag has changed")
        return self._reader.decode(found)


def _without_sky(
    depth: NDArray[np.float32] | None,
) -> tuple[NDArray[np.float32] | None, NDArray[np.bool_] | None]:
    """The depth map with NaN for +Inf, None if nothing else is known; and where it was +Inf, None if nowhere."""
    if depth is None or not (beyond := np.isposinf(depth)).any():
        return depth, None
    known = np.where(beyond, np.float32(np.nan), depth)
    return (known if np.isfinite(known).any() else None), beyond


def _projected(
    message: Message, bag: BagContents, frame: BagFrame, intrinsics: CameraIntrinsics | None
) -> NDArray[np.float32]:
    """A point cloud as the camera sees it."""
    assert frame.points is not None
    if intrinsics is None:
        raise UserError("expected camera info to project the point cloud with, found none")
    to_camera = bag.frame_tree.lookup(bag.camera_frame, bag.points_frame, frame.points.stamp_ns)
    if to_camera is None:
        raise UserError(f"expected a transform from {bag.points_frame!r} to {bag.camera_frame!r}, found none")
    return project_to_depth_map(read_points(message, frame.points.topic), to_camera, intrinsics)


def _labelled_classes(bags: Sequence[BagContents]) -> set[str]:
    """The classes that all bags with labels label.

    Bags that do not say which those are (LabelInfo) are taken together: a class that one of them names is labelled in
    all of them.
    """
    described = [set(bag.labelled) for bag in bags if bag.has_labels and bag.describes_labelled]
    others = [set(bag.labelled) for bag in bags if bag.has_labels and not bag.describes_labelled]
    if others:
        described.append(set.union(*others))
    return set.intersection(*described) if described else set()


def _describe_depth(bags: Sequence[BagContents]) -> str:
    """What the bags' true depth is, in words."""
    kinds = set()
    for bag in bags:
        if bag.topics.depth is not None:
            kinds.add(bag.depth_description or f"depth images on {bag.topics.depth}")
        elif bag.topics.points is not None:
            kinds.add(SINGLE_SCAN)
    return f"mixed: {' and '.join(sorted(kinds))}" if len(kinds) > 1 else next(iter(kinds), "none")


def _recorded_outputs(bags: Sequence[BagContents]) -> RecordedOutputs:
    """The classes that the outputs in all bags can name: those of their LabelInfo, else our weights'."""
    named = [bag.predicted_classes or DEFAULT_CLASSES for bag in bags]
    thresholds = {bag.recorded_threshold for bag in bags if bag.recorded_threshold is not None}
    return RecordedOutputs(
        tuple(name for name in named[0] if all(name in names for names in named)), frozenset(thresholds)
    )


def _depth_path(bag: BagContents, frame: BagFrame) -> Path | None:
    place = frame.depth or frame.points
    return None if place is None else bag.source / place.topic.lstrip("/")
