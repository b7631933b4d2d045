"""Messages of a replay come in any order, late, twice or not at all: every frame is accounted for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mp_perception.bags.contents import BagContents
from mp_perception.bags.live_pairing import LiveFrame, LivePairing, needed_messages
from mp_perception.bags.message_index import Place
from mp_perception.bags.pairing import BagFrame
from mp_perception.bags.reading import BagMessage
from mp_perception.bags.topic_choice import ChosenTopics
from mp_perception.bags.transforms import TransformTree

IMAGE, INFO, DEPTH, LABELS = "/camera/image", "/camera/camera_info", "/truth/depth", "/truth/labels"
OUTPUTS = ("/detections", "/depth/image")
PERIOD = 100_000_000
SIZE = 100


def stamp(number: int) -> int:
    return 1_600_000_000_000_000_000 + number * PERIOD


def bag(num_frames: int, with_truth: set[int] | None = None) -> BagContents:
    """Frames with image and depth; one camera info, of the first frame, serves all."""
    places = [Place(stamp(n), stamp(n), 0) for n in range(num_frames)]
    truth = set(range(num_frames)) if with_truth is None else with_truth
    frames = tuple(
        BagFrame(str(n), place.stamp_ns, place, places[0], depth=place if n in truth else None)
        for n, place in enumerate(places)
    )
    topics = ChosenTopics(image=IMAGE, camera_info=INFO, depth=DEPTH)
    return BagContents(Path("bag"), Path("bag"), "bag", topics, None, frames, TransformTree())


def message(topic: str, number: int, size: int = SIZE) -> BagMessage:
    """A message that is a header and filling."""
    seconds, nanoseconds = divmod(stamp(number), 1_000_000_000)
    head = b"\0\1\0\0" + b"".join(value.to_bytes(4, "little") for value in (seconds, nanoseconds, 1)) + b"\0"
    return BagMessage(topic, "any", 0, head.ljust(size, b"\0"))


def pairing(contents: BagContents, max_bytes: int = 1_000_000) -> LivePairing:
    waiting = LivePairing(contents, OUTPUTS, timeout=2.0, max_bytes=max_bytes)
    waiting.add(message(INFO, 0), 0.0)
    return waiting


def send(waiting: LivePairing, number: int, now: float, topics: tuple[str, ...] = (IMAGE, DEPTH, *OUTPUTS)) -> None:
    for topic in topics:
        waiting.add(message(topic, number), now)


def taken(waiting: LivePairing) -> list[int]:
    frames: list[LiveFrame] = []
    while (frame := waiting.take()) is not None:
        frames.append(frame)
    return [frame.index for frame in frames]


def test_a_frame_is_given_once_with_all_its_messages_and_no_other() -> None:
    waiting = pairing(bag(2))
    send(waiting, 1, 0.0, (OUTPUTS[0], DEPTH, IMAGE))
    assert waiting.take() is None
    send(waiting, 1, 0.1, (OUTPUTS[1],))
    frame = waiting.take()
    assert frame is not None
    assert frame.index == 1
    keys = {(topic, stamp(1)) for topic in (IMAGE, DEPTH, *OUTPUTS)} | {(INFO, stamp(0))}
    assert set(frame.messages) == keys
    assert waiting.take() is None
    send(waiting, 0, 0.2)
    assert taken(waiting) == [0]  # the camera info serves this one too
    waiting.close(bag_ended=True)
    assert not waiting.counts().dropped


def test_stamps_are_compared_exactly() -> None:
    waiting = pairing(bag(1))
    send(waiting, 0, 0.0, (IMAGE, DEPTH, OUTPUTS[0]))
    near = message(OUTPUTS[1], 0)
    nanoseconds = int.from_bytes(near.data[8:12], "little") + 1
    waiting.add(BagMessage(near.topic, "any", 0, near.data[:8] + nanoseconds.to_bytes(4, "little") + near.data[12:]), 0)
    assert waiting.take() is None
    waiting.expire(3.0)
    assert waiting.counts().dropped == {"no output": 1}


def test_what_does_not_come_in_time_is_dropped_for_the_reason_that_is_so() -> None:
    waiting = pairing(bag(5))
    send(waiting, 0, 0.0, (IMAGE, DEPTH, OUTPUTS[0]))
    send(waiting, 1, 0.0, (DEPTH, *OUTPUTS))
    send(waiting, 2, 0.0, (IMAGE, *OUTPUTS))
    send(waiting, 3, 1.5)
    waiting.expire(1.9)
    assert not waiting.counts().dropped
    waiting.expire(2.1)
    assert waiting.counts().dropped == {"no output": 1, "no image": 1, "truth lost on the way": 1}
    assert taken(waiting) == [3]
    waiting.close(bag_ended=False)
    assert "never came" not in waiting.counts().dropped
    waiting.close(bag_ended=True)
    assert waiting.counts().dropped["never came"] == 1


def test_outputs_that_come_after_their_frame_was_dropped_are_late() -> None:
    waiting = pairing(bag(1))
    send(waiting, 0, 0.0, (IMAGE, DEPTH))
    waiting.expire(2.1)
    send(waiting, 0, 2.2, OUTPUTS)
    assert taken(waiting) == []
    assert waiting.counts().late == 1
    assert waiting.counts().dropped == {"no output": 1}


def test_a_loop_scores_every_stamp_once() -> None:
    waiting = pairing(bag(3))
    for turn in range(3):
        for number in range(3):
            send(waiting, number, turn)
        assert taken(waiting) == ([0, 1, 2] if turn == 0 else [])
    assert waiting.counts().repeated == 6
    assert waiting.counts().late == 0
    waiting.close(bag_ended=True)
    assert not waiting.counts().dropped


def test_outputs_of_a_repeated_image_are_not_late() -> None:
    waiting = pairing(bag(1))
    send(waiting, 0, 0.0, (IMAGE, DEPTH))
    waiting.expire(5.0)
    send(waiting, 0, 6.0)
    assert (waiting.counts().repeated, waiting.counts().late, waiting.counts().dropped) == (1, 0, {"no output": 1})


def test_memory_has_a_bound_and_the_oldest_frame_pays() -> None:
    # Room for the camera info and two frames of image and depth.
    waiting = pairing(bag(4), max_bytes=5 * SIZE)
    for number in range(4):
        send(waiting, number, 0.0, (IMAGE, DEPTH))
        assert waiting.num_waiting <= 2
    assert waiting.counts().dropped == {"memory limit": 2}
    for number in (2, 3):
        send(waiting, number, 0.1, OUTPUTS[:1])
    assert waiting.counts().dropped == {"memory limit": 3}


def test_images_with_one_stamp_count_once_and_truth_may_lack() -> None:
    contents = bag(2, with_truth={0})
    twice = BagFrame("twice", stamp(0), contents.frames[0].image)
    waiting = pairing(BagContents(**{**vars(contents), "frames": (*contents.frames, twice)}))
    assert waiting.counts().dropped == {"stamp of an earlier frame": 1}
    send(waiting, 1, 0.0, (IMAGE, *OUTPUTS))
    assert taken(waiting) == [1]


def test_labels_stand_for_detections_and_depth_images_for_scans() -> None:
    place = Place(1, 1, 0)
    frame = BagFrame("1", 1, place, None, place, place, place, place, place)
    topics = ChosenTopics(IMAGE, None, DEPTH, "/scan", LABELS, "/boxes", "/boxes_3d")
    assert needed_messages(topics, frame) == [(IMAGE, 1), (DEPTH, 1), (LABELS, 1)]


@pytest.mark.timeout(60)
@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from((IMAGE, DEPTH, *OUTPUTS)), st.integers(0, 4), st.floats(0, 1)), max_size=60),
    st.integers(1, 12),
)
def test_every_frame_ends_exactly_once_whatever_comes(arrivals: list[tuple[str, int, float]], room: int) -> None:
    waiting = pairing(bag(5), max_bytes=room * SIZE)
    now, scored = 0.0, []
    for topic, number, seconds in arrivals:
        now += seconds
        waiting.add(message(topic, number), now)
        waiting.expire(now)
        scored += taken(waiting)
    waiting.close(bag_ended=True)
    scored += taken(waiting)
    assert len(scored) == len(set(scored))
    assert len(scored) + sum(waiting.counts().dropped.values()) == 5
    assert waiting.num_waiting == 0
    assert not waiting._messages
    assert waiting._bytes == 0
