"""Outputs of the node, rendered: as video, as an MCAP with its own definitions, for Rerun."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from mcap.reader import make_reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from mp_perception.bags.message_types import bag_header, new_message
from mp_perception.bags.reading import BagReader
from mp_perception.bags.render.rendering import render_bag
from mp_perception.bags.topic_choice import ChosenTopics
from mp_perception.bags.truth_messages import labels_message
from mp_perception.bags.writing import BagWriter
from mp_perception.classes import class_color
from mp_perception.data.kitti.labels import parse_label_line
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics
from mp_perception.messages.camera_info import camera_info_message
from mp_perception.messages.detections import detections_message, label_info_message
from mp_perception.messages.images import depth_to_array, image_message
from mp_perception.prediction import Detections

HEIGHT, WIDTH = 96, 320
START = 1_316_995_200_000_000_000
STAMPS = [START, START + 100_000_000, START + 350_000_000]
CAMERA = CameraIntrinsics(fx=200.0, fy=210.0, cx=150.0, cy=40.0, width=WIDTH, height=HEIGHT)
DEPTH = 12.5
COLOR = (60, 30, 20)
BOX = (100.0, 30.0, 160.0, 80.0)
TRUE_LINE = "Car 0.00 0 0.0 201.00 31.00 281.00 81.00 1.5 1.6 3.9 0.0 1.6 12.0 0.0"
DONT_CARE = "DontCare -1 -1 -10 5.00 5.00 25.00 25.00 -1 -1 -1 -1000 -1000 -1000 -10"


def detections(score: float) -> Detections:
    """A car with the given score, and one with a very low score."""
    return Detections(
        boxes=np.array([BOX, (5, 5, 40, 40)], np.float32),
        scores=np.array([score, 0.02], np.float32),
        labels=np.array([0, 0]),
        depth=np.full(2, DEPTH, np.float32),
        depth_std=np.full(2, 0.5, np.float32),
        valid_fraction=np.ones(2, np.float32),
        position=np.array([[1.0, 0.5, DEPTH]] * 2, np.float32),
        class_names=("Car", "Pedestrian"),
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three grey images with truth; the node has answered the first and the last."""
    path = tmp_path_factory.mktemp("bags") / "recorded"
    with BagWriter(path) as bag:
        labels = [parse_label_line(line, "test") for line in (TRUE_LINE, DONT_CARE)]
        image = np.full((HEIGHT, WIDTH, 3), COLOR, np.uint8)
        depth = np.full((HEIGHT // 2, WIDTH // 2), DEPTH, np.float32)
        depth[:2], depth[2:4] = np.inf, np.nan
        info = label_info_message(new_message, ("Car", "Pedestrian"), 0.25, bag_header("", START))
        bag.write("/label_info", START, info)
        for number, stamp in enumerate(STAMPS):
            header = bag_header("camera", stamp)
            bag.write("/ground_truth/labels", stamp, labels_message(labels, header))
            bag.write("/camera/camera_info", stamp, camera_info_message(new_message, CAMERA, header))
            bag.write("/camera/image_raw", stamp, image_message(new_message, image, "rgb8", header))
            if number != 1:
                message = detections_message(new_message, detections(0.9), CAMERA, header, "name")
                bag.write("/detections", stamp + 5_000_000, message)
                bag.write("/depth/image", stamp + 6_000_000, image_message(new_message, depth, "32FC1", header))
    return path


def render(bag: Path, out: Path, threshold: float | None = None) -> Path:
    """What `bag render --recorded` does."""
    render_bag(bag, out, ChosenTopics(), None, threshold)
    return out


def messages(path: Path) -> dict[str, list[Any]]:
    """Topic -> (stamp in the file, message), decoded by nothing but the schemas in the file."""
    store = get_typestore(Stores.EMPTY)
    found: dict[str, list[Any]] = {}
    with path.open("rb") as file:
        for schema, channel, message in make_reader(file).iter_messages():
            assert schema is not None
            assert (schema.encoding, channel.message_encoding) == ("ros2msg", "cdr")
            if schema.name not in store.fielddefs:
                types = get_types_from_msg(schema.data.decode(), schema.name)
                store.register({name: types[name] for name in types if name not in store.fielddefs})
            decoded = store.deserialize_cdr(message.data, schema.name)
            found.setdefault(channel.topic, []).append((message.log_time, schema.name, decoded))
    return found


def test_a_video_has_every_image_at_the_bags_times(recorded: Path, tmp_path: Path) -> None:
    with av.open(str(render(recorded, tmp_path / "out.mp4"))) as container:
        frames = [(frame.time, frame.to_ndarray(format="rgb24").astype(int)) for frame in container.decode(video=0)]
    assert [time for time, _ in frames] == pytest.approx([0.0, 0.1, 0.35], abs=1e-4)
    seen, silent = frames[0][1], frames[1][1]
    assert seen.shape == (2 * HEIGHT, WIDTH, 3)
    # The first differs by the detected box, and by nothing of the one below the published threshold.
    difference = np.abs(seen - silent).max(axis=2)
    assert difference[79:82, 110:150].max(axis=0).min() > 25
    assert difference[45:70, 110:150].max() < 15
    assert difference[:90, 3:60].max() < 15
    # True boxes are white in both; ignored regions are not shown.
    for picture in (seen, silent):
        assert picture[50:70, 281].mean() > 200
        assert picture[30:38, 24:27].mean() < 200
    # 12.5 m is green to yellow; where the node was silent all is black.
    assert seen[HEIGHT + 60, 100].argmax() == 1
    assert silent[HEIGHT + 60 :].max() < 30


def test_annotations_are_read_with_the_files_own_definitions(recorded: Path, tmp_path: Path) -> None:
    found = messages(render(recorded, tmp_path / "out.mcap"))
    assert {name for _, name, _ in found["/annotations"]} == {"foxglove_msgs/msg/ImageAnnotations"}
    assert [time for time, _, _ in found["/annotations"]] == STAMPS
    first, silent, _ = (message for _, _, message in found["/annotations"])
    (loop,), (text,) = first.points, first.texts
    assert loop.type == loop.LINE_LOOP == 2
    assert [(point.x, point.y) for point in loop.points] == [(100, 30), (160, 30), (160, 80), (100, 80)]
    assert text.text == "Car 0.90 12.5 m"
    assert (text.position.x, text.position.y) == (100, 30)
    red, green, blue = (channel / 255 for channel in class_color("Car"))
    assert (loop.outline_color.r, loop.outline_color.g, loop.outline_color.b) == pytest.approx((red, green, blue))
    stamp = found["/camera/image_raw/compressed"][0][2].header.stamp
    assert (loop.timestamp.sec, loop.timestamp.nanosec) == (text.timestamp.sec, text.timestamp.nanosec)
    assert (loop.timestamp.sec, loop.timestamp.nanosec) == (stamp.sec, stamp.nanosec)
    # An empty message takes the earlier boxes off the screen.
    assert len(silent.points) == len(silent.texts) == 0
    (truth,) = found["/ground_truth/annotations"][0][2].points
    assert [(point.x, point.y) for point in truth.points] == [(201, 31), (281, 31), (281, 81), (201, 81)]


def test_the_file_holds_what_the_node_publishes(recorded: Path, tmp_path: Path) -> None:
    found = messages(render(recorded, tmp_path / "out.mcap"))
    counts = {topic: len(entries) for topic, entries in found.items()}
    every, answered = 3, 2
    assert counts == {
        "/camera/image_raw/compressed": every,
        "/camera/camera_info": every,
        "/annotations": every,
        "/ground_truth/annotations": every,
        "/label_info": 1,
        "/detections": answered,
        "/markers": answered,
        "/overlay/compressed": answered,
        "/depth/image_colored/compressed": answered,
        "/depth/image": answered,
        "/depth/camera_info": answered,
        "/points": answered,
    }
    cloud = found["/points"][0][2]
    assert [field.name for field in cloud.fields] == ["x", "y", "z", "rgb"]
    points = cloud.data.view(np.float32).reshape(-1, 4)
    # Every second pixel of 48 x 160; the four upper rows are sky and unknown.
    assert (cloud.height, cloud.width) == (24, 80)
    assert np.isnan(points[: 2 * 80, :3]).all()
    metres = depth_to_array(found["/depth/image"][0][2])
    assert np.isposinf(metres[:2]).all()
    assert np.isnan(metres[2:4]).all()
    half = CAMERA.scaled(WIDTH // 2, HEIGHT // 2)
    np.testing.assert_allclose(
        points[2 * 80, :3], [-half.cx / half.fx * DEPTH, (4 - half.cy) / half.fy * DEPTH, DEPTH], 1e-5
    )
    assert set(points[:, 3].view(np.uint32).tolist()) == {60 << 16 | 30 << 8 | 20}
    delete, box, text = found["/markers"][0][2].markers
    assert (delete.action, box.type, text.text) == (3, 1, "Car 12.5 m")
    assert box.scale.x == pytest.approx(60 / CAMERA.fx * DEPTH)


def test_a_rendered_mcap_is_a_bag_with_recorded_outputs_again(recorded: Path, tmp_path: Path) -> None:
    again = render(render(recorded, tmp_path / "out.mcap"), tmp_path / "again.mcap")
    with BagReader(again) as reader:
        # The camera's images, not the node's own pictures beside them.
        assert "/camera/image_raw/compressed" in reader.topics
        assert reader.topics["/detections"].count == 2


def test_a_threshold_decides_what_is_shown(recorded: Path, tmp_path: Path) -> None:
    found = messages(render(recorded, tmp_path / "out.mcap", threshold=0.01))
    assert len(found["/annotations"][0][2].points) == 2


def test_a_rerun_recording_holds_every_image_and_its_objects(recorded: Path, tmp_path: Path) -> None:
    pytest.importorskip("rerun", reason="Rerun is an optional extra")
    path = render(recorded, tmp_path / "out.rrd")
    assert [path.name for path in tmp_path.iterdir()] == ["out.rrd"]
    command = [sys.executable, "-m", "rerun", "rrd", "stats", str(path)]
    stats = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    # Three frames of five entities; the depth's camera of the two frames with depth; and two rows of properties.
    assert f"num_rows = {3 * 5 + 2 + 2}\n" in stats
    for entity in ("/camera", "/camera/image", "/camera/ground_truth", "/camera/detections", "/depth", "/depth/image"):
        assert f"\n{entity}: " in stats


@pytest.mark.parametrize("ending", ["mp4", "mcap", "rrd"])
@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_one_line_and_leaves_nothing(ending: str, recorded: Path, tmp_path: Path) -> None:
    if ending == "rrd":
        pytest.importorskip("rerun", reason="Rerun is an optional extra")
    with pytest.raises(UserError, match=rf"^{tmp_path}/out.{ending}: cannot be written: [^\n]+$"):
        render(recorded, tmp_path / f"out.{ending}")
    assert list(tmp_path.iterdir()) == []


def test_bad_targets_are_one_line_and_leave_nothing(recorded: Path, tmp_path: Path) -> None:
    for out, reason in (
        (tmp_path / "out.avi", "ends in .mp4, .mcap or .rrd"),
        (tmp_path / "nowhere" / "out.mp4", "expected a file in an existing folder"),
        (recorded / "recorded.mcap", "expected a file outside the bag"),
    ):
        with pytest.raises(UserError, match=reason) as caught:
            render(recorded, out)
        assert "\n" not in str(caught.value)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(UserError, match="found a folder"):
        render(recorded, tmp_path / "folder.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.mp4"]


@pytest.mark.parametrize("ending", ["mp4", "mcap", "rrd"])
def test_a_bag_without_a_usable_image_leaves_no_file(ending: str, recorded: Path, tmp_path: Path) -> None:
    if ending == "rrd":
        pytest.importorskip("rerun", reason="Rerun is an optional extra")
    with BagReader(recorded) as reader, BagWriter(tmp_path / "bad") as bag:
        for message in reader.messages():
            decoded = reader.decode(message)
            if message.topic == "/camera/image_raw":
                decoded.step = 1
            bag.write(message.topic, message.time_ns, decoded)
    target = tmp_path / f"out.{ending}"
    with pytest.raises(UserError, match="none of 3 images can be used"):
        render(tmp_path / "bad", target)
    assert [path.name for path in tmp_path.iterdir()] == ["bad"]


def test_a_bag_without_recorded_outputs_is_refused(recorded: Path, tmp_path: Path) -> None:
    with BagReader(recorded) as reader, BagWriter(tmp_path / "bare") as bag:
        for message in reader.messages(["/camera/image_raw"]):
            bag.write(message.topic, message.time_ns, reader.decode(message))
    with pytest.raises(UserError, match="expected recorded outputs"):
        render(tmp_path / "bare", tmp_path / "out.mp4")
