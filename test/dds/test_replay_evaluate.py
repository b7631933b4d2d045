"""`bag replay-evaluate`: a replay through the real node gives the figures of the file on the frames it answered."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from mp_perception.bags.kitti_to_bag import write_raw_drive
from mp_perception.bags.message_types import bag_header, new_message
from mp_perception.bags.reading import BagReader
from mp_perception.bags.writing import BagWriter, offered_qos
from mp_perception.commands.bag.replay_evaluate import warn_of_losses
from mp_perception.commands.main import app
from mp_perception.data.kitti.raw import RawDrive
from mp_perception.errors import UserError
from mp_perception.messages.header import read_serialized_header
from mp_perception.messages.images import image_message
from mp_perception.network.checkpoint import write_checkpoint
from mp_perception.network.multitask import MultiTaskNetwork, describe_network
from mp_perception.synthetic.drive import write_raw_drive as write_synthetic_drive
from mp_perception.synthetic.sensors import camera_of_size
from reliability.small_network import write_small_network

NUM_FRAMES = 6
#: What must be equal to the last digit.
FIGURES = ("depth", "objects", "detection", "detection_protocol", "coco", "images", "score_threshold", "tracking")
OUTPUTS = {"/detections", "/depth/image", "/label_info"}


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic drive, whose labels have identities: their numbers in each image."""
    folder = tmp_path_factory.mktemp("drive")
    drive = write_synthetic_drive(folder / "raw", NUM_FRAMES, seed=5, camera=camera_of_size(640, 192))
    write_raw_drive(RawDrive(drive), folder / "anonymous")
    with BagReader(folder / "anonymous") as reader, BagWriter(folder / "street") as writer:
        add_topics(reader, writer)
        for message in reader.messages():
            if message.topic == "/ground_truth/labels":
                labels = reader.decode(message)
                for number, status in enumerate(labels.status):
                    status.hardware_id = str(number)
                writer.write(message.topic, message.time_ns, labels)
            else:
                writer.write_serialized(message.topic, message.time_ns, message.data)
    return folder / "street"


def add_topics(reader: BagReader, writer: BagWriter) -> None:
    for topic in reader.topics.values():
        writer.add_topic(topic.name, topic.type, offered_qos(transient_local=topic.transient_local))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network with a threshold below the scores of its boxes."""
    torch.manual_seed(0)
    description = describe_network("mobilenet_v2", input_size=(96, 320))
    object.__setattr__(description, "score_threshold", 0.05)
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    write_checkpoint(path, MultiTaskNetwork(description))
    return path


def replay_evaluate(folder: Path, environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mp_perception.commands.main", "bag", "replay-evaluate", *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200, check=False
    )


def offline(folder: Path, *arguments: object) -> dict[str, Any]:
    """Figures of `bag evaluate`."""
    out = folder / "offline.json"
    CliRunner().invoke(app, ["bag", "evaluate", *map(str, arguments), "--json", str(out)], catch_exceptions=False)
    return dict(json.loads(out.read_text()))


def assert_equal_figures(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert {name: found[name] for name in FIGURES} == {name: expected[name] for name in FIGURES}


def copy_frames(bag: Path, target: Path, stamps: Collection[int]) -> Path:
    """The bag with only the frames of these stamps."""
    with BagReader(bag) as reader, BagWriter(target) as writer:
        add_topics(reader, writer)
        for message in reader.messages():
            header = read_serialized_header(message.data)
            if reader.topics[message.topic].transient_local or (header is not None and header[0] in stamps):
                writer.write_serialized(message.topic, message.time_ns, message.data)
    return target


@pytest.mark.dds
@pytest.mark.timeout(300)
def test_a_slow_replay_gives_the_figures_of_the_file(
    bag: Path, dds_environment: dict[str, str], tmp_path: Path
) -> None:
    arguments = ("--tracking", "--rate", "0.1", "--json", "live.json", "--report", "live.html")
    done = replay_evaluate(tmp_path, dds_environment, bag, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stderr
    assert f"perception_node: {NUM_FRAMES} received, {NUM_FRAMES} processed, 0 overwritten" in done.stdout
    live = json.loads((tmp_path / "live.json").read_text())
    assert live["frames"] == {"received": NUM_FRAMES, "scored": NUM_FRAMES, "dropped": {}}
    assert live["images"]["with_depth"] == live["images"]["with_labels"] == NUM_FRAMES
    assert live["latency_ms"]["total"]["frames"] == NUM_FRAMES
    assert live["latency_ms"]["total"]["median"] > 0
    assert live["tracking"]["camera"]["all"]["hits"] > 0
    assert_equal_figures(live, offline(tmp_path, bag, "--tracking"))
    assert "<html" in (tmp_path / "live.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["live.html", "live.json", "offline.json"]


@pytest.mark.dds
@pytest.mark.extended
@pytest.mark.timeout(300)
def test_dropped_frames_are_counted_and_do_not_change_the_figures_of_the_others(
    bag: Path, weights: Path, dds_environment: dict[str, str], tmp_path: Path
) -> None:
    """100 times as fast: all images arrive within a few milliseconds, which is less than an inference takes."""
    arguments = ("--weights", weights, "--rate", "100", "--json", "live.json", "--keep", "recording")
    done = replay_evaluate(tmp_path, dds_environment, bag, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    live = json.loads((tmp_path / "live.json").read_text())
    with BagReader(tmp_path / "recording") as reader:
        assert set(reader.topics) > OUTPUTS
        scored = [reader.decode(message).header.stamp for message in reader.messages(["/depth/image"])]
    assert 0 < len(scored) < NUM_FRAMES
    dropped = NUM_FRAMES - len(scored)
    assert live["frames"] == {"received": NUM_FRAMES, "scored": len(scored), "dropped": {"no output": dropped}}
    assert f"{dropped} dropped (no output)" in done.stdout
    stamps = {stamp.sec * 1_000_000_000 + stamp.nanosec for stamp in scored}
    part = copy_frames(bag, tmp_path / "part", stamps)
    assert_equal_figures(live, offline(tmp_path, part, "--weights", weights))
    again = offline(tmp_path, tmp_path / "recording", "--recorded", "--score-threshold", "0.05")
    assert again["depth"] == live["depth"]


@pytest.mark.dds
@pytest.mark.timeout(200)
def test_a_node_that_cannot_start_ends_the_replay_at_once(
    bag: Path, dds_environment: dict[str, str], tmp_path: Path
) -> None:
    weights = write_small_network(tmp_path)
    done = replay_evaluate(tmp_path, dds_environment, bag, "--weights", weights, "--device", "cuda:99")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "perception_node: " in done.stderr
    assert "cuda:99" in done.stderr
    assert list(tmp_path.iterdir()) == [weights]


def test_messages_that_did_not_reach_the_recorder_are_reported(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topics = ["/kitti/camera_color_left/image_raw", "/ground_truth/label_info"]
    with BagReader(bag) as reader:
        stamps = [message.time_ns for message in reader.messages(topics[:1])]
        recording = copy_frames(bag, tmp_path / "recording", stamps[:-1])
        warn_of_losses(reader, recording, topics)
    expected = f"warning: {topics[0]}: 1 of {NUM_FRAMES} messages did not reach the recorder; try a lower --rate\n"
    assert capsys.readouterr().err == expected


def test_bad_input_is_refused_before_any_process_starts(bag: Path, tmp_path: Path) -> None:
    weights = write_small_network(tmp_path)
    with BagWriter(tmp_path / "taken") as writer:
        writer.add_topic("/image", "sensor_msgs/msg/Image")
        writer.add_topic("/detections", "vision_msgs/msg/Detection2DArray")
        image = image_message(new_message, np.zeros((4, 4, 3), np.uint8), "rgb8", bag_header("camera", 1))
        writer.write("/image", 1, image)
        objects = new_message("vision_msgs/msg/Detection2DArray", header=image.header, detections=[])
        writer.write("/detections", 1, objects)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for arguments, message in (
        ((tmp_path / "nowhere",), "nowhere: no such bag"),
        ((tmp_path / "taken",), "taken: ground truth on /detections, where the node publishes its outputs"),
        ((bag, "--weights", tmp_path / "none.safetensors"), "none.safetensors: no such weights file"),
        ((bag, "--keep", tmp_path / "full"), "full: expected a new or empty folder"),
        ((bag, "--json", tmp_path), "expected a file for the figures, found a folder"),
    ):
        given = ["--weights", weights, *arguments, "--report", tmp_path / "report.html"]
        done = CliRunner().invoke(app, ["bag", "replay-evaluate", *map(str, given)])
        assert isinstance(done.exception, UserError), (arguments, done.output, done.exception)
        assert message in str(done.exception)
        assert not (tmp_path / "report.html").exists()
