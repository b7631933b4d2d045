"""Which messages belong to which image.

Truth of depth and detections, and recorded outputs, belong to the image of exactly their stamp; a laser scan, which has
its own clock, to the nearest image within MAX_SCAN_OFFSET_NS.  Where a stamp comes several times, the first image has
the first truth, and so on.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mp_perception.bags.message_index import Place
from mp_perception.bags.topic_choice import ChosenTopics, RecordedOutputs

#: A scan belongs to the nearest image, but to none that was taken more than half of KITTI's period away.
MAX_SCAN_OFFSET_NS = 50_000_000


@dataclass(frozen=True)
class BagFrame:
    """An image, and what belongs to it; None: the bag has no such message.

    name: unique within the bag, in the order of stamps.
    """

    name: str
    stamp_ns: int
    image: Place
    camera_info: Place | None = None
    depth: Place | None = None
    scan: Place | None = None
    labels: Place | None = None
    detections: Place | None = None
    detections_3d: Place | None = None
    predicted_detections: Place | None = None
    predicted_depth: Place | None = None


def pair_messages(
    chosen: ChosenTopics, recorded: RecordedOutputs | None, places: Mapping[str, Sequence[Place]]
) -> tuple[BagFrame, ...]:
    """The images in order of their stamps, each with what belongs to it.  places: of every topic."""
    images = sorted(places[chosen.image])
    occurrences: Counter[int] = Counter()
    scans = _nearest_images(images, places[chosen.scan]) if chosen.scan else {}
    exact = {
        "depth": chosen.depth,
        "labels": chosen.labels,
        "detections": chosen.detections,
        "detections_3d": chosen.detections_3d,
        "predicted_detections": recorded.detections if recorded else None,
        "predicted_depth": recorded.depth if recorded else None,
    }
    by_stamp = {kind: _by_stamp(places[topic]) for kind, topic in exact.items() if topic is not None}
    infos = sorted(places[chosen.camera_info]) if chosen.camera_info else []
    frames = []
    for number, image in enumerate(images):
        occurrence = occurrences[image.stamp_ns]
        occurrences[image.stamp_ns] += 1
        found = {kind: stamps.get((image.stamp_ns, occurrence)) for kind, stamps in by_stamp.items()}
        # The stamps have 19 digits from 2001 on; with fewer, zeros keep the order.
        name = f"{image.stamp_ns:019d}" + (f"-{occurrence + 1}" if occurrence else "")
        frames.append(
            BagFrame(name, image.stamp_ns, image, _latest(infos, image.stamp_ns), scan=scans.get(number), **found)
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
    """The camera info that holds at a stamp: the last one until then, or the first of all."""
    if not infos:
        return None
    after = bisect_right(infos, stamp_ns, key=lambda place: place.stamp_ns)
    return infos[max(after - 1, 0)]


def _nearest_images(images: Sequence[Place], scans: Sequence[Place]) -> dict[int, Place]:
    """Number of an image -> the scan that belongs to it: each is the other's nearest."""
    stamps = [image.stamp_ns for image in images]
    nearest: dict[int, Place] = {}
    for scan in sorted(scans):
        after = bisect_left(stamps, scan.stamp_ns)
        near = [i for i in (after - 1, after) if 0 <= i < len(stamps)]
        number = min(near, key=lambda i: abs(stamps[i] - scan.stamp_ns), default=None)
        if number is None:
            continue
        offset = abs(stamps[number] - scan.stamp_ns)
        other = nearest.get(number)
        if offset <= MAX_SCAN_OFFSET_NS and (other is None or offset < abs(stamps[number] - other.stamp_ns)):
            nearest[number] = scan
    return nearest
