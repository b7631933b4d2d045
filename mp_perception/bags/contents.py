"""What can be used of a bag, found by reading it once: frames, and where everything that belongs to each is.

Images are decoded later, one at a time (frames.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from mp_perception.bags.frame_tree import read_frame_tree
from mp_perception.bags.message_index import LABEL_INFO_TYPE, StampedTopic, index_messages
from mp_perception.bags.pairing import MAX_OFFSET_NS, BagFrame, pair_messages
from mp_perception.bags.reading import BagReader
from mp_perception.bags.topic_choice import ChosenTopics, beside, choose_topics
from mp_perception.bags.truth_messages import class_name, read_labels
from mp_perception.data.object_label import IGNORED_REGION
from mp_perception.errors import UserError
from mp_perception.messages.frame_tree import FrameTree
from mp_perception.messages.header import Message

#: What frames may have, in words -> its name in ChosenTopics and BagFrame.
COUNTED = {
    "camera info": "camera_info",
    "depth images": "depth",
    "point clouds": "points",
    "KITTI labels": "labels",
    "2D detections": "detections",
    "3D detections": "detections_3d",
    "recorded outputs": "predicted_detections",
}


@dataclass(frozen=True)
class BagContents:
    """What can be used of one bag; plain data that can be sent to other processes.

    source: the bag as the user named it.  path: what is read, a copy where the bag was damaged.
    name: of the bag, in the frames' names.  topics: what is taken from where.  frames: in order of their stamps.
    camera_frame, depth_frame, points_frame, boxes_3d_frame: coordinate frames (TF) of the images, depth images, point
    clouds and 3D boxes.
    class_map: number -> name, of classes that detections name by number.  labelled: the classes whose objects are
    labelled.  describes_labelled: whether a LabelInfo lists them; otherwise they are those that the labels name.
    predicted_classes, recorded_threshold: classes and score threshold of the recorded outputs.
    depth_description: what the depth was measured with, if the bag contains that.
    notes: what a user should know, one line each.
    """

    source: Path
    path: Path
    name: str
    topics: ChosenTopics
    frames: tuple[BagFrame, ...]
    frame_tree: FrameTree = field(default_factory=FrameTree)
    camera_frame: str = ""
    depth_frame: str = ""
    points_frame: str = ""
    boxes_3d_frame: str = ""
    class_map: Mapping[str, str] = field(default_factory=dict)
    labelled: tuple[str, ...] = ()
    describes_labelled: bool = False
    predicted_classes: tuple[str, ...] = ()
    recorded_threshold: float | None = None
    depth_description: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def has_depth(self) -> bool:
        """Whether any frame has a depth image or a point cloud."""
        return any(frame.depth or frame.points for frame in self.frames)

    @property
    def has_labels(self) -> bool:
        """Whether any frame has labels or detections."""
        return any(frame.labels or frame.detections or frame.detections_3d for frame in self.frames)

    def counts(self) -> dict[str, int]:
        """How many frames there are, and how many have each kind of message."""
        counted = {kind: sum(getattr(frame, use) is not None for frame in self.frames) for kind, use in COUNTED.items()}
        return {"frames": len(self.frames), **counted}


def read_contents(reader: BagReader, asked: ChosenTopics, name: str) -> BagContents:
    """Read a bag once.  asked: topics that the user names; topic_choice.py's rules find the others.

    Raises UserError for a topic that is missing or of another type, a bag without camera images, and damage.
    """
    topics = index_messages(reader)
    chosen = choose_topics(topics, asked, reader.source)
    camera_frame = topics[chosen.image].frame_id
    measured = chosen.depth, chosen.points, chosen.labels or chosen.detections_3d
    sources = [topics[topic].frame_id if topic else "" for topic in measured]
    depth_frame, points_frame, boxes_3d_frame = sources
    contents = BagContents(
        source=reader.source,
        path=reader.path.absolute(),
        name=name,
        topics=chosen,
        frames=pair_messages(chosen, topics),
        frame_tree=read_frame_tree(reader, [(camera_frame, source) for source in sources if source]),
        camera_frame=camera_frame,
        depth_frame=depth_frame,
        points_frame=points_frame,
        boxes_3d_frame=boxes_3d_frame,
    )
    return _with_classes(replace(contents, notes=_notes(contents, topics)), reader)


def _notes(contents: BagContents, topics: Mapping[str, StampedTopic]) -> tuple[str, ...]:
    notes = []
    for topic in topics.values():
        if topic.malformed:
            notes.append(f"{topic.name}: {topic.malformed} messages are not {topic.type}")
        elif not topic.places:
            notes.append(f"{topic.name}: no messages")
    image = contents.topics.image
    stamps = [place.stamp_ns for place in topics[image].places]
    if backwards := sum(later < earlier for earlier, later in pairwise(stamps)):
        notes.append(f"{image}: stamps jump back {backwards} times; frames are taken in order of their stamps")
    if repeated := len(stamps) - len(set(stamps)):
        notes.append(f"{image}: {repeated} images have the stamp of an earlier one")
    for use in ("depth", "points", "labels", "detections", "detections_3d"):
        name = getattr(contents.topics, use)
        if name is None:
            continue
        count = len(topics[name].places)
        if unused := count - sum(getattr(frame, use) is not None for frame in contents.frames):
            nearest = use == "points" or (use == "depth" and not _has_common_stamps(topics[name], topics[image]))
            near = f"within {MAX_OFFSET_NS / 1e6:g} ms of it" if nearest else "with its stamp"
            notes.append(f"{name}: {unused} of {count} messages are not used: no image {near}")
    for what, frame in (("point clouds", contents.points_frame), ("3D boxes", contents.boxes_3d_frame)):
        tree, camera = contents.frame_tree, contents.camera_frame
        if frame and tree.lookup(camera, frame, contents.frames[0].stamp_ns) is None:
            known = ", ".join(sorted({*tree.parents, *tree.parents.values()})) or "none"
            notes.append(
                f"{what} cannot be used: no transform from {frame!r} to {camera!r}; frames with transforms: {known}"
            )
    return tuple(notes)


def _has_common_stamps(first: StampedTopic, second: StampedTopic) -> bool:
    stamps = {place.stamp_ns for place in first.places}
    return any(place.stamp_ns in stamps for place in second.places)


def _with_classes(contents: BagContents, reader: BagReader) -> BagContents:
    """With the classes that the bag's LabelInfo or, without one, its labels name; and the depth's description."""
    chosen = contents.topics
    truth = chosen.labels or chosen.detections or chosen.detections_3d
    info = _last(reader, truth and beside(truth, "label_info"), LABEL_INFO_TYPE)
    class_map = {} if info is None else {str(entry.class_id): entry.class_name for entry in info.class_map}
    outputs = _last(reader, chosen.predicted_label_info, LABEL_INFO_TYPE)
    by_number = [] if outputs is None else sorted(outputs.class_map, key=lambda entry: entry.class_id)
    description = _last(reader, chosen.depth and beside(chosen.depth, "description"), "std_msgs/msg/String")
    return replace(
        contents,
        class_map=class_map,
        labelled=tuple(class_map.values()) if info is not None else _named_classes(contents, reader, class_map),
        describes_labelled=info is not None,
        predicted_classes=tuple(entry.class_name for entry in by_number),
        recorded_threshold=None if outputs is None else float(outputs.threshold),
        depth_description=None if description is None else description.data,
    )


def _named_classes(contents: BagContents, reader: BagReader, class_map: Mapping[str, str]) -> tuple[str, ...]:
    """The classes that the bag's labels name: without a LabelInfo, those are taken as the labelled ones."""
    chosen = contents.topics
    names: set[str] = set()
    topics = [topic for topic in (chosen.labels, chosen.detections, chosen.detections_3d) if topic]
    for message in reader.messages(topics) if contents.has_labels else ():
        try:
            decoded = reader.decode(message)
            if message.topic == chosen.labels:
                names |= {label.class_name for label in read_labels(decoded, f"{reader.source}: {message.topic}")}
            else:
                results = [result for detection in decoded.detections for result in detection.results]
                names |= {class_name(result.hypothesis.class_id, class_map) for result in results}
        except UserError:
            continue  # reported when the frame is read
    return tuple(sorted(names - {IGNORED_REGION}))


def _last(reader: BagReader, topic: str | None, type_name: str) -> Message | None:
    """The last message of a topic, or None if the bag has no such topic of that type."""
    if topic is None or topic not in reader.topics or reader.topics[topic].type != type_name:
        return None
    last = None
    for last in reader.messages([topic]):  # noqa: B007  # the last one is wanted
        pass
    try:
        return None if last is None else reader.decode(last)
    except UserError:
        return None
