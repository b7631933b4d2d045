"""Frames from memory are scored as those from the file; one that cannot be used is counted, and none at all is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mp_perception.bags.contents import BagContents
from mp_perception.bags.evaluation import write_result
from mp_perception.bags.live_pairing import LivePairing, needed_topics, open_replayed_bag
from mp_perception.bags.live_scoring import LiveScoring
from mp_perception.bags.messages import Message, header, image_message, new_message
from mp_perception.bags.reading import BagReader
from mp_perception.bags.writing import BagWriter
from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.evaluation.run import Outputs

NUM_FRAMES = 4
OUTPUTS = ("/detections", "/depth/image")


def nothing(stamp: int) -> Message:
    return new_message("vision_msgs/msg/Detection2DArray", header=header("camera", stamp), detections=[])


@pytest.fixture
def bag(tmp_path: Path) -> BagContents:
    """Images with depth of 10 m, and a node's outputs 20 ms later: 11 m, but in the second frame no depth image."""
    with BagWriter(tmp_path / "bag") as writer:
        for topic in ("/camera/image", "/ground_truth/depth/image", "/depth/image"):
            writer.add_topic(topic, "sensor_msgs/msg/Image")
        writer.add_topic("/detections", "vision_msgs/msg/Detection2DArray")
        for number in range(NUM_FRAMES):
            stamp = 1_600_000_000_000_000_000 + number * 100_000_000
            image = image_message(np.zeros((48, 64, 3), np.uint8), "rgb8", "camera", stamp)
            writer.write("/camera/image", stamp, image)
            truth = image_message(np.full((48, 64), 10, np.float32), "32FC1", "camera", stamp)
            writer.write("/ground_truth/depth/image", stamp, truth)
            published = np.full((48, 64), 11, np.float32)
            depth = image_message(published, "32FC1", "camera", stamp)
            if number == 1:
                depth = replace(depth, encoding="rgb8")
            writer.write("/detections", stamp + 20_000_000, nothing(stamp))
            writer.write("/depth/image", stamp + 20_000_000, depth)
    return open_replayed_bag(tmp_path / "bag", tmp_path)


def replayed(bag: BagContents, topics: list[str]) -> tuple[LivePairing, LiveScoring]:
    """Everything of these topics, as it would come from a replay."""
    pairing = LivePairing(bag, OUTPUTS, timeout=1.0, max_bytes=10_000_000)
    scoring = LiveScoring(bag, *OUTPUTS, DEFAULT_CLASSES, 0.3, with_pictures=True)
    with BagReader(bag.path) as reader:
        for message in reader.messages(topics):
            pairing.add(message, 0.0)
            while (frame := pairing.take()) is not None:
                scoring.add(frame)
    pairing.close(bag_ended=True)
    return pairing, scoring


def test_figures_and_what_cannot_be_used(bag: BagContents) -> None:
    pairing, scoring = replayed(bag, [*needed_topics(bag), *OUTPUTS])
    result, score = scoring.result(pairing.counts(), {"runtime": "torch"})
    assert result["frames"]["scored"] == NUM_FRAMES - 1
    assert result["frames"]["received"] == NUM_FRAMES
    assert result["frames"]["dropped"] == {"output unusable": 1}
    assert result["depth"]["rel"] == pytest.approx(0.1, abs=1e-6)
    assert result["latency_ms"]["image to detections"]["median"] == pytest.approx(20)
    assert result["node"] == {"runtime": "torch"}
    count, example = score.problems["bag: output unusable"]
    assert count == 1
    assert "rgb8" in example


def test_a_replay_without_any_output_still_gives_a_report(bag: BagContents, tmp_path: Path) -> None:
    pairing, scoring = replayed(bag, needed_topics(bag))
    outputs = Outputs(json=tmp_path / "x.json", report=tmp_path / "x.html", command="evaluation_node")
    write_result(outputs, [bag], {}, *scoring.result(pairing.counts(), {}))
    assert '"no output": 4' in (tmp_path / "x.json").read_text()
    assert "no output" in (tmp_path / "x.html").read_text()
