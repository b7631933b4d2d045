"""Which messages belong to which image.

Ground truth and recorded outputs belong to the image of exactly their stamp; a point cloud, whose sensor has its own
clock, to the nearest image within MAX_OFFSET_NS, and so do depth images none of which has the stamp of an image.  Where
a stamp occurs several times, the first image gets the first message, and so on.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from mp_perception.bags.message_index import Place, StampedTopic
from mp_perception.bags.topic_choice import ChosenTopics

#: Maximum distance of a point cloud or depth image from its image, half of KITTI's period.
MAX_OFFSET_NS = 50_000_000

_WITH_EXACT_STAMPS = ("depth", "labels", "detections", "detections_3d", "predicted_detections", "predicted_depth")


@dataclass(frozen=True)
class BagFrame:
    """An image and the messages that belong to it (as in ChosenTopics); None: the bag has no such message.

    name: unique within the bag, in the order of stamps.
    """

    name: str
    stamp_ns: int
    image: Place
    camera_info: Place | None = None
    depth: Place | None = None
    depth_info: Place | None = None
    points: Place | None = None
    labels: Place | None = None
    detections: Place | None = None
    detections_3d: Place | None = None
    predicted_detections: Place | None = None
    predicted_depth: Place | None = None


def pair_messages(chosen: ChosenTopics, topics: Mapping[str, StampedTopic]) -> tuple[BagFrame, ...]:
    """The images in order of their stamps, each with the messages that belong to it."""
    places = {use: sorted(topics[topic].places) for use, topic in asdict(chosen).items() if topic}
    images, infos, depth_infos = places["image"], places.get("camera_info", []), places.get("depth_info", [])
    points = _nearest_images(images, places.get("points", []))
    stamps = {image.stamp_ns for image in images}
    own_clock = not any(place.stamp_ns in stamps for place in places.get("depth", []))
    near_depth = _nearest_images(images, places.get("depth", [])) if own_clock else {}
    by_stamp = {use: _by_stamp(topics[getattr(chosen, use)].places) for use in _WITH_EXACT_STAMPS if use in places}
    occurrences: Counter[int] = Counter()
    frames = []
    for number, image in enumerate(images):
        occurrence = occurrences[image.stamp_ns]
        occurrences[image.stamp_ns] += 1
        found = {use: stamps.get((image.stamp_ns, occurrence)) for use, stamps in by_stamp.items()}
        # The stamps have 19 digits from 2001 on; with fewer, zeros keep the order.
        name = f"{image.stamp_ns:019d}" + (f"-{occurrence + 1}" if occurrence else "")
        if own_clock:
            found["depth"] = near_depth.get(number)
        frames.append(
            BagFrame(
                name,
                image.stamp_ns,
                image,
                _latest(infos, image.stamp_ns),
                depth_info=_latest(depth_infos, image.stamp_ns),
                points=points.get(number),
                **found,
            )
        )
    return tuple(frames)


def _by_stamp(places: Sequence[Place]) -> dict[tuple[int, int], Place]:
    """(stamp, how many messages of this stamp came before) -> place."""
    occurrences: Counter[int] = Counter()
    found = {}
    for place in places:
        found[place.stamp_ns, occurrences[place.stamp_ns]] = place
        occurrences[place.stamp_ns] += 1
    return found


def _latest(infos: Sequence[Place], stamp_ns: int) -> Place | None:
    """The camera info that is valid at a stamp: the last one until then, or the first of all."""
    if not infos:
        return None
    after = bisect_right(infos, stamp_ns, key=lambda place: place.stamp_ns)
    return infos[max(after - 1, 0)]


def _nearest_images(images: Sequence[Place], measured: Sequence[Place]) -> dict[int, Place]:
    """Number of an image -> the point cloud or depth image that belongs to it: each is the other's nearest."""
    stamps = [image.stamp_ns for image in images]
    nearest: dict[int, Place] = {}
    for place in measured:
        after = bisect_left(stamps, place.stamp_ns)
        near = range(max(after - 1, 0), min(after + 1, len(stamps)))
        number = min(near, key=lambda i: abs(stamps[i] - place.stamp_ns))
        offset = abs(stamps[number] - place.stamp_ns)
        other = nearest.get(number)
        if offset <= MAX_OFFSET_NS and (other is None or offset < abs(stamps[number] - other.stamp_ns)):
            nearest[number] = place
    return nearest
