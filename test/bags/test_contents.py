"""What an evaluation finds in a bag: which topics, which message with which image, and what is wrong."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mp_perception.bags.contents import BagContents, read_contents
from mp_perception.bags.frames import BagFrames
from mp_perception.bags.message_types import bag_header, new_message
from mp_perception.bags.pairing import MAX_OFFSET_NS
from mp_perception.bags.reading import BagReader
from mp_perception.bags.topic_choice import ChosenTopics
from mp_perception.bags.truth_messages import boxes_3d_message, boxes_message, labels_message
from mp_perception.bags.writing import BagWriter
from mp_perception.data.object_label import ObjectLabel
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics
from mp_perception.lens_distortion import LensDistortion
from mp_perception.messages.camera_info import camera_info_message
from mp_perception.messages.detections import label_info_message
from mp_perception.messages.header import Message
from mp_perception.messages.images import image_message
from mp_perception.messages.points import points_message
from mp_perception.messages.poses import transforms_message

CAMERA = CameraIntrinsics(50.0, 50.0, 31.2, 15.2, 64, 32)
MS = 1_000_000
START = 1_600_000_000_000_000_000

#: (topic, bag's time, message).
Entry = tuple[str, int, Message]


def write(path: Path, entries: Sequence[Entry], empty: dict[str, str] | None = None) -> Path:
    with BagWriter(path) as bag:
        for topic, type_name in (empty or {}).items():
            bag.add_topic(topic, type_name)
        for topic, time_ns, message in entries:
            bag.write(topic, time_ns, message)
    return path


def read(path: Path, asked: ChosenTopics | None = None) -> BagContents:
    with BagReader(path) as reader:
        return read_contents(reader, asked or ChosenTopics(), path.name)


def frames_of(tmp_path: Path, *entries: Entry) -> BagFrames:
    """The frames of a bag of these messages, named `bag`."""
    return BagFrames([read(write(tmp_path / "bag", entries))])


def pixels_at(stamp: int, pixels: np.ndarray, encoding: str, topic: str, frame: str = "camera") -> Entry:
    return topic, stamp, image_message(new_message, pixels, encoding, bag_header(frame, stamp))


def image(stamp: int, topic: str = "/camera/image_raw", value: int = 0, frame: str = "camera") -> Entry:
    return pixels_at(stamp, np.full((32, 64, 3), value, np.uint8), "rgb8", topic, frame)


def info(stamp: int, topic: str = "/camera/camera_info", camera: CameraIntrinsics = CAMERA) -> Entry:
    return topic, stamp, camera_info_message(new_message, camera, bag_header("camera", stamp))


def depth(stamp: int, metres: float, topic: str = "/ground_truth/depth/image", frame: str = "camera") -> Entry:
    return pixels_at(stamp, np.full((32, 64), metres, np.float32), "32FC1", topic, frame)


def boxes(stamp: int, names: Sequence[str], topic: str = "/ground_truth/detections") -> Entry:
    labels = [ObjectLabel(name, (10, 10, 20, 30)) for name in names]
    return topic, stamp, boxes_message(labels, bag_header("camera", stamp))


def points(stamp: int, x: float) -> Entry:
    return "/points", stamp, points_message(new_message, np.array([[x, 0, 0, 0]]), bag_header("scanner", stamp))


def scanner_ahead() -> Entry:
    """The scanner looks along x, the camera along z; both in one place."""
    pose = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    return "/tf_static", START, transforms_message(new_message, [("scanner", "camera", pose)], START)


def known_depth(frames: BagFrames) -> list[float | None]:
    """The median depth of each frame, None where it is unknown."""
    maps = [frames.depth(i) for i in range(len(frames))]
    return [None if depth is None else float(np.nanmedian(depth)) for depth in maps]


def test_truth_belongs_to_the_image_of_exactly_its_stamp(tmp_path: Path) -> None:
    stamps = [START + n * 100 * MS for n in range(4)]
    entries = [entry for stamp in stamps for entry in (info(stamp), image(stamp))]
    entries += [depth(stamps[0], 5.0), depth(stamps[2], 7.0), depth(stamps[3] + 1, 9.0)]
    entries += [boxes(stamps[1], ["Car"]), boxes(stamps[3], [])]
    bag = read(write(tmp_path / "bag", sorted(entries, key=lambda entry: entry[1])))
    frames = BagFrames([bag])
    assert known_depth(frames) == [5.0, None, 7.0, None]
    # Without a message the objects are unknown; an empty one means that there are no objects.
    assert [None if (found := frames.labels(i)) is None else len(found) for i in range(4)] == [None, 1, None, 0]
    assert bag.counts()["depth images"] == 2
    assert [note for note in bag.notes if "depth" in note] == [
        "/ground_truth/depth/image: 1 of 3 messages are not used: no image with its stamp"
    ]
    assert frames[1].intrinsics == CAMERA
    assert frames.frames[1].name == f"bag/{stamps[1]}"


def test_repeated_stamps_take_their_truths_in_turn_and_jumps_are_sorted(tmp_path: Path) -> None:
    late, early = START + 200 * MS, START + 100 * MS
    entries = [
        ("/camera/image_raw", START + n, image(stamp, value=n)[2]) for n, stamp in enumerate((late, early, early, late))
    ]
    entries += [("/ground_truth/depth/image", START + 9 + n, depth(early, float(n + 1))[2]) for n in range(2)]
    entries += [("/ground_truth/depth/image", START + 20, depth(late, 5.0)[2])]
    bag = read(write(tmp_path / "bag", entries))
    frames = BagFrames([bag])
    assert [frame.name for frame in frames.frames] == [
        *(f"bag/{early}", f"bag/{early}-2"),
        *(f"bag/{late}", f"bag/{late}-2"),
    ]
    assert [int(frames.image(i)[0, 0, 0]) for i in range(4)] == [1, 2, 0, 3]
    assert known_depth(frames) == [1.0, 2.0, 5.0, None]
    assert any("stamps jump back 1 times" in note for note in bag.notes)
    assert any("2 images have the stamp of an earlier one" in note for note in bag.notes)


def test_infinity_is_unknown_as_a_truth_and_beyond_the_range_as_a_prediction(tmp_path: Path) -> None:
    metres = np.full((32, 64), 5, np.float32)
    metres[:10] = np.inf
    entries = [
        image(START),
        pixels_at(START, metres, "32FC1", "/ground_truth/depth/image"),
        pixels_at(START, metres, "32FC1", "/depth/image"),
        ("/detections", START, new_message("vision_msgs/msg/Detection2DArray", header=bag_header("camera", START))),
    ]
    frames = BagFrames([read(write(tmp_path / "bag", entries))], score_recorded=True)
    truth = frames.depth(0)
    assert truth is not None
    assert np.isnan(truth[:10]).all()
    assert frames.sky(0) is None  # a sensor does not tell the sky from a surface beyond its range
    np.testing.assert_array_equal(frames.recorded_prediction(0).network_depth, metres)


def test_messages_at_one_bag_time_are_told_apart(tmp_path: Path) -> None:
    stamps = [START + n * MS for n in range(3)]
    entries = [("/camera/image_raw", START, image(stamp, value=n)[2]) for n, stamp in enumerate(stamps)]
    entries += [("/ground_truth/depth/image", START, depth(stamps[1], 3.0)[2])]
    frames = frames_of(tmp_path, *entries)
    assert [int(frames.image(i)[0, 0, 0]) for i in range(3)] == [0, 1, 2]
    assert known_depth(frames) == [None, 3.0, None]


def test_stamps_of_zero_are_the_bags_time(tmp_path: Path) -> None:
    times = [START, START + 100 * MS]
    entries = [("/camera/image_raw", time, image(0, value=n)[2]) for n, time in enumerate(times)]
    entries += [("/ground_truth/depth/image", times[1], depth(0, 4.0)[2])]
    bag = read(write(tmp_path / "bag", entries))
    assert [frame.stamp_ns for frame in bag.frames] == times
    assert known_depth(BagFrames([bag])) == [None, 4.0]


def test_a_point_cloud_belongs_to_the_nearest_image_without_a_nearer_one(tmp_path: Path) -> None:
    stamps = [START + n * 40 * MS for n in range(4)]  # 25 Hz
    entries = [scanner_ahead(), *(e for stamp in stamps for e in (info(stamp), image(stamp)))]
    # 10 ms before the second image; 5 ms after it (nearer); too late for the last one.
    entries += [
        points(stamps[1] - 10 * MS, 5),
        points(stamps[1] + 5 * MS, 6),
        points(stamps[3] + MAX_OFFSET_NS + 1, 7),
    ]
    bag = read(write(tmp_path / "bag", sorted(entries, key=lambda entry: entry[1])))
    frames = BagFrames([bag])
    assert known_depth(frames) == [None, 6.0, None, None]
    assert frames.ground_truth == "single lidar scan, projected (nearest point wins)"
    depth_map = frames.depth(1)
    assert depth_map is not None
    assert np.argwhere(np.isfinite(depth_map)).tolist() == [[15, 31]]
    assert any("/points: 2 of 3 messages are not used" in note for note in bag.notes)


def test_camera_info_of_another_size_is_left_out_and_counted(tmp_path: Path) -> None:
    other = CameraIntrinsics(50.0, 50.0, 31.5, 15.5, 128, 32)
    frames = frames_of(tmp_path, info(START, camera=other), image(START), info(START + 1), image(START + 1))
    assert frames[0].intrinsics is None
    ((_, example),) = frames.problems
    assert "expected 64x32 as the image has, found 128x32" in example
    assert frames[1].intrinsics == CAMERA
    assert frames.problems == []


def test_the_last_camera_info_holds_until_the_next(tmp_path: Path) -> None:
    other = CameraIntrinsics(60.0, 60.0, 31.5, 15.5, 64, 32)
    frames = frames_of(
        tmp_path, image(START), info(START + 1), image(START + 2), info(START + 3, camera=other), image(START + 4)
    )
    assert [frames[i].intrinsics for i in range(3)] == [CAMERA, CAMERA, other]


def test_smaller_depth_of_the_same_frame_is_resized(tmp_path: Path) -> None:
    small = np.full((16, 32), 2, np.float32)
    small[3, 5] = np.nan
    frames = frames_of(tmp_path, image(START), pixels_at(START, small, "32FC1", "/depth/image"))
    found = frames.depth(0)
    assert found is not None
    assert np.argwhere(np.isnan(found)).tolist() == [[6, 10], [6, 11], [7, 10], [7, 11]]
    assert frames.mended == ["/depth/image: resized from 32x16 to the image's 64x32"]


def depth_camera(stamp: int, camera: CameraIntrinsics, metres: float = 2.0) -> list[Entry]:
    """A depth image of its own camera, 0.1 m to the right of the colour camera if its transform is written."""
    pixels = np.full((camera.height, camera.width), metres, np.float32)
    return [
        pixels_at(stamp, pixels, "32FC1", "/depth/image_raw", "depth"),
        ("/depth/camera_info", stamp, camera_info_message(new_message, camera, bag_header("depth", stamp))),
    ]


def beside() -> Entry:
    pose = np.eye(4)
    pose[0, 3] = 0.1
    return "/tf_static", START, transforms_message(new_message, [("camera", "depth", pose)], START)


SMALL = CameraIntrinsics(25.0, 25.0, 15.5, 7.5, 32, 16)


def test_depth_of_another_camera_is_registered(tmp_path: Path) -> None:
    frames = frames_of(tmp_path, info(START), image(START), beside(), *depth_camera(START, SMALL))
    found = frames.depth(0)
    assert found is not None
    assert (found[np.isfinite(found)] == 2).all()
    # Its left edge at x = -16 / 25 x 2 m + 0.1 m: column 31.7 - 50 x 1.18 / 2 = 2.2 of the image, as edges count.
    known = np.flatnonzero(np.isfinite(found).any(axis=0))
    assert known[0] in (2, 3)
    assert known[-1] == 63
    assert np.isfinite(found[:, 3:]).mean() > 0.9
    assert frames.mended == ["/depth/image_raw: registered into the camera of the image (100 mm away)"]


def test_registered_depth_in_its_old_frame_is_taken_as_it_is(tmp_path: Path) -> None:
    frames = frames_of(tmp_path, info(START), image(START), *depth_camera(START, CAMERA))
    assert (frames.depth(0) == 2).all()
    assert (frames.mended, frames.problems) == ([], [])


def test_camera_info_that_contradicts_the_depth_is_reported(tmp_path: Path) -> None:
    pixels, _ = depth_camera(START, CAMERA)
    _, wrong = depth_camera(START, SMALL)
    frames = frames_of(tmp_path, info(START), image(START), pixels, wrong)
    assert (frames.depth(0) == 2).all()
    ((kind, example),) = frames.problems
    assert kind == "bag: /depth/camera_info unusable"
    assert "expected 64x32 as the image has, found 32x16" in example


def labels(stamp: int, line: str | None = None) -> Entry:
    """A car, or what a line of another program says."""
    message = labels_message([ObjectLabel("Car", (0, 0, 9, 9))], bag_header("camera", stamp))
    message.status[0].message = line or message.status[0].message
    return "/ground_truth/labels", stamp, message


@pytest.mark.parametrize(
    ("entries", "topic", "expected"),
    [
        ([info(START), points(START, 5)], "/points", "expected a transform from 'scanner' to 'camera', found none"),
        (
            [pixels_at(START, np.ones((32, 32), np.float32), "32FC1", "/depth/image")],
            "/depth/image",
            "expected 64x32 pixels as the image has, found 32x32",
        ),
        (
            [info(START), *depth_camera(START, replace(CAMERA, fx=60.0))],
            "/depth/image_raw",
            "expected depth that is registered to the image, or a transform from 'depth' to 'camera', found none",
        ),
        ([labels(START, "Car at the left")], "/ground_truth/labels", "expected 15 columns"),
    ],
)
def test_what_is_unusable_is_left_out_and_counted(
    tmp_path: Path, entries: list[Entry], topic: str, expected: str
) -> None:
    frames = frames_of(tmp_path, image(START), *entries)
    assert (frames.depth(0), frames.labels(0)) == (None, None)
    ((kind, example),) = frames.problems
    assert kind == f"bag: {topic} unusable"
    assert expected in example


def test_point_clouds_without_transform_are_reported(tmp_path: Path) -> None:
    bag = read(write(tmp_path / "bag", [info(START), image(START), points(START, 5)]))
    assert any("no transform from 'scanner' to 'camera'; frames with transforms: none" in n for n in bag.notes)


def test_depth_with_its_own_clock_belongs_to_the_nearest_image(tmp_path: Path) -> None:
    stamps = [START + n * 100 * MS for n in range(3)]
    entries = [entry for stamp in stamps for entry in (info(stamp), image(stamp))]
    entries += [depth(stamps[0] + 20 * MS, 5.0, "/depth"), depth(stamps[1] - 10 * MS, 6.0, "/depth")]
    entries += [depth(stamps[2] + 51 * MS, 7.0, "/depth")]
    bag = read(write(tmp_path / "bag", sorted(entries, key=lambda entry: entry[1])))
    frames = BagFrames([bag])
    assert known_depth(frames) == [5.0, 6.0, None]
    assert frames.mended == ["depth images have other stamps than the images: the nearest is taken, 15 ms away"]
    assert any("/depth: 1 of 3 messages are not used: no image within 50 ms of it" in note for note in bag.notes)


def test_compressed_depth_is_found(tmp_path: Path) -> None:
    header = np.frombuffer(struct.pack("<Iff", 0, 0, 0), np.uint8)
    stored = cv2.imencode(".png", np.full((32, 64), 1500, np.uint16))[1].ravel()
    message = new_message(
        "sensor_msgs/msg/CompressedImage",
        header=bag_header("camera", START),
        format="16UC1; compressedDepth png",
        data=np.concatenate([header, stored]),
    )
    bag = read(write(tmp_path / "bag", [image(START), ("/aligned/image_raw/compressedDepth", START, message)]))
    assert bag.topics.depth == "/aligned/image_raw/compressedDepth"
    assert known_depth(BagFrames([bag])) == [1.5]


def compressed(stamp: int, kind: str, pixels: np.ndarray) -> Entry:
    data = cv2.imencode(kind, pixels[..., ::-1])[1].ravel()
    message = new_message(
        "sensor_msgs/msg/CompressedImage", header=bag_header("camera", stamp), format=kind[1:], data=data
    )
    return "/camera/image_raw/compressed", stamp, message


@pytest.mark.parametrize("kind", [".png", ".jpg"])
def test_compressed_images(tmp_path: Path, kind: str) -> None:
    pixels = cv2.resize(np.random.default_rng(0).integers(0, 256, (4, 8, 3), dtype=np.uint8), (64, 32))
    bag = read(write(tmp_path / "bag", [info(START), compressed(START, kind, pixels), depth(START, 2.0)]))
    assert bag.topics.image == "/camera/image_raw/compressed"
    assert bag.topics.camera_info == "/camera/camera_info"
    found = BagFrames([bag])[0]
    assert np.abs(found.image.astype(int) - pixels).mean() < (0.01 if kind == ".png" else 20)
    assert found.intrinsics == CAMERA


def test_an_image_that_cannot_be_decoded_is_refused_when_it_is_read(tmp_path: Path) -> None:
    topic, stamp, message = compressed(START, ".png", np.zeros((32, 64, 3), np.uint8))
    message.data = message.data[:60]
    frames = BagFrames([read(write(tmp_path / "bag", [(topic, stamp, message), image(START)]), ChosenTopics(topic))])
    with pytest.raises(UserError, match=r"bag: /camera/image_raw/compressed at 1600000000000000000 ns: "):
        frames.image(0)


@pytest.mark.parametrize(("topic", "rectified"), [("/camera/image_raw", False), ("/camera/image_rect", True)])
def test_a_raw_image_has_the_rays_of_its_lens_also_for_the_lidar(tmp_path: Path, topic: str, rectified: bool) -> None:
    lens = LensDistortion("plumb_bob", (-0.4, 0.1, 0.0, 0.0))
    raw = CameraIntrinsics(50.0, 50.0, 31.2, 15.2, 64, 32, lens)
    cloud = "/points", START, points_message(new_message, np.array([[10.0, -5, 0, 0]]), bag_header("scanner", START))
    entries = [image(START, topic), info(START, camera=raw), scanner_ahead(), cloud]
    sample = frames_of(tmp_path, *entries)[0]
    assert sample.intrinsics == (replace(raw, distortion=None) if rectified else raw)
    # x / z = 0.5, by the lens 0.5 (1 - 0.4 / 4 + 0.1 / 16): columns 56.2 and 53.9.
    assert sample.depth is not None
    assert np.argwhere(np.isfinite(sample.depth)).tolist() == [[15, 56 if rectified else 54]]


def outputs(stamp: int) -> list[Entry]:
    """What the node publishes for an image."""
    label_info = label_info_message(new_message, ("Car", "Bus"), 0.0, bag_header("", stamp))
    return [
        ("/detections", stamp, boxes_message([], bag_header("camera", stamp))),
        depth(stamp, 9.0, "/depth/image"),
        ("/detections_3d", stamp, boxes_3d_message([], bag_header("camera", stamp))),
        image(stamp, "/overlay"),
        image(stamp, "/depth/image_colored"),
        ("/tracks", stamp, boxes_3d_message([], bag_header("odom", stamp))),
        ("/tracks/states", stamp, points_message(new_message, np.ones((1, 4)), bag_header("odom", stamp))),
        ("/label_info", stamp, label_info),
    ]


def test_the_nodes_outputs_are_neither_ground_truth_nor_camera_images(tmp_path: Path) -> None:
    bag = read(write(tmp_path / "bag", [image(START, "/street"), *outputs(START)]))
    assert bag.topics == ChosenTopics(
        image="/street",
        predicted_detections="/detections",
        predicted_depth="/depth/image",
        predicted_label_info="/label_info",
    )
    assert bag.predicted_classes == ("Car", "Bus")
    assert not bag.has_depth
    truth = read(tmp_path / "bag", ChosenTopics(depth="/depth/image", detections="/detections"))
    assert known_depth(BagFrames([truth])) == [9.0]


@pytest.mark.parametrize(("kept", "has_depth", "has_names"), [(2, True, False), (1, False, True)])
def test_outputs_may_be_recorded_in_part(tmp_path: Path, kept: int, has_depth: bool, has_names: bool) -> None:
    published = outputs(START)
    parts = published[:kept] + (published[-1:] if has_names else [])
    bag = read(write(tmp_path / "bag", [image(START, "/street"), *parts]))
    assert bag.topics.predicted_detections == "/detections"
    assert (bag.topics.predicted_depth is not None, bag.topics.predicted_label_info is not None) == (
        has_depth,
        has_names,
    )
    assert bag.topics.detections is None
    assert bag.predicted_classes == (("Car", "Bus") if has_names else ())


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([depth(START, 1.0, "/cam/depth"), depth(START, 1.0, "/a/gt/depth")], {"depth": "/a/gt/depth"}),
        ([depth(START, 1.0, "/cam/depth")], {"depth": "/cam/depth"}),
        ([boxes(START, [], "/hand_drawn")], {"detections": "/hand_drawn"}),
        ([info(START, "/elsewhere/info")], {"camera_info": "/elsewhere/info"}),
        # Without camera info beside it a topic comes after others, and the truth's frame decides among equals.
        ([image(START, "/a/image_raw"), info(START)], {"image": "/camera/image_raw"}),
        (
            [image(START, "/z/image", frame="right"), depth(START, 1.0, frame="right")],
            {"image": "/z/image", "depth": "/ground_truth/depth/image"},
        ),
    ],
)
def test_topics_are_found(tmp_path: Path, entries: list[Entry], expected: dict[str, str]) -> None:
    bag = read(write(tmp_path / "bag", [image(START), *entries]))
    assert {kind: getattr(bag.topics, kind) for kind in expected} == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (ChosenTopics(image="/x"), r"no topic /x of type .*; it has /camera/image_raw, /empty, /ground"),
        (ChosenTopics(depth="/camera/camera_info"), "no topic /camera/camera_info of type sensor_msgs/msg/Image or "),
        (
            ChosenTopics(points="/points"),
            "no topic /points of type sensor_msgs/msg/PointCloud2; it has none of that type",
        ),
        (ChosenTopics(image="/ground_truth/depth/image"), "expected camera images on .*, found depth images"),
        (ChosenTopics(image="/empty"), "expected camera images on /empty, found no messages"),
    ],
)
def test_a_missing_topic_is_reported_with_those_of_the_bag(tmp_path: Path, asked: ChosenTopics, expected: str) -> None:
    entries = [image(START), info(START), depth(START, 1.0)]
    path = write(tmp_path / "bag", entries, {"/empty": "sensor_msgs/msg/Image"})
    with pytest.raises(UserError, match=expected) as error:
        read(path, asked)
    assert "\n" not in str(error.value)


def test_a_bag_without_camera_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected camera images, found /ground_truth/depth/image"):
        read(write(tmp_path / "bag", [depth(START, 1.0)]))
    with pytest.raises(UserError, match="found no topic of Image or CompressedImage"):
        read(write(tmp_path / "other", [info(START)]))


def test_topics_without_messages_and_messages_of_another_kind_are_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "bag", [image(START)], {"/ground_truth/depth/image": "sensor_msgs/msg/Image"})
    assert read(path).notes == ("/ground_truth/depth/image: no messages",)
    assert read(path).topics.depth is None
    with BagWriter(tmp_path / "broken") as bag:
        bag.add_topic("/ground_truth/detections", "vision_msgs/msg/Detection2DArray")
        bag.write("/camera/image_raw", START, image(START)[2])
        bag.write_serialized("/camera/image_raw", START + 1, b"\x00\x01\x00\x00short")
        bag.write_serialized("/ground_truth/detections", START, b"\x00\x01\x00\x00")
    broken = read(tmp_path / "broken")
    assert len(broken.frames) == 1
    assert broken.notes == (
        "/camera/image_raw: 1 messages are not sensor_msgs/msg/Image",
        "/ground_truth/detections: 1 messages are not vision_msgs/msg/Detection2DArray",
    )


def labelled(tmp_path: Path, name: str, classes: Sequence[str], named: bool) -> BagContents:
    entries = [image(START), boxes(START, classes)]
    info = label_info_message(new_message, classes, 0.0, bag_header("", START))
    if named:
        entries.append(("/ground_truth/label_info", START, info))
    return read(write(tmp_path / name, entries))


def labelled_in(bags: Sequence[BagContents]) -> set[str]:
    frames = BagFrames(bags)
    return {name for name, known in zip(frames.class_names, frames.labelled_classes, strict=True) if known}


def test_labelled_is_what_all_bags_label(tmp_path: Path) -> None:
    both = labelled(tmp_path, "a", ["Car", "Pedestrian"], named=True)
    cars = labelled(tmp_path, "b", ["Car"], named=True)
    silent = [labelled(tmp_path, "c", ["Car", "DontCare"], named=False), labelled(tmp_path, "d", ["Van"], named=False)]
    assert labelled_in([both]) == {"Car", "Pedestrian"}
    assert labelled_in([both, cars]) == {"Car"}
    assert labelled_in(silent) == {"Car", "Van"}
    assert labelled_in([*silent, both]) == {"Car"}
    # In the bag that labels pedestrians they are neither right nor wrong when the other one does not.
    frames = BagFrames([both, cars])
    types = [[label.class_name for label in frames.labels(i) or ()] for i in range(2)]
    assert types == [["Car", "DontCare"], ["Car"]]
    assert len(frames[0].ignored) == 1


def test_what_the_user_names_comes_first(tmp_path: Path) -> None:
    entries = [image(START), info(START), depth(START, 5.0), scanner_ahead(), points(START, 6.0)]
    entries += [labels(START), boxes(START, ["Van", "Van"])]
    path = write(tmp_path / "bag", entries)
    found = BagFrames([read(path)])
    assert known_depth(found) == [5.0]
    assert [label.class_name for label in found.labels(0) or ()] == ["Car"]
    asked = BagFrames([read(path, ChosenTopics(points="/points", detections="/ground_truth/detections"))])
    assert known_depth(asked) == [6.0]
    assert [label.class_name for label in asked.labels(0) or ()] == ["Van", "Van"]
