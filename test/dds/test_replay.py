"""replay_node and record_node as separate processes, over DDS."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mp_perception.bags.message_types import bag_header, new_message, type_store
from mp_perception.bags.reading import BagReader
from mp_perception.bags.writing import BagWriter, offered_qos
from mp_perception.geometry import CameraIntrinsics
from mp_perception.messages.camera_info import camera_info_message
from mp_perception.messages.images import image_message
from mp_perception.messages.poses import transforms_message

pytestmark = [pytest.mark.dds, pytest.mark.timeout(120)]

IMAGE, INFO, LABELS = "/camera/image", "/camera/camera_info", "/label_info"
NUM_IMAGES = 25
START_NS = 1317042272_345808896
PERIOD_NS = 50_000_000

# Prints one JSON line: stamp, CRC of the bytes and simulated time of every image, and all values of /clock.
SUBSCRIBER = """
import json, sys, time, zlib
import rclpy
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from rclpy.serialization import deserialize_message

count, reliability = int(sys.argv[1]), ReliabilityPolicy[sys.argv[2]]
rclpy.init()
node = rclpy.create_node("subscriber", parameter_overrides=[Parameter("use_sim_time", value=True)])
images, clock = [], []
def take_image(data):
    stamp = deserialize_message(data, Image).header.stamp
    now = node.get_clock().now().nanoseconds
    images.append((stamp.sec * 10**9 + stamp.nanosec, zlib.crc32(data), now))
def take_clock(message):
    clock.append(message.clock.sec * 10**9 + message.clock.nanosec)
node.create_subscription(Clock, "/clock", take_clock, QoSProfile(depth=1000))
node.create_subscription(Image, "/camera/image", take_image, QoSProfile(depth=5, reliability=reliability), raw=True)
deadline = time.monotonic() + 40
while len(images) < count and time.monotonic() < deadline:
    rclpy.spin_once(node, timeout_sec=0.1)
end = time.monotonic() + 0.3
while time.monotonic() < end:
    rclpy.spin_once(node, timeout_sec=0.1)
print(json.dumps({"images": images, "clock": clock}))
"""


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of KITTI's size at 20 Hz for 1.2 s with camera info; latched label info and transforms first."""
    path = tmp_path_factory.mktemp("replay") / "street"
    types = type_store().types
    random = np.random.default_rng(0)
    camera = CameraIntrinsics(721, 721, 609, 172, 1242, 375)
    latched = offered_qos(transient_local=True, depth=1)
    with BagWriter(path) as writer:
        writer.add_topic(IMAGE, "sensor_msgs/msg/Image")
        writer.add_topic(INFO, "sensor_msgs/msg/CameraInfo")
        writer.add_topic(LABELS, "vision_msgs/msg/LabelInfo", latched)
        writer.add_topic("/tf_static", "tf2_msgs/msg/TFMessage", latched)
        header = camera_info_message(new_message, camera, bag_header("", START_NS)).header
        writer.write(LABELS, START_NS, types["vision_msgs/msg/LabelInfo"](header=header, class_map=[], threshold=0.5))
        writer.write("/tf_static", START_NS, transforms_message(new_message, [("a", "b", np.eye(4))], START_NS))
        for number in range(NUM_IMAGES):
            stamp = START_NS + number * PERIOD_NS
            image = random.integers(0, 256, (375, 1242, 3), dtype=np.uint8)
            writer.write(INFO, stamp, camera_info_message(new_message, camera, bag_header("camera", stamp)))
            writer.write(IMAGE, stamp, image_message(new_message, image, "rgb8", bag_header("camera", stamp)))
    return path


Start = Callable[[list[str]], subprocess.Popen[str]]


@pytest.fixture
def start(start_process: Any, dds_environment: dict[str, str]) -> Start:
    """Starts a Python process with piped output."""

    def start(command: list[str]) -> subprocess.Popen[str]:
        command = [sys.executable, *command]
        return start_process(command, env=dds_environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


def node(name: str, *arguments: str | Path) -> list[str]:
    return ["-m", f"mp_perception.ros.{name}", *map(str, arguments)]


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *command]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def played(start: Start, replay: list[str], count: int, reliability: str = "RELIABLE") -> tuple[Any, str]:
    """What a subscriber process received of a replay, and the log of the replay, whose exit code is checked."""
    subscriber = start(["-c", SUBSCRIBER, str(count), reliability])
    replaying = start([*replay, "--wait-for-subscribers", IMAGE])
    _, log = replaying.communicate(timeout=60)
    assert replaying.returncode == 0, log
    output, errors = subscriber.communicate(timeout=60)
    assert subscriber.returncode == 0, errors
    return json.loads(output), log


@pytest.mark.parametrize("reliability", ["RELIABLE", "BEST_EFFORT"])
def test_every_image_arrives_in_order_with_equal_bytes_at_its_time(bag: Path, start: Start, reliability: str) -> None:
    received, log = played(start, node("replay_node", bag), NUM_IMAGES, reliability)
    with BagReader(bag) as reader:
        recorded = [(message.time_ns, zlib.crc32(message.data)) for message in reader.messages([IMAGE])]
    assert [(stamp, checksum) for stamp, checksum, _ in received["images"]] == recorded
    assert received["clock"] == sorted(received["clock"])
    assert {stamp for stamp, _ in recorded} <= set(received["clock"])
    # /clock and the image are two topics: either may arrive first, by a tick or a busy moment
    assert np.median([abs(now - stamp) for stamp, _, now in received["images"]]) <= 10_000_000
    # 100 Hz between the images as well: 1.2 s have 120 ticks, some of which coincide with images
    assert len(received["clock"]) > 90
    assert "/tf_static" not in log, "tf2_msgs is installed, so no topic may be skipped"
    assert f"replayed: {2 * NUM_IMAGES + 2} messages on 4 topics" in log


def test_another_rate_keeps_stamps_and_the_order_of_time(bag: Path, start: Start) -> None:
    received, _ = played(start, node("replay_node", bag, "--rate", "0.5"), NUM_IMAGES)
    assert [stamp for stamp, _, _ in received["images"]] == [START_NS + n * PERIOD_NS for n in range(NUM_IMAGES)]
    assert received["clock"] == sorted(received["clock"])
    assert received["clock"][-1] == START_NS + (NUM_IMAGES - 1) * PERIOD_NS
    # 2.4 s of real time hold up to 240 ticks, a recorded rate up to 120
    assert np.median(np.diff(received["clock"])) <= 5_000_001


def test_a_start_offset_skips_images_but_not_latched_topics(bag: Path, start: Start) -> None:
    replay = node("replay_node", bag, "--start-offset", "1.0", "--rate", "2", "--topics", IMAGE, LABELS)
    received, log = played(start, replay, 5)
    assert [stamp for stamp, _, _ in received["images"]] == [START_NS + n * PERIOD_NS for n in range(20, 25)]
    assert min(received["clock"]) >= START_NS + 20 * PERIOD_NS
    assert "replayed: 6 messages on 2 topics" in log


def test_a_loop_turns_the_clock_back_and_ends_on_sigterm(bag: Path, start: Start) -> None:
    subscriber = start(["-c", SUBSCRIBER, str(2 * NUM_IMAGES), "RELIABLE"])
    replay = start(node("replay_node", bag, "--loop", "--wait-for-subscribers", IMAGE))
    received = json.loads(subscriber.communicate(timeout=60)[0])
    replay.send_signal(signal.SIGTERM)
    _, log = replay.communicate(timeout=10)
    assert replay.returncode == 0, log
    assert "interrupted: " in log
    stamps = [stamp for stamp, _, _ in received["images"]][: 2 * NUM_IMAGES]
    assert stamps == 2 * [START_NS + n * PERIOD_NS for n in range(NUM_IMAGES)]
    assert sum(np.diff(received["clock"]) < 0) >= 1


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_recording_equals_what_was_played(
    bag: Path, start: Start, dds_environment: dict[str, str], tmp_path: Path, end: signal.Signals
) -> None:
    copy = tmp_path / "copy"
    topics = [IMAGE, INFO, LABELS]
    before = time.time_ns()
    recorder = start(node("record_node", copy, "--topics", *topics, "/absent"))
    done = run(node("replay_node", bag, "--wait-for-subscribers", *topics), dds_environment)
    assert done.returncode == 0, done.stderr
    assert not copy.exists()
    recorder.send_signal(end)
    _, errors = recorder.communicate(timeout=20)
    assert recorder.returncode == 0, errors
    assert "/absent: not published, not recorded" in errors
    assert f"{IMAGE}: {NUM_IMAGES} messages\n" in errors
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
    with BagReader(bag) as played, BagReader(copy) as recorded:
        assert list(recorded.topics) == sorted(topics)
        assert [name for name, topic in recorded.topics.items() if topic.transient_local] == [LABELS]
        for topic in topics:
            for found, sent in zip(recorded.messages([topic]), played.messages([topic]), strict=True):
                assert found.data[: len(sent.data)] == sent.data
                # the middleware fills a message up to a multiple of four bytes
                assert found.data[len(sent.data) :] in (b"", b"\0", b"\0\0", b"\0\0\0")
        times = [message.time_ns for message in recorded.messages([IMAGE])]
    assert before < times[0] < times[-1] < time.time_ns()
    # the times of reception keep the recorded distances, 24 periods of 50 ms, as far as a busy machine allows
    assert (times[-1] - times[0]) / 1e9 == pytest.approx((NUM_IMAGES - 1) * PERIOD_NS / 1e9, rel=0.5)


#: Starts replay_node with each list of arguments in turn; prints the exit codes.
RUNS = """
import json, sys
from mp_perception.ros.replay_node import main
codes = []
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = arguments
    codes.append(main())
print(json.dumps(codes))
"""


def test_bad_input_is_one_line_and_code_2(bag: Path, dds_environment: dict[str, str], tmp_path: Path) -> None:
    cases = {
        "no such bag": [tmp_path / "nowhere"],
        "no topic /x; it has": [bag, "--topics", "/x"],
        "the bag is only 1.200 s long": [bag, "--start-offset", "2"],
        f"{IMAGE} has 0 of 2": [bag, "--wait-for-subscribers", f"{IMAGE}:2", "--wait-timeout", "0.2"],
        "--wait-for-subscribers /y: expected one of": [bag, "--wait-for-subscribers", "/y"],
        "cannot start: ": [bag, "--ros-args", "--nonsense"],
    }
    arguments = json.dumps([[str(argument) for argument in case] for case in cases.values()])
    done = run(["-c", RUNS, arguments], dds_environment)
    assert json.loads(done.stdout) == [2] * len(cases), done.stderr
    errors = [line for line in done.stderr.splitlines() if line]
    assert len(errors) == len(cases), errors
    for line, message in zip(errors, cases, strict=True):
        assert line.startswith("error: ")
        assert message in line


def test_a_recording_never_overwrites(bag: Path, dds_environment: dict[str, str]) -> None:
    done = run(node("record_node", bag, "--topics", IMAGE), dds_environment)
    assert done.returncode == 2
    assert "expected a new or empty folder" in done.stderr
    with BagReader(bag) as reader:
        assert reader.topics[IMAGE].count == NUM_IMAGES
