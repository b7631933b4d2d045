"""Pairs the messages of a replay, as they come, with the frames of the bag that is replayed.

The bag says which messages belong to a frame; here they are waited for, with what the node publishes for it (exactly
the image's stamp), and kept as they came: serialised.  Every frame ends in one of two ways: it is taken with all of
its messages, once, or it is dropped for a reason that is counted.  Not here: DDS (ros/evaluation_topics.py) and scoring
(live_scoring.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mp_perception.bags.contents import BagContents
from mp_perception.bags.message_index import read_header
from mp_perception.bags.opening import open_contents
from mp_perception.bags.pairing import BagFrame
from mp_perception.bags.reading import BagMessage
from mp_perception.bags.topic_choice import ChosenTopics
from mp_perception.errors import UserError

#: A message by its topic and the stamp of its header, nanoseconds.
Key = tuple[str, int]


@dataclass(frozen=True)
class LiveFrame:
    """A frame with all that belongs to it.

    index: in the bag's frames.  messages: as they came; their time_ns is when they were received.
    """

    index: int
    messages: Mapping[Key, BagMessage]


@dataclass(frozen=True)
class PairingCounts:
    """What was not as it should be.

    dropped: reason -> frames.  repeated: images whose stamp had come before (a loop); they are not taken again.
    late: outputs of frames that had been dropped because of no output.  malformed: messages without a header.
    """

    dropped: Mapping[str, int]
    repeated: int
    late: int
    malformed: int


class LivePairing:
    """The frames that are still to come, and what has come of them.

    bag: what is replayed, by its own topic names.  outputs: topics of the node; a frame needs a message of each.
    timeout: seconds after its last message in which the rest of a frame must come.  max_bytes: of the messages that
    wait; beyond, the frame that came first is dropped.
    Times (`now`) are those of one clock that never jumps, seconds.
    """

    def __init__(self, bag: BagContents, outputs: Sequence[str], timeout: float, max_bytes: int) -> None:
        self._dropped: Counter[str] = Counter()
        self._repeated = 0
        self._late = 0
        self._malformed = 0
        self._image_topic = bag.topics.image
        self._camera_info_topic = bag.topics.camera_info
        self._outputs = tuple(outputs)
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._stamps = [frame.stamp_ns for frame in bag.frames]
        #: Of every frame that has not ended: its messages.  And the same the other way round.
        self._needs: dict[int, tuple[Key, ...]] = {}
        self._users: dict[Key, set[int]] = {}
        #: Frames of which something has come, in that order -> when the last of it came.
        self._open: dict[int, float] = {}
        self._messages: dict[Key, BagMessage] = {}
        self._bytes = 0
        self._images_seen: set[int] = set()
        self._without_output: set[int] = set()
        stamps: set[int] = set()
        for index, frame in enumerate(bag.frames):
            if frame.stamp_ns in stamps:
                self._dropped["stamp of an earlier frame"] += 1
                continue
            stamps.add(frame.stamp_ns)
            keys = (*needed_messages(bag.topics, frame), *((topic, frame.stamp_ns) for topic in self._outputs))
            self._needs[index] = keys
            for key in keys:
                self._users.setdefault(key, set()).add(index)

    @property
    def num_waiting(self) -> int:
        """Frames of which something has come, but that have not ended."""
        return len(self._open)

    def counts(self) -> PairingCounts:
        """How often what has happened so far."""
        return PairingCounts(dict(self._dropped), self._repeated, self._late, self._malformed)

    def add(self, message: BagMessage, now: float) -> None:
        """Take a message of one of the topics; of several with one stamp the first counts."""
        header = read_header(message.data)
        if header is None:
            self._malformed += 1
            return
        key = message.topic, header[0]
        self._count_repeated(key)
        if key in self._messages or key not in self._users:
            return
        self._messages[key] = message
        self._bytes += len(message.data)
        # One camera info may serve the whole bag: it is no sign that a frame is on its way.
        if message.topic != self._camera_info_topic:
            for index in self._users[key]:
                self._open[index] = now
        while self._bytes > self._max_bytes and self._open:
            self._drop(next(iter(self._open)), "memory limit")

    def take(self) -> LiveFrame | None:
        """The first frame that is complete, or None; it will not be given again."""
        for index in self._open:
            if not self._lacking(index):
                frame = LiveFrame(index, {key: self._messages[key] for key in self._needs[index]})
                self._end(index)
                return frame
        return None

    def expire(self, now: float) -> None:
        """Drop the frames whose rest has not come in time."""
        overdue = [index for index, last in self._open.items() if now - last > self._timeout]
        for index in overdue:
            if self._lacking(index):
                self._drop(index, self._reason(index))

    def close(self, bag_ended: bool) -> None:
        """Drop the frames that are incomplete; with the bag at its end also those of which nothing has come."""
        for index in list(self._open):
            if self._lacking(index):
                self._drop(index, self._reason(index))
        if bag_ended:
            for index in [index for index in self._needs if index not in self._open]:
                self._drop(index, "never came")

    def _count_repeated(self, key: Key) -> None:
        topic, stamp = key
        if topic == self._image_topic:
            if stamp in self._images_seen:
                self._repeated += 1
                # What the node publishes now is of this image, not late.
                self._without_output.discard(stamp)
            self._images_seen.add(stamp)
        elif topic in self._outputs and stamp in self._without_output:
            self._without_output.discard(stamp)
            self._late += 1

    def _lacking(self, index: int) -> list[Key]:
        return [key for key in self._needs[index] if key not in self._messages]

    def _reason(self, index: int) -> str:
        topics = {topic for topic, _ in self._lacking(index)}
        if not topics.isdisjoint(self._outputs):
            return "no output"
        return "no image" if self._image_topic in topics else "truth lost on the way"

    def _drop(self, index: int, reason: str) -> None:
        self._dropped[reason] += 1
        if reason == "no output":
            self._without_output.add(self._stamps[index])
        self._end(index)

    def _end(self, index: int) -> None:
        self._open.pop(index, None)
        for key in self._needs.pop(index):
            users = self._users[key]
            users.discard(index)
            if not users:
                del self._users[key]
                message = self._messages.pop(key, None)
                self._bytes -= 0 if message is None else len(message.data)


def open_replayed_bag(path: Path, workspace: Path) -> BagContents:
    """The contents of a bag with truth that somebody replays; arguments as those of open_contents.

    Raises UserError for what is no bag, and for one without images or truth.
    """
    contents = open_contents(path, ChosenTopics(), path.resolve().name, workspace)
    if not (contents.has_depth or contents.has_labels):
        raise UserError(f"{path}: expected truth (depth images, laser scans, detections), found none")
    return contents


def needed_messages(topics: ChosenTopics, frame: BagFrame) -> list[Key]:
    """The messages of a frame that BagFrames reads: image, camera info, and of every truth the one that counts."""
    kinds = ["image", "camera_info", "depth" if topics.depth is not None else "scan"]
    kinds += ["labels"] if frame.labels is not None else ["detections", "detections_3d"]
    places = [(getattr(topics, kind), getattr(frame, kind)) for kind in kinds]
    return [(topic, place.stamp_ns) for topic, place in places if topic is not None and place is not None]


def needed_topics(bag: BagContents) -> list[str]:
    """The topics of the bag that pairing waits for."""
    return sorted({topic for frame in bag.frames for topic, _ in needed_messages(bag.topics, frame)})
