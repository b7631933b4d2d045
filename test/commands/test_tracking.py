"""`--tracking` and videos: objects that are followed from image to image, as a user calls it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from mp_perception.bags.message_types import bag_header, new_message
from mp_perception.bags.truth_messages import labels_message
from mp_perception.bags.writing import BagWriter
from mp_perception.commands.main import app
from mp_perception.data.image_files import read_image
from mp_perception.data.object_label import Box3D, ObjectLabel
from mp_perception.geometry import CameraIntrinsics
from mp_perception.messages.camera_info import camera_info_message
from mp_perception.messages.detections import detection_message, hypothesis_message, label_info_message
from mp_perception.messages.images import image_message
from mp_perception.visualization.video import VideoWriter

NUM_IMAGES = 6


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def still_street(streets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sequence of KITTI's tracking data that shows the same street in all images; nobody moves."""
    root = tmp_path_factory.mktemp("tracking")
    for folder in ("image_02/0000", "label_02", "calib"):
        (root / "training" / folder).mkdir(parents=True)
    source = streets / "training"
    labels = (source / "label_2" / "000000.txt").read_text().splitlines()
    lines = []
    for image in range(NUM_IMAGES):
        shutil.copy(source / "image_2" / "000000.png", root / "training" / "image_02" / "0000" / f"{image:06d}.png")
        lines += [f"{image} {-1 if 'DontCare' in label else i} {label}\n" for i, label in enumerate(labels)]
    (root / "training" / "label_02" / "0000.txt").write_text("".join(lines))
    shutil.copy(source / "calib" / "000000.txt", root / "training" / "calib" / "0000.txt")
    return root


def test_files_and_bag_give_the_same_figures(still_street: Path, street_weights: Path, tmp_path: Path) -> None:
    arguments = ("--weights", street_weights, "--tracking", "--score-threshold", 0.5)
    done = run(
        *("evaluate", "--dataset", "kitti-tracking", "--root", still_street, *arguments),
        *("--json", tmp_path / "files.json", "--report", tmp_path / "files.html"),
    )
    assert done.exit_code == 0, done.output
    assert "Tracks formed in the camera frame" in done.output
    assert "Tracks formed in the camera frame" in (tmp_path / "files.html").read_text()
    files = json.loads((tmp_path / "files.json").read_text())["tracking"]
    assert list(files) == ["camera"]
    figures = files["camera"]["all"]
    assert figures["object_seconds"] > 0.5
    # All images are the same, so what is found is found in all images once tracks are confirmed, as the same object.
    assert figures["switches"] == 0
    assert figures["hits"] > 0
    assert run("bag", "from-kitti-tracking", still_street, "0000", tmp_path / "bag").exit_code == 0
    done = run("bag", "evaluate", tmp_path / "bag", *arguments, "--json", tmp_path / "bag.json")
    assert done.exit_code == 0, done.output
    bag = json.loads((tmp_path / "bag.json").read_text())["tracking"]["camera"]["all"]
    for name in ("HOTA", "IDF1", "MOTA", "hits", "misses", "false_alarms", "object_seconds", "recall"):
        expected = figures[name] if name == "recall" else pytest.approx(figures[name])
        assert bag[name] == expected, name


def test_the_ids_that_a_node_published_are_scored(tmp_path: Path) -> None:
    """One car in five images; the node gave it another id from the fourth on."""
    box, camera = (100.0, 80.0, 160.0, 130.0), CameraIntrinsics(700, 700, 319.5, 95.5, 640, 192)
    image = np.random.default_rng(0).integers(0, 256, (192, 640, 3), dtype=np.uint8)
    label = ObjectLabel("Car", box, 0, 0, Box3D((-4.0, 1.6, 20.0), (1.5, 1.7, 4.0), 0.0), identity=5)
    with BagWriter(tmp_path / "bag") as bag:
        for number in range(5):
            stamp = (1000 + number) * 100_000_000
            header = bag_header("camera", stamp)
            bag.write("/ground_truth/labels", stamp, labels_message([label], header))
            bag.write("/camera/camera_info", stamp, camera_info_message(new_message, camera, header))
            bag.write("/camera/image_raw", stamp, image_message(new_message, image, "rgb8", header))
            info = label_info_message(new_message, ("Car",), 0.3, header)
            bag.write("/label_info", stamp, info)
            hypothesis = hypothesis_message(new_message, "Car", 0.9, (0, 0, 20), np.zeros((6, 6)))
            detection = detection_message(new_message, header, box, hypothesis, "7" if number < 3 else "9")
            found = new_message("vision_msgs/msg/Detection2DArray", header=header, detections=[detection])
            bag.write("/detections", stamp, found)
    done = run("bag", "evaluate", tmp_path / "bag", "--recorded", "--tracking", "--json", tmp_path / "out.json")
    assert done.exit_code == 0, (done.output, done.exception)
    figures = json.loads((tmp_path / "out.json").read_text())["tracking"]["camera"]["Vehicle"]
    assert (figures["hits"], figures["switches"], figures["misses"]) == (5, 1, 0)
    assert figures["velocity"]["median_error"] is None


def test_objects_in_videos_are_followed(streets: Path, street_weights: Path, tmp_path: Path) -> None:
    image = read_image(streets / "training" / "image_2" / "000000.png")
    with VideoWriter(tmp_path / "street.mp4") as video:
        for number in range(NUM_IMAGES):
            video.write(image, number * 100_000_000)
    out = tmp_path / "out"
    done = run("predict", tmp_path / "street.mp4", "--weights", street_weights, "--out", out)
    assert done.exit_code == 0, done.output
    frames = [json.loads((out / "street" / f"{n:06d}.json").read_text()) for n in range(NUM_IMAGES)]
    assert frames[0]["tracks"] == []
    ids = [{track["id"] for track in frame["tracks"]} for frame in frames]
    assert ids[-1]
    assert ids[-2] <= ids[-1]
    assert (read_image(out / "street" / "000005_overlay.png") != image).any()


def test_a_rendered_bag_shows_tracks(still_street: Path, street_weights: Path, tmp_path: Path) -> None:
    assert run("bag", "from-kitti-tracking", still_street, "0000", tmp_path / "bag").exit_code == 0
    pictures = []
    for options in ([], ["--tracking"]):
        out = tmp_path / f"{len(options)}.mp4"
        done = run("bag", "render", tmp_path / "bag", out, "--weights", street_weights, *options)
        assert done.exit_code == 0, done.output
        with av.open(str(out)) as container:
            pictures.append([frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)])
    plain, tracked = pictures
    assert len(plain) == len(tracked) == NUM_IMAGES
    # A track needs several images; labels then have other words.
    assert np.abs(plain[-1] - tracked[-1]).max() > 100
