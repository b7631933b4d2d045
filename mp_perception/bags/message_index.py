"""Where the stamped messages of a bag are, found by reading it once: only their headers are looked at."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from mp_perception.bags.reading import IMAGE_TYPES, BagReader
from mp_perception.bags.topic_choice import (
    CAMERA_INFO_TYPE,
    DETECTIONS_3D_TYPE,
    DETECTIONS_TYPE,
    LABEL_INFO_TYPE,
    LABELS_TYPE,
    SCAN_TYPE,
    StampedTopic,
    image_kind,
)
from mp_perception.bags.transforms import frame_name
from mp_perception.errors import UserError

_STAMPED_TYPES = (
    *IMAGE_TYPES,
    CAMERA_INFO_TYPE,
    SCAN_TYPE,
    DETECTIONS_TYPE,
    DETECTIONS_3D_TYPE,
    LABELS_TYPE,
    LABEL_INFO_TYPE,
)


class Place(NamedTuple):
    """Where a message is: stamp of its header, the bag's time, and which one of its topic's at that time."""

    stamp_ns: int
    time_ns: int
    nth: int


def index_messages(
    reader: BagReader,
) -> tuple[dict[str, StampedTopic], dict[str, list[Place]], list[str]]:
    """Topic -> what it is, topic -> places of its messages in order, and what is wrong, one line each.

    A stamp of zero is replaced by the bag's time.
    """
    names = [topic.name for topic in reader.topics.values() if topic.type in _STAMPED_TYPES]
    topics: dict[str, StampedTopic] = {}
    places: dict[str, list[Place]] = {name: [] for name in names}
    times: Counter[tuple[str, int]] = Counter()
    last_time = -1
    malformed: Counter[str] = Counter()
    for message in reader.messages(names) if names else ():
        if message.time_ns != last_time:
            times.clear()
            last_time = message.time_ns
        nth = times[message.topic, message.time_ns]
        times[message.topic, message.time_ns] += 1
        header = read_header(message.data)
        if header is None:
            malformed[message.topic] += 1
            continue
        stamp_ns, frame_id = header
        places[message.topic].append(Place(stamp_ns or message.time_ns, message.time_ns, nth))
        if message.topic not in topics:
            try:
                kind = image_kind(reader.decode(message))
            except UserError:
                malformed[message.topic] += 1
                places[message.topic].pop()
                continue
            topics[message.topic] = StampedTopic(message.topic, message.type, frame_name(frame_id), kind)
    empty = [name for name in names if name not in topics]
    topics |= {name: StampedTopic(name, reader.topics[name].type, "", "empty") for name in empty}
    notes = [f"{name}: no messages" for name in empty if not malformed[name]]
    notes += [f"{topic}: {count} messages are no {topics[topic].type}" for topic, count in sorted(malformed.items())]
    return topics, places, notes


def read_header(data: bytes) -> tuple[int, str] | None:
    """(stamp in nanoseconds, frame) of a serialised message that begins with a std_msgs/Header; None if it has none.

    Only the header is read: an image stays where it is.
    """
    if len(data) < 16 or data[0] != 0 or data[1] not in (0, 1):
        return None
    order = "little" if data[1] else "big"
    seconds, nanoseconds, length = (
        int.from_bytes(data[4:8], order, signed=True),  # type: ignore[arg-type]
        int.from_bytes(data[8:12], order),  # type: ignore[arg-type]
        int.from_bytes(data[12:16], order),  # type: ignore[arg-type]
    )
    if length == 0 or 16 + length > len(data):
        return None
    return seconds * 1_000_000_000 + nanoseconds, data[16 : 15 + length].decode(errors="replace")
