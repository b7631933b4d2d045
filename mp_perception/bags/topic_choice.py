"""Which topics of a bag an evaluation takes: those the user names, else the ones that these rules find.

- Images: of the topics with a camera's images, first one with camera info beside it, then one whose frame is that of
  the truth, then by name; the node's own pictures (overlay, coloured depth) are left out.
- Truth: topics below `ground_truth` before others; what the node itself published (`detections` with `label_info` or
  `depth/image` beside it, and that `depth/image`) is never truth, unless the user names it.
- Scans: a PointCloud2 that is not in the camera's own frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from mp_perception.bags.messages import Message
from mp_perception.bags.reading import IMAGE_TYPES
from mp_perception.errors import UserError
from mp_perception.image_messages import DEPTH_ENCODINGS

SCAN_TYPE = "sensor_msgs/msg/PointCloud2"
DETECTIONS_TYPE = "vision_msgs/msg/Detection2DArray"
DETECTIONS_3D_TYPE = "vision_msgs/msg/Detection3DArray"
LABELS_TYPE = "diagnostic_msgs/msg/DiagnosticArray"
LABEL_INFO_TYPE = "vision_msgs/msg/LabelInfo"
CAMERA_INFO_TYPE = "sensor_msgs/msg/CameraInfo"

_TRUTH_NAMES = {"ground_truth", "groundtruth", "truth", "gt"}
_OWN_PICTURES = {"overlay", "image_colored"}


@dataclass(frozen=True)
class StampedTopic:
    """A topic with stamped messages.  frame_id: of its first message.

    kind: for images "camera" or "depth", as the first message says; "empty" without messages; else "".
    """

    name: str
    type: str
    frame_id: str
    kind: str


@dataclass(frozen=True)
class ChosenTopics:
    """Topics by what they are taken for; None: none (asked: whatever the rules find)."""

    image: str = ""
    camera_info: str | None = None
    depth: str | None = None
    scan: str | None = None
    labels: str | None = None
    detections: str | None = None
    detections_3d: str | None = None


@dataclass(frozen=True)
class RecordedOutputs:
    """Topics that the node published.  depth, label_info: None where they were not recorded."""

    detections: str
    depth: str | None
    label_info: str | None


#: What is taken -> types of its topic.
_TYPES: dict[str, tuple[str, ...]] = {
    "image": IMAGE_TYPES,
    "camera_info": (CAMERA_INFO_TYPE,),
    "depth": ("sensor_msgs/msg/Image",),
    "scan": (SCAN_TYPE,),
    "labels": (LABELS_TYPE,),
    "detections": (DETECTIONS_TYPE,),
    "detections_3d": (DETECTIONS_3D_TYPE,),
}


def image_kind(message: Message) -> str:
    """Of an Image or CompressedImage "camera" or "depth"; "" of other messages."""
    if hasattr(message, "encoding"):
        return "depth" if message.encoding in DEPTH_ENCODINGS else "camera"
    if hasattr(message, "format"):
        return "depth" if "compressedDepth" in message.format else "camera"
    return ""


def recorded_outputs(topics: Mapping[str, StampedTopic]) -> RecordedOutputs | None:
    """The node's outputs in a bag, or None: `detections` that is no truth, with `label_info` or `depth/image` beside.

    Of several nodes the first by name.
    """
    for name in sorted(topics):
        namespace, _, last = name.rpartition("/")
        if topics[name].type != DETECTIONS_TYPE or last != "detections" or _is_truth(name):
            continue
        depth = topics.get(f"{namespace}/depth/image")
        depth_name = depth.name if depth is not None and depth.kind == "depth" else None
        label_info = f"{namespace}/label_info" if f"{namespace}/label_info" in topics else None
        if depth_name is not None or label_info is not None:
            return RecordedOutputs(name, depth_name, label_info)
    return None


def choose_topics(topics: Mapping[str, StampedTopic], asked: ChosenTopics, source: Path) -> ChosenTopics:
    """The topics to take.  asked: those that the user names.  source: the bag, for messages.

    Raises UserError for a named topic that is not there or has another type, and if there is no camera's image.
    """
    for kind in fields(ChosenTopics):
        named = getattr(asked, kind.name)
        if named and (named not in topics or topics[named].type not in _TYPES[kind.name]):
            fitting = [topic.name for topic in topics.values() if topic.type in _TYPES[kind.name]]
            raise UserError(
                f"{source}: no topic {named} of type {' or '.join(_TYPES[kind.name])}; "
                f"it has {', '.join(sorted(fitting)) or 'none of that type'}"
            )
    outputs = recorded_outputs(topics)
    own = {outputs.detections, outputs.depth} if outputs is not None else set()

    def first(kind: str, wanted: Callable[[StampedTopic], bool] = lambda topic: True) -> str | None:
        if named := getattr(asked, kind):
            return str(named)
        fitting = [
            topic.name
            for topic in topics.values()
            if topic.type in _TYPES[kind] and topic.kind != "empty" and topic.name not in own and wanted(topic)
        ]
        return min(fitting, key=lambda name: (not _is_truth(name), name), default=None)

    depth = first("depth", lambda topic: topic.kind == "depth")
    detections = first("detections")
    truth_frames = {topics[name].frame_id for name in (depth, detections) if name is not None}
    image = asked.image or _camera_images(topics.values(), topics, truth_frames)
    if image is None:
        images = sorted(topic.name for topic in topics.values() if topic.type in IMAGE_TYPES)
        found = ", ".join(images) or "no topic of Image or CompressedImage"
        raise UserError(f"{source}: expected a camera's images, found {found}")
    if topics[image].kind != "camera":
        found = "no messages" if topics[image].kind == "empty" else "images of depths"
        raise UserError(f"{source}: expected a camera's images on {image}, found {found}")
    infos = [topic.name for topic in topics.values() if topic.type == CAMERA_INFO_TYPE and topic.kind != "empty"]
    beside = camera_info_beside(image)
    return ChosenTopics(
        image=image,
        camera_info=asked.camera_info or (beside if beside in infos else infos[0] if len(infos) == 1 else None),
        depth=depth,
        scan=first("scan", lambda topic: topic.frame_id != topics[image].frame_id),
        labels=first("labels", lambda topic: _is_truth(topic.name) and topic.name.endswith("/labels")),
        detections=detections,
        detections_3d=first("detections_3d"),
    )


def camera_info_beside(image: str) -> str:
    """Where image_transport looks for the camera info of an image topic: /left/image_raw/compressed -> /left."""
    parts = image.split("/")
    if parts[-1] == "compressed":
        parts.pop()
    return "/".join([*parts[:-1], "camera_info"])


def _camera_images(
    candidates: Iterable[StampedTopic], topics: Mapping[str, StampedTopic], truth_frames: set[str]
) -> str | None:
    fitting = [
        topic
        for topic in candidates
        if topic.kind == "camera" and topic.name.removesuffix("/compressed").rpartition("/")[2] not in _OWN_PICTURES
    ]

    def rank(topic: StampedTopic) -> tuple[bool, bool, str]:
        info = topics.get(camera_info_beside(topic.name))
        return info is None or info.kind == "empty", topic.frame_id not in truth_frames, topic.name

    best = min(fitting, key=rank, default=None)
    return None if best is None else best.name


def _is_truth(name: str) -> bool:
    return not _TRUTH_NAMES.isdisjoint(name.split("/"))
