"""The stamped messages of a bag, found by reading it once: only their headers are looked at."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from mp_perception.bags.reading import BagReader
from mp_perception.errors import UserError
from mp_perception.messages.frame_tree import frame_name
from mp_perception.messages.header import read_serialized_header
from mp_perception.messages.images import IMAGE_TYPES, is_depth_image
from mp_perception.messages.points import POINT_CLOUD_TYPE

CAMERA_INFO_TYPE = "sensor_msgs/msg/CameraInfo"
DETECTIONS_TYPE = "vision_msgs/msg/Detection2DArray"
DETECTIONS_3D_TYPE = "vision_msgs/msg/Detection3DArray"
LABELS_TYPE = "diagnostic_msgs/msg/DiagnosticArray"
LABEL_INFO_TYPE = "vision_msgs/msg/LabelInfo"

_STAMPED_TYPES = {
    *IMAGE_TYPES,
    *(CAMERA_INFO_TYPE, POINT_CLOUD_TYPE, DETECTIONS_TYPE, DETECTIONS_3D_TYPE, LABELS_TYPE, LABEL_INFO_TYPE),
}


class Place(NamedTuple):
    """Where a message is: stamp of its header, the bag's time, which one of its topic's at that time, and its topic.

    A stamp of zero is replaced by the bag's time.
    """

    stamp_ns: int
    time_ns: int
    nth: int
    topic: str


@dataclass
class StampedTopic:
    """A topic with stamped messages.

    frame_id, is_depth (whether its images are depth images): of its first message.  places: of its messages, in order.
    malformed: how many are not of its type.
    """

    name: str
    type: str
    frame_id: str = ""
    is_depth: bool = False
    places: list[Place] = field(default_factory=list)
    malformed: int = 0


def index_messages(reader: BagReader) -> dict[str, StampedTopic]:
    """The topics with stamped messages, by name."""
    topics = {
        topic.name: StampedTopic(topic.name, topic.type)
        for topic in reader.topics.values()
        if topic.type in _STAMPED_TYPES
    }
    times: Counter[tuple[str, int]] = Counter()
    last_time = -1
    for message in reader.messages(topics):
        if message.time_ns != last_time:
            times.clear()
            last_time = message.time_ns
        nth = times[message.topic, message.time_ns]
        times[message.topic, message.time_ns] += 1
        topic, header = topics[message.topic], read_serialized_header(message.data)
        try:
            if header is None:
                raise UserError("no header")
            if not topic.places:
                first = reader.decode(message)
                topic.frame_id = frame_name(first.header.frame_id)
                topic.is_depth = topic.type in IMAGE_TYPES and is_depth_image(first)
        except UserError:
            topic.malformed += 1
            continue
        topic.places.append(Place(header[0] or message.time_ns, message.time_ns, nth, message.topic))
    return topics
