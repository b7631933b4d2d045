"""What an evaluation can use of a bag, found by reading it once: frames, and where all that belongs to each is.

Images are decoded later, one at a time (frames.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from mp_perception.bags.message_index import Place, index_messages
from mp_perception.bags.messages import Message
from mp_perception.bags.pairing import MAX_SCAN_OFFSET_NS, BagFrame, pair_messages
from mp_perception.bags.reading import BagReader
from mp_perception.bags.topic_choice import (
    LABEL_INFO_TYPE,
    ChosenTopics,
    RecordedOutputs,
    StampedTopic,
    choose_topics,
    recorded_outputs,
)
from mp_perception.bags.transforms import TransformTree, read_transforms
from mp_perception.bags.truth_messages import class_name, labels_of
from mp_perception.data.object_label import IGNORED_REGION
from mp_perception.errors import UserError


@dataclass(frozen=True)
class BagContents:
    """What an evaluation can use of one bag; plain data that can be sent to other processes.

    source: the bag as the user named it.  path: what is read, a copy where the bag was damaged.
    name: of the bag, in the frames' names.
    topics: what is taken from where.  recorded: outputs of the node that the bag holds, or None.
    frames: in order of their stamps.  camera_frame, scan_frame, labels_frame, detections_3d_frame: TF frames.
    class_map: number -> name, of classes that detections name by number.  predicted_classes: the same of the recorded
    outputs.  labelled: the classes whose objects are labelled.  recorded_threshold: score threshold of the outputs.
    depth_description: what the depth was measured with, where the bag says it.
    notes: what a user should know, one line each.
    """

    source: Path
    path: Path
    name: str
    topics: ChosenTopics
    recorded: RecordedOutputs | None
    frames: tuple[BagFrame, ...]
    transforms: TransformTree
    camera_frame: str = ""
    scan_frame: str = ""
    labels_frame: str = ""
    detections_3d_frame: str = ""
    class_map: Mapping[str, str] = field(default_factory=dict)
    predicted_classes: tuple[str, ...] = ()
    labelled: tuple[str, ...] = ()
    says_what_is_labelled: bool = False
    recorded_threshold: float | None = None
    depth_description: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def has_depth(self) -> bool:
        """Whether any frame has a depth image or a scan."""
        return any(frame.depth or frame.scan for frame in self.frames)

    @property
    def has_labels(self) -> bool:
        """Whether any frame has labels or detections."""
        return any(frame.labels or frame.detections or frame.detections_3d for frame in self.frames)

    def counts(self) -> dict[str, int]:
        """How many frames there are, and how many have each kind of thing."""
        kinds = {
            "camera info": [frame.camera_info for frame in self.frames],
            "depth images": [frame.depth for frame in self.frames],
            "laser scans": [frame.scan for frame in self.frames],
            "KITTI labels": [frame.labels for frame in self.frames],
            "2D detections": [frame.detections for frame in self.frames],
            "3D detections": [frame.detections_3d for frame in self.frames],
        }
        if self.recorded is not None:
            kinds["recorded outputs"] = [frame.predicted_detections for frame in self.frames]
        counted = {kind: sum(place is not None for place in places) for kind, places in kinds.items()}
        return {"frames": len(self.frames), **counted}


def read_contents(reader: BagReader, asked: ChosenTopics, name: str) -> BagContents:
    """Read a bag once.  asked: topics that the user names; where it names none, topic_choice.py's rules choose.

    Raises UserError for a topic that is not there or of another type, a bag without a camera's images, and damage.
    """
    topics, places, notes = index_messages(reader)
    chosen = choose_topics(topics, asked, reader.path)
    recorded = recorded_outputs(topics)
    camera_frame = topics[chosen.image].frame_id
    contents = BagContents(
        source=reader.path,
        path=reader.path.absolute(),
        name=name,
        topics=chosen,
        recorded=recorded,
        frames=pair_messages(chosen, recorded, places),
        transforms=TransformTree(),
        camera_frame=camera_frame,
        scan_frame=_frame_of(topics, chosen.scan),
        labels_frame=_frame_of(topics, chosen.labels),
        detections_3d_frame=_frame_of(topics, chosen.detections_3d),
    )
    sources = (contents.scan_frame, contents.labels_frame, contents.detections_3d_frame)
    transforms = read_transforms(reader, [(camera_frame, source) for source in sources if source])
    notes += _notes_on_stamps(chosen, places[chosen.image])
    notes += _notes_on_pairs(contents, places)
    notes += _notes_on_transforms(contents, transforms)
    contents = replace(contents, transforms=transforms, notes=tuple(notes))
    return _with_classes(contents, reader)


def _frame_of(topics: Mapping[str, StampedTopic], topic: str | None) -> str:
    return topics[topic].frame_id if topic is not None else ""


def _notes_on_stamps(chosen: ChosenTopics, images: Sequence[Place]) -> list[str]:
    stamps = [image.stamp_ns for image in images]
    notes = []
    backwards = sum(later < earlier for earlier, later in pairwise(stamps))
    repeated = len(stamps) - len(set(stamps))
    if backwards:
        notes.append(f"{chosen.image}: stamps jump back {backwards} times; frames are taken in order of their stamps")
    if repeated:
        notes.append(f"{chosen.image}: {repeated} images have the stamp of an earlier one")
    return notes


def _notes_on_pairs(contents: BagContents, places: Mapping[str, Sequence[Place]]) -> list[str]:
    """Messages that belong to no image: they are not used."""
    notes = []
    for kind in ("depth", "scan", "labels", "detections", "detections_3d"):
        topic = getattr(contents.topics, kind)
        if topic is None:
            continue
        unpaired = len(places[topic]) - sum(getattr(frame, kind) is not None for frame in contents.frames)
        if unpaired:
            near = f"were taken within {MAX_SCAN_OFFSET_NS / 1e6:g} ms of an image"
            rule = near if kind == "scan" else "have the stamp of an image"
            notes.append(f"{topic}: {unpaired} of {len(places[topic])} messages are not used: the others {rule}")
    return notes


def _notes_on_transforms(contents: BagContents, transforms: TransformTree) -> list[str]:
    notes = []
    stamp_ns = contents.frames[0].stamp_ns
    for what, frame in (
        ("laser scans", contents.scan_frame),
        ("labels' boxes in space", contents.labels_frame),
        ("3D detections", contents.detections_3d_frame),
    ):
        if frame and transforms.lookup(contents.camera_frame, frame, stamp_ns) is None:
            known = ", ".join(sorted({*transforms.parents, *transforms.parents.values()})) or "none"
            notes.append(
                f"{what} cannot be used: no transform from {frame!r} to {contents.camera_frame!r}; "
                f"frames with transforms: {known}"
            )
    return notes


def _with_classes(contents: BagContents, reader: BagReader) -> BagContents:
    """With the classes that the bag's LabelInfo or, without one, its labels name; and the depth's description."""
    chosen = contents.topics
    class_map: dict[str, str] = {}
    described: tuple[str, ...] | None = None
    info = _sibling(reader, chosen.labels or chosen.detections or chosen.detections_3d, "label_info", LABEL_INFO_TYPE)
    if info is not None:
        class_map = {str(entry.class_id): entry.class_name for entry in info.class_map}
        described = tuple(class_map.values())
    predicted: tuple[str, ...] = ()
    threshold = None
    if contents.recorded is not None and contents.recorded.label_info is not None:
        message = _last(reader, contents.recorded.label_info)
        if message is not None:
            by_number = sorted(message.class_map, key=lambda entry: entry.class_id)
            predicted, threshold = tuple(entry.class_name for entry in by_number), float(message.threshold)
    description = _sibling(reader, chosen.depth, "description", "std_msgs/msg/String")
    return replace(
        contents,
        class_map=class_map,
        says_what_is_labelled=described is not None,
        labelled=_named_classes(contents, reader, class_map) if described is None else described,
        predicted_classes=predicted,
        recorded_threshold=threshold,
        depth_description=None if description is None else description.data,
    )


def _named_classes(contents: BagContents, reader: BagReader, class_map: Mapping[str, str]) -> tuple[str, ...]:
    """The classes that the bag's labels name: without other word, those are the ones that somebody looked for."""
    chosen = contents.topics
    names: set[str] = set()
    if not contents.has_labels:
        return ()
    for topic in (chosen.labels, chosen.detections, chosen.detections_3d):
        for message in reader.messages([topic]) if topic else ():
            try:
                decoded = reader.decode(message)
                if topic == chosen.labels:
                    names |= {label.class_name for label in labels_of(decoded, f"{reader.path}: {topic}")}
                else:
                    names |= {
                        class_name(result.hypothesis.class_id, class_map)
                        for detection in decoded.detections
                        for result in detection.results
                    }
            except UserError:
                continue  # said when the frame's turn comes
    return tuple(sorted(names - {IGNORED_REGION}))


def _sibling(reader: BagReader, topic: str | None, name: str, type_name: str) -> Message | None:
    """The last message of the topic of that name beside another topic, or None."""
    if topic is None:
        return None
    sibling = f"{topic.rpartition('/')[0]}/{name}"
    found = reader.topics.get(sibling)
    return _last(reader, sibling) if found is not None and found.type == type_name else None


def _last(reader: BagReader, topic: str) -> Message | None:
    last = None
    for last in reader.messages([topic]):  # noqa: B007  # the last one is wanted
        pass
    try:
        return None if last is None else reader.decode(last)
    except UserError:
        return None
