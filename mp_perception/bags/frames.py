"""The frames of bags as a data set: what evaluates files evaluates bags."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mp_perception.bags.contents import BagContents
from mp_perception.bags.message_index import Place
from mp_perception.bags.messages import Message
from mp_perception.bags.pairing import BagFrame
from mp_perception.bags.point_clouds import points_of
from mp_perception.bags.reading import BagReader
from mp_perception.bags.recorded_outputs import detections_of
from mp_perception.bags.truth_messages import (
    join_boxes,
    labels_of,
    labels_of_detections,
    labels_of_detections_3d,
)
from mp_perception.camera_messages import intrinsics_of
from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.frame_sets import (
    SINGLE_SCAN,
    DroppedFrameError,
    Frame,
    FrameCamera,
    FrameSet,
    RecordedOutputs,
)
from mp_perception.data.lidar_projection import project_to_depth_map
from mp_perception.data.object_label import IGNORED_REGION, ObjectLabel
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics
from mp_perception.image_messages import compressed_to_array, depth_to_array, image_to_array
from mp_perception.prediction import Prediction

Value = TypeVar("Value")


@dataclass(frozen=True)
class _Content:
    """Everything of one frame, decoded."""

    image: NDArray[np.uint8]
    camera: FrameCamera | None
    depth: NDArray[np.float32] | None
    labels: list[ObjectLabel] | None


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
            Frame(
                name,
                bag.path / bag.topics.image.lstrip("/"),
                bag.path / (bag.topics.depth or bag.topics.scan or "").lstrip("/") if _has_depth(frame) else None,
            )
            for name, (bag, frame) in self._places.items()
        ]
        super().__init__("bag", frames, class_names, _labelled_classes(bags))
        self.ground_truth = _describe_depth(bags)
        if score_recorded:
            self.recorded = _recorded_outputs(bags)
        self._reader: BagReader | None = None
        self._loaded: tuple[int, _Content] | None = None

    def place(self, index: int) -> tuple[BagContents, BagFrame]:
        """The bag of a frame, and where its messages are."""
        return self._places[self.frames[index].name]

    def read(self, bag: BagContents, topic: str, place: Place) -> Message:
        """A message of a bag."""
        if self._reader is None or self._reader.path != bag.path:
            self.close()
            self._reader = BagReader(bag.path).__enter__()
        messages = self._reader.messages([topic], place.time_ns, place.time_ns + 1)
        found = next((message for number, message in enumerate(messages) if number == place.nth), None)
        if found is None:
            raise UserError(f"{bag.path}: {topic}: a message at {place.time_ns} ns is gone since the bag was opened")
        return self._reader.decode(found)

    def close(self) -> None:
        """Close the bag that is open."""
        if self._reader is not None:
            self._reader.__exit__(None, None, None)
            self._reader = None

    def recorded_prediction(self, index: int) -> Prediction:
        bag, frame = self.place(index)
        topics, detections, depth = bag.recorded, frame.predicted_detections, frame.predicted_depth
        if self.recorded is None or topics is None or detections is None or (topics.depth and depth is None):
            raise DroppedFrameError("no output", f"{bag.path}: the node published nothing at {frame.stamp_ns} ns")
        height, width = self.image(index).shape[:2]
        try:
            message = self.read(bag, topics.detections, detections)
            objects = detections_of(message, self.recorded.class_names, f"{bag.path}: {topics.detections}")
            depth_map: NDArray[np.float32] = np.full((height, width), np.nan, dtype=np.float32)
            if topics.depth is not None and depth is not None:
                depth_map = depth_to_array(self.read(bag, topics.depth, depth))
        except UserError as error:
            raise DroppedFrameError("output unusable", str(error)) from error
        milliseconds = (detections.time_ns - frame.image.time_ns) / 1e6
        return Prediction(objects, depth_map, (height, width), {"recorded": milliseconds})

    def image(self, index: int) -> NDArray[np.uint8]:
        return self._content(index).image

    def depth(self, index: int) -> NDArray[np.float32] | None:
        return self._content(index).depth

    def labels(self, index: int) -> list[ObjectLabel] | None:
        return self._content(index).labels

    def camera(self, index: int, width: int, height: int) -> FrameCamera | None:
        return self._content(index).camera

    def _content(self, index: int) -> _Content:
        if self._loaded is None or self._loaded[0] != index:
            bag, frame = self.place(index)
            self._loaded = index, self._decode(bag, frame)
        return self._loaded[1]

    def _decode(self, bag: BagContents, frame: BagFrame) -> _Content:
        self.problems = []
        image = self._image(bag, frame)
        height, width = image.shape[:2]
        intrinsics = self._optional(bag, bag.topics.camera_info, frame, lambda: self._intrinsics(bag, frame, image))
        to_camera = bag.transforms.lookup(bag.camera_frame, bag.labels_frame, frame.stamp_ns)
        camera = None
        if intrinsics is not None:
            camera = FrameCamera(intrinsics, np.eye(4) if to_camera is None or frame.labels is None else to_camera)
        depth = self._optional(
            bag,
            bag.topics.depth or bag.topics.scan,
            frame,
            lambda: self._depth(bag, frame, (height, width), intrinsics),
        )
        truth_topic = bag.topics.labels or bag.topics.detections or bag.topics.detections_3d
        labels = self._optional(bag, truth_topic, frame, lambda: self._labels(bag, frame, intrinsics))
        if labels is not None and frame.labels is not None and to_camera is None:
            labels = [replace(label, box_3d=None) for label in labels]
        return _Content(image, camera, depth, None if labels is None else self._labelled(labels))

    def _optional(
        self, bag: BagContents, topic: str | None, frame: BagFrame, read: Callable[[], Value | None]
    ) -> Value | None:
        """What `read` gives, or None if that is unusable, which is a problem."""
        try:
            return read()
        except UserError as error:
            self.problems.append((f"{bag.name}: {topic} unusable", f"{frame.name}: {error}"))
            return None

    def _image(self, bag: BagContents, frame: BagFrame) -> NDArray[np.uint8]:
        try:
            message = self.read(bag, bag.topics.image, frame.image)
            return compressed_to_array(message) if hasattr(message, "format") else image_to_array(message)
        except UserError as error:
            where = f"{bag.path}: {bag.topics.image} at {frame.stamp_ns} ns"
            raise DroppedFrameError("image unusable", f"{where}: {error}") from error

    def _intrinsics(self, bag: BagContents, frame: BagFrame, image: NDArray[np.uint8]) -> CameraIntrinsics | None:
        if bag.topics.camera_info is None or frame.camera_info is None:
            return None
        message = self.read(bag, bag.topics.camera_info, frame.camera_info)
        return intrinsics_of(message, image.shape[1], image.shape[0])

    def _depth(
        self, bag: BagContents, frame: BagFrame, size: tuple[int, int], intrinsics: CameraIntrinsics | None
    ) -> NDArray[np.float32] | None:
        """The frame's depth image, or its scan as the camera sees it; of the bag's depth images if it has any."""
        if self.recorded is not None and (bag.recorded is None or bag.recorded.depth is None):
            return None
        if bag.topics.depth is not None:
            if frame.depth is None:
                return None
            depth = depth_to_array(self.read(bag, bag.topics.depth, frame.depth))
            if depth.shape != size:
                found = f"{depth.shape[1]}x{depth.shape[0]}"
                raise UserError(f"expected {size[1]}x{size[0]} pixels as the image has, found {found}")
            return depth
        if bag.topics.scan is None or frame.scan is None:
            return None
        if intrinsics is None:
            raise UserError("expected camera info to project the scan with, found none")
        to_camera = bag.transforms.lookup(bag.camera_frame, bag.scan_frame, frame.scan.stamp_ns)
        if to_camera is None:
            raise UserError(f"expected a transform from {bag.scan_frame!r} to {bag.camera_frame!r}, found none")
        points = points_of(self.read(bag, bag.topics.scan, frame.scan), bag.topics.scan)
        return project_to_depth_map(points, to_camera, intrinsics)

    def _labels(
        self, bag: BagContents, frame: BagFrame, intrinsics: CameraIntrinsics | None
    ) -> list[ObjectLabel] | None:
        """The labels as KITTI writes them, or those of the detection arrays."""
        topics = bag.topics
        if topics.labels is not None and frame.labels is not None:
            return labels_of(self.read(bag, topics.labels, frame.labels), topics.labels)
        solid: list[tuple[str, ObjectLabel]] | None = None
        if topics.detections_3d is not None and frame.detections_3d is not None and intrinsics is not None:
            to_camera = bag.transforms.lookup(bag.camera_frame, bag.detections_3d_frame, frame.stamp_ns)
            if to_camera is not None:
                message = self.read(bag, topics.detections_3d, frame.detections_3d)
                solid = labels_of_detections_3d(message, bag.class_map, to_camera, intrinsics, topics.detections_3d)
        if topics.detections is not None and frame.detections is not None:
            message = self.read(bag, topics.detections, frame.detections)
            flat = labels_of_detections(message, bag.class_map, topics.detections)
            return join_boxes(flat, solid or [])
        return None if solid is None else [label for _, label in solid]

    def _labelled(self, labels: Sequence[ObjectLabel]) -> list[ObjectLabel]:
        """Objects of classes that some bags do not label are neither right nor wrong to find."""
        unknown = {name for name, known in zip(self.class_names, self.labelled_classes, strict=True) if not known}
        return [ObjectLabel(IGNORED_REGION, label.box) if label.class_name in unknown else label for label in labels]


def _labelled_classes(bags: Sequence[BagContents]) -> set[str]:
    """The classes that all bags with labels label.

    Bags that do not say which those are (LabelInfo) are taken together: a class that one of them names is labelled in
    all of them.
    """
    described = [set(bag.labelled) for bag in bags if bag.has_labels and bag.says_what_is_labelled]
    silent = [set(bag.labelled) for bag in bags if bag.has_labels and not bag.says_what_is_labelled]
    if silent:
        described.append(set.union(*silent))
    return set.intersection(*described) if described else set()


def _describe_depth(bags: Sequence[BagContents]) -> str:
    """What the bags' true depth is, in words."""
    kinds = set()
    for bag in bags:
        if bag.topics.depth is not None:
            kinds.add(bag.depth_description or f"depth images on {bag.topics.depth}")
        elif bag.topics.scan is not None:
            kinds.add(SINGLE_SCAN)
    return f"mixed: {' and '.join(sorted(kinds))}" if len(kinds) > 1 else next(iter(kinds), "none")


def _recorded_outputs(bags: Sequence[BagContents]) -> RecordedOutputs:
    """The classes that the outputs in all bags can name: those of their LabelInfo, else our weights'."""
    named = [bag.predicted_classes or DEFAULT_CLASSES for bag in bags]
    thresholds = {bag.recorded_threshold for bag in bags if bag.recorded_threshold is not None}
    return RecordedOutputs(
        tuple(name for name in named[0] if all(name in names for names in named)), frozenset(thresholds)
    )


def _has_depth(frame: BagFrame) -> bool:
    return frame.depth is not None or frame.scan is not None
