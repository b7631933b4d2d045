"""One active node from outside: its outputs, the changes that it refuses, and malformed input."""

from __future__ import annotations

import signal
from typing import Any

import cv2
import numpy as np
import pytest
from rcl_interfaces.srv import DescribeParameters
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from vision_msgs.msg import Detection3DArray, LabelInfo
from visualization_msgs.msg import Marker, MarkerArray

from reliability.robot import stop

pytestmark = [pytest.mark.dds, pytest.mark.timeout(120)]

FOCAL, CENTRE_X, CENTRE_Y = 180.0, 152.25, 43.0
CAMERA = CameraInfo(
    width=320,
    height=96,
    k=[FOCAL, 0.0, CENTRE_X, 0.0, FOCAL, CENTRE_Y, 0.0, 0.0, 1.0],
    p=[FOCAL, 0.0, CENTRE_X, 0.0, 0.0, FOCAL, CENTRE_Y, 0.0, 0.0, 0.0, 1.0, 0.0],
)


@pytest.fixture(scope="module")
def node_and_robot(start_node: Any) -> Any:
    """An active node with a small input; at threshold 0 its network detects objects in noise."""
    parameters = {"input_size": [96, 320], "score_threshold": 0, "max_detections": 20, "max_age": 5.0}
    return start_node("/front", reliable=["image"], diagnostics_period=0.2, **parameters)


def send_camera_info(robot: Any, info: CameraInfo) -> None:
    """Publish camera info before the next image, repeatedly like a camera."""
    for _ in range(5):
        robot.publisher(CameraInfo, "camera_info").publish(info)
        robot.spin(0.05)


def floats(message: Image) -> np.ndarray:
    """Pixels of a depth image."""
    kind = {"32FC1": np.float32, "16UC1": np.uint16}[message.encoding]
    assert message.step == message.width * np.dtype(kind).itemsize
    return np.frombuffer(message.data, kind).reshape(message.height, message.width)


def test_without_camera_info_z_is_metres_and_x_y_are_unknown(robot: Any) -> None:
    found = robot.answer(robot.image())
    assert len(found.detections) == 20
    for detection in found.detections:
        pose = detection.results[0].pose
        assert 1.0 <= pose.pose.position.z <= 80.0
        assert np.isnan([pose.pose.position.x, pose.pose.position.y]).all()
        assert pose.covariance[0] == -1
        assert pose.covariance[14] >= 0


def test_all_outputs_have_the_header_of_the_image_and_agree(robot: Any) -> None:
    robot.set(publish_point_cloud=True)
    kinds = {"depth/image": Image, "depth/camera_info": CameraInfo, "overlay": Image, "depth/image_colored": Image}
    kinds |= {"points": PointCloud2, "detections_3d": Detection3DArray}
    for topic, kind in (kinds | {"markers": MarkerArray}).items():
        robot.subscribe(kind, topic)
    robot.spin(0.5)
    send_camera_info(robot, CAMERA)
    found = robot.answer(robot.image())
    header = found.header
    assert header.frame_id == "camera_optical"
    by_topic = {topic: robot.beside(found, topic) for topic in kinds}
    assert all(message.header == header for message in by_topic.values())
    markers = robot.wait(lambda: [m for m in robot.received["markers"] if m.markers[0].header == header], "markers")[0]

    depth = floats(by_topic["depth/image"])
    assert depth.shape == (96, 320)
    assert list(by_topic["depth/camera_info"].k) == pytest.approx([FOCAL, 0, CENTRE_X, 0, FOCAL, CENTRE_Y, 0, 0, 1])
    for topic in ("overlay", "depth/image_colored"):
        assert (by_topic[topic].encoding, by_topic[topic].height, by_topic[topic].width) == ("rgb8", 96, 320)
        assert len(by_topic[topic].data) == 96 * 320 * 3

    for detection in found.detections:
        assert detection.header == header
        position, centre = detection.results[0].pose.pose.position, detection.bbox.center.position
        assert 0 <= centre.x <= 320
        assert 0 <= centre.y <= 96
        # Image points are relative to pixel edges, the principal point to pixel centres: they differ by half a pixel.
        assert position.x == pytest.approx((centre.x - 0.5 - CENTRE_X) / FOCAL * position.z, abs=1e-3)
        assert position.y == pytest.approx((centre.y - 0.5 - CENTRE_Y) / FOCAL * position.z, abs=1e-3)
        inside = depth[int(centre.y - detection.bbox.size_y / 2) : int(centre.y + detection.bbox.size_y / 2) + 1]
        assert np.nanmin(inside) - 0.5 <= position.z <= np.nanmax(inside) + 0.5

    cloud = by_topic["points"]
    points = np.frombuffer(cloud.data, np.float32).reshape(96, 320, 4)
    np.testing.assert_array_equal(points[..., 2], depth)
    assert points[40, 300, 0] == pytest.approx((300 - CENTRE_X) / FOCAL * depth[40, 300], rel=1e-5)

    assert markers.markers[0].action == Marker.DELETEALL
    boxes = [marker for marker in markers.markers if marker.type == Marker.CUBE]
    assert sorted(round(box.pose.position.z, 3) for box in boxes) == sorted(
        round(d.results[0].pose.pose.position.z, 3) for d in found.detections
    )
    in_space = by_topic["detections_3d"].detections
    assert len(in_space) == len(found.detections)
    for flat, solid in zip(found.detections, in_space, strict=True):
        assert (solid.header, solid.results[0].hypothesis) == (header, flat.results[0].hypothesis)
        surface, centre = flat.results[0].pose.pose.position, solid.bbox.center.position
        assert centre.z > surface.z
        assert centre.x / centre.z == pytest.approx(surface.x / surface.z, abs=1e-5)
        assert solid.bbox.size.x == pytest.approx(flat.bbox.size_x / FOCAL * surface.z, rel=1e-4)
    for topic in [*kinds, "markers"]:
        robot.unsubscribe(topic)


def test_positions_follow_the_lens_of_a_raw_image_and_one_warning_says_so(node: Any, robot: Any) -> None:
    raw = CameraInfo(width=320, height=96, k=CAMERA.k, p=[150.0, *CAMERA.p[1:]], d=[-0.3, 0.09, 0.0, 0.0, 0.0])
    raw.distortion_model = "plumb_bob"
    send_camera_info(robot, raw)
    found = [robot.answer(robot.image()) for _ in range(3)][-1]
    matrix = np.reshape(CAMERA.k, (3, 3))
    for detection in found.detections:
        position, centre = detection.results[0].pose.pose.position, detection.bbox.center.position
        point = np.array([[position.x, position.y, position.z]])
        seen, _ = cv2.projectPoints(point, np.zeros(3), np.zeros(3), matrix, np.array(raw.d))
        np.testing.assert_allclose(seen.ravel() + 0.5, (centre.x, centre.y), atol=0.1)
    assert node.text().count("the image is not rectified (/front/camera_info: plumb_bob)") == 1

    assert robot.set(rectified=True)[0].successful  # a bool is accepted for the text
    detection = robot.answer(robot.image()).detections[0]
    position, centre = detection.results[0].pose.pose.position, detection.bbox.center.position
    assert position.x == pytest.approx((centre.x - 0.5 - CENTRE_X) / 150 * position.z, abs=1e-3)
    assert robot.set(rectified="auto")[0].successful

    raw.d = [0.1, 0.2]
    send_camera_info(robot, raw)
    robot.answer(robot.image())
    position = robot.answer(robot.image()).detections[0].results[0].pose.pose.position
    assert np.isnan(position.x)
    refused = "camera info of /front/camera_info: D: expected 4 or 5 coefficients of plumb_bob, found 2"
    robot.diagnostics(lambda values: refused in values["last problem"])
    send_camera_info(robot, CAMERA)


def test_pictures_are_compressed_while_somebody_subscribes(robot: Any) -> None:
    for topic in ("overlay", "depth/image_colored"):
        robot.subscribe(Image, topic)
        robot.subscribe(CompressedImage, f"{topic}/compressed")
        robot.wait_for_publisher(f"{topic}/compressed")
    robot.spin(0.3)
    found = robot.answer(robot.image())
    for topic in ("overlay", "depth/image_colored"):
        raw, small = robot.beside(found, topic), robot.beside(found, f"{topic}/compressed")
        assert small.header == raw.header == found.header
        pixels = cv2.imdecode(np.frombuffer(small.data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        expected = np.frombuffer(raw.data, np.uint8).reshape(raw.height, raw.width, 3)
        assert (small.format, pixels.shape) == ("jpeg", expected.shape)
        # JPEG does not keep the colours of the noise in the image, but their means.
        means = [cv2.resize(picture, (20, 6), interpolation=cv2.INTER_AREA) for picture in (pixels, expected)]
        assert np.abs(means[0].astype(int) - means[1]).mean() < 4
        robot.unsubscribe(topic)
        robot.unsubscribe(f"{topic}/compressed")


def test_outputs_without_a_subscriber_are_not_computed(robot: Any) -> None:
    def published(values: dict[str, str], topic: str) -> int:
        return int(values.get(f"images published {topic}", 0))

    robot.spin(0.5)
    before = robot.diagnostics()
    robot.answer(robot.image())
    processed = int(before["images processed"]) + 1
    after = robot.diagnostics(lambda values: int(values["images processed"]) >= processed)
    assert published(after, "detections") == published(before, "detections") + 1
    for topic in ("overlay", "depth/image", "depth/image_colored", "points", "markers", "depth/camera_info"):
        assert published(after, topic) == published(before, topic)
    robot.subscribe(Image, "overlay")
    robot.wait_for_publisher("overlay")
    robot.answer(robot.image(), "overlay")
    robot.unsubscribe("overlay")
    last = robot.diagnostics(lambda values: int(values["images processed"]) > processed)
    assert published(last, "overlay") == published(before, "overlay") + 1


def test_without_detections_the_array_is_empty(robot: Any) -> None:
    assert robot.set(score_threshold=1.0)[0].successful
    assert robot.answer(robot.image()).detections == []
    assert robot.set(score_threshold=0.0)[0].successful
    assert len(robot.answer(robot.image()).detections) == 20


def test_late_subscribers_receive_label_info_which_follows_the_threshold(robot: Any) -> None:
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    robot.subscribe(LabelInfo, "label_info", latched)
    first = robot.wait(lambda: robot.received["label_info"], "label info")[-1]
    names = {entry.class_id: entry.class_name for entry in first.class_map}
    assert first.threshold == 0.0
    by_name = robot.answer(robot.image())
    robot.set(class_id_format="index", score_threshold=0.125)
    robot.wait(lambda: robot.received["label_info"][-1].threshold == 0.125, "label info of the new threshold")
    robot.set(score_threshold=0.0)
    by_number = robot.answer(robot.image())
    robot.set(class_id_format="name")
    assert len(by_number.detections) == 20
    for named, numbered in zip(by_name.detections, by_number.detections, strict=True):
        assert names[int(numbered.results[0].hypothesis.class_id)] == named.results[0].hypothesis.class_id


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("score_threshold", 1.5, ("-1 or 0 to 1", "1.5")),
        ("score_threshold", float("nan"), ("-1 or 0 to 1", "nan")),
        ("score_threshold", "high", ("double", "'high'")),
        ("max_detections", 0, ("1 to 1000", "found 0")),
        ("max_detections", 10.5, ("int", "10.5")),
        ("depth_encoding", "64FC1", ("32FC1, 16UC1", "'64FC1'")),
        ("classes", ["Unicorn"], ("Car", "'Unicorn'")),
        ("min_depth", 90.0, ("min_depth", "90 to 80")),
        ("backbone", "resnet50", ("change it while unconfigured", "'resnet50'")),
        ("input_size", [64, 64], ("change it while unconfigured",)),
    ],
)
def test_refused_changes_name_range_and_value_and_change_nothing(
    robot: Any, name: str, value: Any, words: tuple[str, ...]
) -> None:
    before = robot.get(name)
    result = robot.set(**{name: value})[0]
    assert not result.successful
    assert name in result.reason
    for word in words:
        assert word in result.reason
    assert robot.get(name) == before


def test_an_unknown_parameter_is_refused_with_a_similar_name(robot: Any) -> None:
    result = robot.set(score_treshold=0.5)[0]
    assert not result.successful
    assert result.reason.endswith("unknown parameter 'score_treshold': did you mean 'score_threshold'?")


def test_descriptions_have_the_limits_of_numbers(robot: Any) -> None:
    request = DescribeParameters.Request(names=["score_threshold", "max_detections", "weights"])
    threshold, number, text = robot.call(DescribeParameters, "describe_parameters", request).descriptors
    assert (threshold.floating_point_range[0].from_value, threshold.floating_point_range[0].to_value) == (-1.0, 1.0)
    assert (number.integer_range[0].from_value, number.integer_range[0].to_value) == (1, 1000)
    assert not text.integer_range
    assert not text.floating_point_range
    assert text.description.startswith("Weights file")


def test_integers_are_accepted_for_doubles(robot: Any) -> None:
    assert robot.set(max_age=6)[0].successful
    assert len(robot.answer(robot.image()).detections) == 20


def test_malformed_images_are_counted_and_the_next_image_is_processed(robot: Any) -> None:
    bad = {
        "step: expected at least 27648 bytes per row": robot.image(9216, 1, step=100),
        "step: expected at least 960 bytes per row": robot.image(step=900),
        "data: expected 92160 bytes (96 rows of 960), found 1000": robot.image(data=b"\0" * 1000),
        "size: expected at least 1x1 pixels, found 0x0": Image(encoding="rgb8"),
        "found 'x-unknown'": robot.image(encoding="x-unknown"),
        "found 4294967295x4294967295": Image(width=2**32 - 1, height=2**32 - 1, encoding="rgb8", step=3),
        "found a depth image": robot.image(encoding="32FC1"),
    }
    before = robot.diagnostics()
    for number, (reason, message) in enumerate(bad.items(), start=1):
        robot.send_image(message)
        wanted = int(before["images malformed"]) + number
        seen = robot.diagnostics(lambda values, w=wanted: int(values["images malformed"]) == w)
        assert reason in seen["last problem"]
        assert "/front/image" in seen["last problem"]
    assert len(robot.answer(robot.image()).detections) == 20
    after = robot.diagnostics(lambda values: int(values["images processed"]) > int(before["images processed"]))
    assert int(after["images processed"]) == int(before["images processed"]) + 1
    assert int(after["images received"]) == int(before["images received"]) + len(bad) + 1
    assert int(after["images errors"]) == 0


def test_the_image_size_may_change(robot: Any) -> None:
    robot.subscribe(Image, "depth/image")
    robot.wait_for_publisher("depth/image")
    for width, height in ((640, 480), (33, 21), (320, 96)):
        depth = robot.answer(robot.image(width, height), "depth/image")
        assert (depth.width, depth.height) == (width, height)
        for detection in robot.beside(depth, "detections").detections:
            assert detection.bbox.center.position.x + detection.bbox.size_x / 2 <= width + 1e-3
            assert detection.bbox.center.position.y + detection.bbox.size_y / 2 <= height + 1e-3
            # The camera info is for 320x96 pixels and cannot be used for another size.
            assert np.isnan(detection.results[0].pose.pose.position.x) == (width != 320)
    robot.unsubscribe("depth/image")


@pytest.mark.parametrize("bad", ["nan", "zero"])
def test_unusable_camera_info_is_reported_and_costs_only_x_and_y(robot: Any, bad: str) -> None:
    info = CameraInfo(width=320, height=96)
    if bad == "nan":
        info.k = [float("nan")] * 9
    send_camera_info(robot, info)
    found = robot.answer(robot.image())
    assert all(np.isnan(d.results[0].pose.pose.position.x) for d in found.detections)
    words = "found NaN" if bad == "nan" else "expected a focal length above 0"
    robot.diagnostics(lambda values: words in values["last problem"])


def test_depth_encodings_and_resolutions(robot: Any) -> None:
    robot.subscribe(Image, "depth/image")
    robot.subscribe(CameraInfo, "depth/camera_info")
    robot.wait_for_publisher("depth/image")
    send_camera_info(robot, CAMERA)
    metres = floats(robot.answer(robot.image(), "depth/image"))
    robot.set(depth_encoding="16UC1")
    millimetres = robot.answer(robot.image(), "depth/image")
    assert millimetres.encoding == "16UC1"
    expected = np.where(metres < 65.535, np.rint(metres * 1000), 0)
    np.testing.assert_allclose(floats(millimetres), expected, atol=1)
    robot.set(depth_encoding="32FC1", depth_resolution="network")
    small = robot.answer(robot.image(), "depth/image")
    assert (small.width, small.height) == (160, 48)  # half the network's input
    info = robot.beside(small, "depth/camera_info")
    assert info.header == small.header
    assert (info.width, info.height) == (160, 48)
    assert list(info.p[:7]) == pytest.approx([90, 0, (CENTRE_X + 0.5) / 2 - 0.5, 0, 0, 90, (CENTRE_Y + 0.5) / 2 - 0.5])
    robot.set(max_depth=5.0)
    near = floats(robot.answer(robot.image(), "depth/image"))
    assert np.isposinf(near).any()
    assert near[np.isfinite(near)].max(initial=0) <= 5.001
    robot.set(max_depth=-1.0, depth_resolution="input")
    robot.unsubscribe("depth/image")
    robot.unsubscribe("depth/camera_info")


def test_one_class_only(robot: Any) -> None:
    robot.set(classes=["Truck"])
    found = robot.answer(robot.image()).detections
    robot.set(classes=[""])
    assert {d.results[0].hypothesis.class_id for d in found} <= {"Truck"}
    assert {d.results[0].hypothesis.class_id for d in robot.answer(robot.image()).detections} - {"Truck"}


def test_stopped_by_sigint_with_exit_code_0(node: Any) -> None:
    """The last test of this module, because it ends the node."""
    code, seconds = stop(node, signal.SIGINT)
    assert code == 0, node.text()
    assert seconds < 2
    assert "Traceback" not in node.text()
