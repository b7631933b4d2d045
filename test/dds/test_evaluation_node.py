"""evaluation_node over DDS: its figures are those of the offline evaluation, whatever was dropped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mp_perception.bags.kitti_to_bag import write_raw_drive
from mp_perception.bags.messages import header, image_message, new_message
from mp_perception.bags.reading import BagReader
from mp_perception.bags.topics import image_topic
from mp_perception.bags.writing import BagWriter, OfferedQos
from mp_perception.data.kitti.raw import RawDrive
from mp_perception.data.kitti.raw_frames import KittiRaw
from mp_perception.network.checkpoint import write_checkpoint
from mp_perception.network.multitask import MultiTaskNetwork, describe_network
from mp_perception.synthetic.drive import write_raw_drive as write_synthetic_drive
from mp_perception.synthetic.sensors import camera_of_size

pytestmark = [pytest.mark.dds, pytest.mark.timeout(300)]

NUM_FRAMES = 6
#: What must be equal to the last digit.
FIGURES = ("depth", "objects", "detection", "detection_protocol", "coco", "images", "score_threshold")

# Somebody who looks at the images, as the perception node would, until the bag has begun again and two frames are known
# to be dropped; then asks for a report.  Prints the figures and the answer as JSON.
WATCHER = """
import json, sys, time
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

rclpy.init()
node = rclpy.create_node("watcher")
figures = {}
def take(message):
    figures.update({v.key: v.value for v in message.status[0].values}, message=message.status[0].message)
node.create_subscription(Image, sys.argv[1], lambda message: None, 1)
node.create_subscription(DiagnosticArray, "/evaluation/figures", take, 5)
deadline = time.monotonic() + 120
while figures.get("frames dropped, no output") != "2" or figures["images repeated"] == "0":
    assert time.monotonic() < deadline, figures
    rclpy.spin_once(node, timeout_sec=0.1)
client = node.create_client(Trigger, "/evaluation/write_report")
assert client.wait_for_service(20)
future = client.call_async(Trigger.Request())
rclpy.spin_until_future_complete(node, future, timeout_sec=60)
print(json.dumps([figures, future.result().success, future.result().message]))
"""


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> RawDrive:
    folder = tmp_path_factory.mktemp("drive")
    written = write_synthetic_drive(folder / "raw", NUM_FRAMES, seed=5, camera=camera_of_size(320, 96))
    return RawDrive(written.folder)


@pytest.fixture(scope="module")
def bag(drive: RawDrive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bags") / "street"
    write_raw_drive(drive, path)
    return path


@contextmanager
def process(arguments: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is gone when the block ends."""
    with log.open("wb") as output:
        started = subprocess.Popen(
            [sys.executable, *arguments], env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield started
        finally:
            if started.poll() is None:
                started.send_signal(signal.SIGINT)
                try:
                    started.wait(10)
                except subprocess.TimeoutExpired:
                    started.kill()
                    started.wait()


def offline(bag: Path, folder: Path, *arguments: str) -> dict[str, Any]:
    """What `bag evaluate` finds."""
    command = [sys.executable, "-m", "mp_perception.commands.main", "bag", "evaluate", str(bag), *arguments]
    subprocess.run([*command, "--json", str(folder / "offline.json")], check=True, capture_output=True, timeout=200)
    return dict(json.loads((folder / "offline.json").read_text()))


def assert_equal_figures(live: dict[str, Any], expected: dict[str, Any]) -> None:
    for name in FIGURES:
        assert live[name] == expected[name], name


#: Replays a bag through a node whose weights are not there; says the reason and how long it took to find it.
FAILING_SESSION = """
import sys, time
from pathlib import Path
from mp_perception.errors import UserError
from mp_perception.ros.evaluation_session import EvaluationSession, run_evaluation_session

start = time.monotonic()
session = EvaluationSession(
    bag=Path(sys.argv[1]), image_topic=sys.argv[2], camera_info_topic=None, compressed=False, topics=(sys.argv[2],),
    rate=1.0, node_parameters={"weights": "/nowhere.safetensors"}, evaluation_parameters={},
)
try:
    run_evaluation_session(session)
except UserError as error:
    print(error)
print(time.monotonic() - start)
"""


def test_a_node_that_cannot_start_ends_the_replay_at_once(bag: Path, dds_environment: dict[str, str]) -> None:
    command = [sys.executable, "-c", FAILING_SESSION, str(bag), image_topic(2)]
    done = subprocess.run(command, env=dds_environment, capture_output=True, text=True, timeout=200, check=True)
    reason, seconds = done.stdout.splitlines()
    assert reason == "perception_node: cannot configure: /nowhere.safetensors: no such weights file"
    # It is the replay that gives up after 120 s.
    assert float(seconds) < 100


def test_replay_evaluate_gives_the_figures_of_the_file(
    bag: Path, dds_environment: dict[str, str], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    description = describe_network("mobilenet_v2", input_size=(96, 320))
    # So that boxes of an untrained network count.
    object.__setattr__(description, "score_threshold", 0.05)
    weights = tmp_path / "net.safetensors"
    write_checkpoint(weights, MultiTaskNetwork(description))
    # So slow that nothing is dropped, on whatever machine.
    command = [
        *(sys.executable, "-m", "mp_perception.commands.main", "bag", "replay-evaluate", str(bag)),
        *("--weights", str(weights), "--rate", "0.05", "--json", "live.json", "--report", "live.html"),
    ]
    done = subprocess.run(
        command, cwd=tmp_path, env=dds_environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"report: {tmp_path / 'live.html'}" in done.stdout
    live = json.loads((tmp_path / "live.json").read_text())
    counts = {"received": NUM_FRAMES, "scored": NUM_FRAMES, "dropped": {}}
    assert live["frames"] == {**counts, "repeated": 0, "late": 0, "malformed_messages": 0}
    assert live["node"]["images processed"] == str(NUM_FRAMES)
    assert live["latency_ms"]["total"]["frames"] == NUM_FRAMES
    assert live["images"]["with_depth"] == live["images"]["with_labels"] == NUM_FRAMES
    assert_equal_figures(live, offline(bag, tmp_path, "--weights", str(weights)))
    assert "<html" in (tmp_path / "live.html").read_text()


def write_outputs(bag: Path, drive: RawDrive, path: Path, wanted: list[int]) -> Path:
    """The bag, and with it what a node might have published for some of the frames, 30 ms after each image.

    Depth is the truth with an error that grows with the frame's number; objects are the labels, moved a little.
    """
    data_set = KittiRaw(drive.folder)
    with BagReader(bag) as reader, BagWriter(path) as writer:
        for topic in reader.topics.values():
            writer.add_topic(topic.name, topic.type, OfferedQos(transient_local=topic.transient_local))
        writer.add_topic("/detections", "vision_msgs/msg/Detection2DArray")
        writer.add_topic("/depth/image", "sensor_msgs/msg/Image")
        pending = []
        for number, message in enumerate(reader.messages([image_topic(2)])):
            if number in wanted:
                stamp = message.time_ns
                depth = np.nan_to_num(data_set.depth(number), nan=10.0) * np.float32(0.9 - 0.1 * number)
                pending.append(("/detections", stamp, detections(data_set, number, stamp)))
                pending.append(("/depth/image", stamp, image_message(depth, "32FC1", "camera", stamp)))
        for message in reader.messages():
            while pending and pending[0][1] + 30_000_000 < message.time_ns:
                topic, stamp, output = pending.pop(0)
                writer.write(topic, stamp + 30_000_000, output)
            writer.write_serialized(message.topic, message.time_ns, message.data)
        for topic, stamp, output in pending:
            writer.write(topic, stamp + 30_000_000, output)
    return path


def detections(data_set: KittiRaw, number: int, stamp: int) -> Any:
    objects = []
    for label in data_set.labels(number) or []:
        if label.class_name not in data_set.class_names:
            continue
        left, top, right, bottom = label.box
        centre = new_message("vision_msgs/msg/Point2D", x=(left + right) / 2 + number, y=(top + bottom) / 2)
        hypothesis = new_message("vision_msgs/msg/ObjectHypothesis", class_id=label.class_name, score=0.9)
        pose = new_message(
            "geometry_msgs/msg/Pose",
            position=new_message("geometry_msgs/msg/Point", x=0.0, y=0.0, z=label.box_3d.bottom_centre[2] + number),
            orientation=new_message("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
        )
        covariant = new_message("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=np.zeros(36))
        objects.append(
            new_message(
                "vision_msgs/msg/Detection2D",
                header=header("camera", stamp),
                results=[
                    new_message("vision_msgs/msg/ObjectHypothesisWithPose", hypothesis=hypothesis, pose=covariant)
                ],
                bbox=new_message(
                    "vision_msgs/msg/BoundingBox2D",
                    center=new_message("vision_msgs/msg/Pose2D", position=centre, theta=0.0),
                    size_x=right - left,
                    size_y=bottom - top,
                ),
                id="",
            )
        )
    return new_message("vision_msgs/msg/Detection2DArray", header=header("camera", stamp), detections=objects)


def test_dropped_frames_are_said_and_change_no_figure_of_the_others(
    bag: Path, drive: RawDrive, dds_environment: dict[str, str], tmp_path: Path
) -> None:
    """Every third frame has no output; the bag is played in a loop, and what comes again is not scored again."""
    kept = [number for number in range(NUM_FRAMES) if number % 3 != 2]
    played = write_outputs(bag, drive, tmp_path / "street", kept)
    parameters = {
        "bag": played, "report": tmp_path / "live.html", "json": tmp_path / "live.json", "score_threshold": "0.3",
    }  # fmt: skip
    assigned = [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]
    replay_arguments = [
        *("-m", "mp_perception.ros.replay_node", str(played), "--rate", "0.5", "--loop"),
        *("--wait-for-subscribers", f"{image_topic(2)}:2", "/detections", "--wait-timeout", "100"),
    ]
    logs = {name: tmp_path / f"{name}.txt" for name in ("watcher", "evaluation", "replay")}
    counts = {"received": NUM_FRAMES, "scored": 4, "dropped": {"no output": 2}}
    with (
        process(["-m", "mp_perception.ros.evaluation_node", "--ros-args", *assigned], dds_environment,
                logs["evaluation"]) as node,
        process(["-c", WATCHER, image_topic(2)], dds_environment, logs["watcher"]) as watcher,
    ):  # fmt: skip
        with process(replay_arguments, dds_environment, logs["replay"]):
            assert watcher.wait(200) == 0, logs["watcher"].read_text() + logs["evaluation"].read_text()
            figures, success, answer = json.loads(logs["watcher"].read_text())
            assert success, answer
            assert str(tmp_path / "live.html") in answer
            intermediate = json.loads((tmp_path / "live.json").read_text())
        assert node.wait(100) == 0, logs["evaluation"].read_text()
    assert figures["frames scored"] == "4"
    assert figures["message"] == "2 of 6 frames dropped"
    live = json.loads((tmp_path / "live.json").read_text())
    assert intermediate["frames"].items() >= counts.items()
    assert live["frames"].items() >= counts.items()
    assert live["frames"]["repeated"] >= NUM_FRAMES - 1
    expected = offline(played, tmp_path, "--recorded", "--score-threshold", "0.3")
    assert expected["frames"] == counts
    assert_equal_figures(intermediate, expected)
    assert_equal_figures(live, expected)
    # Not only equal but right: depth is 0.9, 0.8, 0.6 and 0.5 times the truth.
    assert live["depth"]["rel"] == pytest.approx(0.3, abs=1e-5)
    assert "no output" in (tmp_path / "live.html").read_text()
    assert "4 of 6 frames scored, 2 dropped (no output)" in logs["evaluation"].read_text()
