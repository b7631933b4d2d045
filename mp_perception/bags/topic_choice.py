"""Which topics of a bag are used for what: those that the user names, else those that these rules find.

- Images: of the topics with camera images, first one with camera info beside it, then one whose frame is that of the
  ground truth, then by name; the node's own pictures (overlay, coloured depth) are left out.
- Ground truth: topics below `ground_truth` before others.  Depth images before point clouds, and labels before
  detections, unless the user names the latter.
- What the node itself published (`detections` with `label_info` or `depth/image` beside it, that `depth/image`, and
  `tracks`) is not ground truth, unless the user names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from mp_perception.bags.message_index import (
    CAMERA_INFO_TYPE,
    DETECTIONS_3D_TYPE,
    DETECTIONS_TYPE,
    LABEL_INFO_TYPE,
    LABELS_TYPE,
    StampedTopic,
)
from mp_perception.bags.reading import BagReader
from mp_perception.errors import UserError
from mp_perception.messages.frame_tree import TRANSFORMS_TYPE
from mp_perception.messages.images import IMAGE_TYPES
from mp_perception.messages.points import POINT_CLOUD_TYPE

_TRUTH_NAMES = {"ground_truth", "groundtruth", "truth", "gt"}
_OWN_PICTURES = {"overlay", "image_colored"}
_OWN_TRACKS = ("/tracks", "/tracks/states")


@dataclass(frozen=True)
class ChosenTopics:
    """Topics by what they are used for; None: not available, or (asked by the user) to be found.

    predicted_...: what the node published.
    """

    image: str = ""
    camera_info: str | None = None
    depth: str | None = None
    depth_info: str | None = None
    points: str | None = None
    labels: str | None = None
    detections: str | None = None
    detections_3d: str | None = None
    predicted_detections: str | None = None
    predicted_depth: str | None = None
    predicted_label_info: str | None = None


#: Use -> types of its topic.
_TYPES: dict[str, tuple[str, ...]] = {
    "image": IMAGE_TYPES,
    "camera_info": (CAMERA_INFO_TYPE,),
    "depth": IMAGE_TYPES,
    "depth_info": (CAMERA_INFO_TYPE,),
    "points": (POINT_CLOUD_TYPE,),
    "labels": (LABELS_TYPE,),
    "detections": (DETECTIONS_TYPE,),
    "detections_3d": (DETECTIONS_3D_TYPE,),
    "predicted_detections": (DETECTIONS_TYPE,),
    "predicted_depth": ("sensor_msgs/msg/Image",),
    "predicted_label_info": (LABEL_INFO_TYPE,),
}


def choose_topics(topics: Mapping[str, StampedTopic], asked: ChosenTopics, source: Path) -> ChosenTopics:
    """The topics to use.

    Args:
        topics: all of the bag, by name.
        asked: those that the user names.
        source: the bag, for messages.

    Raises:
        UserError: a named topic is missing or has another type, or no topic has camera images.
    """
    _check_asked(topics, asked, source)
    detections, depth, label_info = _node_outputs(topics)
    own = {detections, depth, f"{detections}_3d"}

    def first(use: str, fits: Callable[[StampedTopic], bool] = lambda topic: True) -> str | None:
        if named := getattr(asked, use):
            return str(named)
        fitting = [
            topic.name
            for topic in topics.values()
            if topic.type in _TYPES[use] and topic.places and topic.name not in own and fits(topic)
            if _is_truth(topic.name) or not topic.name.endswith(_OWN_TRACKS)
        ]
        return min(fitting, key=lambda name: (not _is_truth(name), name), default=None)

    true_depth, boxes = first("depth", lambda topic: topic.is_depth), first("detections")
    truth_frames = {topics[name].frame_id for name in (true_depth, boxes) if name is not None}
    image = asked.image or _camera_image(topics, truth_frames, source)
    if topics[image].is_depth or not topics[image].places:
        found = "depth images" if topics[image].places else "no messages"
        raise UserError(f"{source}: expected camera images on {image}, found {found}")
    if asked.points and not asked.depth:
        true_depth = None
    labels = first("labels", lambda topic: _is_truth(topic.name) and topic.name.endswith("/labels"))
    if asked.detections or asked.detections_3d:
        labels = None
    infos = [topic.name for topic in topics.values() if topic.type == CAMERA_INFO_TYPE and topic.places]
    beside = camera_info_beside(image)
    return ChosenTopics(
        image=image,
        camera_info=asked.camera_info or (beside if beside in infos else infos[0] if len(infos) == 1 else None),
        depth=true_depth,
        depth_info=depth_beside if true_depth and (depth_beside := camera_info_beside(true_depth)) in infos else None,
        points=None if true_depth else first("points", lambda topic: topic.frame_id != topics[image].frame_id),
        labels=labels,
        detections=None if labels else boxes,
        detections_3d=None if labels else first("detections_3d"),
        predicted_detections=detections,
        predicted_depth=depth,
        predicted_label_info=label_info,
    )


def camera_info_beside(image: str) -> str:
    """Where image_transport looks for the camera info of an image topic: /left/image_raw/compressed -> /left."""
    return beside(image.removesuffix("/compressed").removesuffix("/compressedDepth"), "camera_info")


def beside(topic: str, name: str) -> str:
    """The topic of this name in the namespace of another topic: /left/depth, info -> /left/info."""
    return topic[: topic.rfind("/") + 1] + name


def input_topics(reader: BagReader, chosen: ChosenTopics) -> list[str]:
    """What a replay for the node alone needs: images, camera info and transforms."""
    transforms = [name for name, topic in reader.topics.items() if topic.type == TRANSFORMS_TYPE]
    return [topic for topic in (chosen.image, chosen.camera_info, *transforms) if topic is not None]


def evaluation_topics(reader: BagReader, chosen: ChosenTopics) -> list[str]:
    """What a replay needs whose outputs are scored: the inputs, the ground truth, and the topics that describe it."""
    truth = [chosen.depth, chosen.depth_info, chosen.points, chosen.labels, chosen.detections, chosen.detections_3d]
    known = [topic for topic in truth if topic is not None]
    descriptions = [beside(topic, name) for topic in known for name in ("label_info", "description")]
    described = [name for name in descriptions if name in reader.topics]
    return list(dict.fromkeys([*input_topics(reader, chosen), *known, *described]))


def _check_asked(topics: Mapping[str, StampedTopic], asked: ChosenTopics, source: Path) -> None:
    for use in fields(ChosenTopics):
        named, types = getattr(asked, use.name), _TYPES[use.name]
        if named and (named not in topics or topics[named].type not in types):
            fitting = sorted(topic.name for topic in topics.values() if topic.type in types)
            raise UserError(
                f"{source}: no topic {named} of type {' or '.join(types)}; "
                f"it has {', '.join(fitting) or 'none of that type'}"
            )


def _node_outputs(topics: Mapping[str, StampedTopic]) -> tuple[str | None, str | None, str | None]:
    """Detections, depth and label info that a node published: of several nodes those of the first by name."""
    for name in sorted(topics):
        namespace, _, last = name.rpartition("/")
        if topics[name].type != DETECTIONS_TYPE or last != "detections" or _is_truth(name):
            continue
        depth = topics.get(f"{namespace}/depth/image")
        depth_name = depth.name if depth is not None and depth.is_depth else None
        label_info = f"{namespace}/label_info" if f"{namespace}/label_info" in topics else None
        if depth_name is not None or label_info is not None:
            return name, depth_name, label_info
    return None, None, None


def _camera_image(topics: Mapping[str, StampedTopic], truth_frames: set[str], source: Path) -> str:
    def rank(topic: StampedTopic) -> tuple[bool, bool, str]:
        info = topics.get(camera_info_beside(topic.name))
        return info is None or not info.places, topic.frame_id not in truth_frames, topic.name

    images = [topic for topic in topics.values() if topic.type in IMAGE_TYPES]
    fitting = [
        topic
        for topic in images
        if topic.places
        and not topic.is_depth
        and topic.name.removesuffix("/compressed").rpartition("/")[2] not in _OWN_PICTURES
    ]
    if not fitting:
        found = ", ".join(sorted(topic.name for topic in images)) or "no topic of Image or CompressedImage"
        raise UserError(f"{source}: expected camera images, found {found}")
    return min(fitting, key=rank).name


def _is_truth(name: str) -> bool:
    return not _TRUTH_NAMES.isdisjoint(name.split("/"))
