"""Bags: everything that an evaluation reads from them, but not the network."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from mp_perception.bags.frames import BagFrames
from mp_perception.bags.message_types import bag_header, new_message
from mp_perception.bags.opening import open_contents
from mp_perception.bags.topic_choice import ChosenTopics
from mp_perception.bags.truth_messages import boxes_3d_message, boxes_message, labels_message
from mp_perception.bags.writing import BagWriter
from mp_perception.geometry import CameraIntrinsics
from mp_perception.messages.camera_info import camera_info_message
from mp_perception.messages.detections import label_info_message
from mp_perception.messages.images import image_message
from mp_perception.messages.poses import transforms_message
from reliability.fuzzing.message_targets import STAMP, object_labels, two_points
from reliability.fuzzing.target import fuzz_file


def _bag_file(storage: str, suffix: str) -> bytes:
    """One file of a bag of two frames with all kinds of ground truth."""
    camera = CameraIntrinsics(50.0, 50.0, 31.2, 15.2, 64, 32)
    labels = object_labels()
    once = {
        "/tf_static": transforms_message(new_message, [("camera", "scanner", np.eye(4))], STAMP),
        "/ground_truth/label_info": label_info_message(new_message, ["Car", "Pedestrian"], 0.0, bag_header("", STAMP)),
    }
    per_frame = {
        "/camera/image_raw": image_message(
            new_message, np.full((32, 64, 3), 90, dtype=np.uint8), "rgb8", bag_header("camera", STAMP)
        ),
        "/camera/camera_info": camera_info_message(new_message, camera, bag_header("camera", STAMP)),
        "/scan": two_points(),
        "/ground_truth/labels": labels_message(labels, bag_header("camera", STAMP)),
        "/ground_truth/detections": boxes_message(labels, bag_header("camera", STAMP)),
        "/ground_truth/detections_3d": boxes_3d_message(labels, bag_header("camera", STAMP)),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bag"
        with BagWriter(path, storage) as bag:
            for topic, message in (once | per_frame).items():
                bag.write(topic, STAMP, message)
            for topic, message in per_frame.items():
                message.header.stamp.nanosec += 100_000_000
                bag.write(topic, STAMP + 100_000_000, message)
        return next(path.glob(f"*{suffix}")).read_bytes()


@fuzz_file("bag.mcap", lambda: [_bag_file("mcap", ".mcap")])
def mcap_bag(path: Path) -> None:
    """The first frames of a bag; what can be recovered from a damaged one included."""
    with tempfile.TemporaryDirectory(dir=path.parent) as workspace:
        frames = BagFrames([open_contents(path, ChosenTopics(), "bag", Path(workspace))])
        try:
            for index in range(min(len(frames), 5)):
                _ = frames[index]
        finally:
            frames.close()


@fuzz_file("bag.db3", lambda: [_bag_file("sqlite3", ".db3")])
def sqlite_bag(path: Path) -> None:
    mcap_bag(path)


@fuzz_file("metadata.yaml", lambda: [_bag_file("mcap", "metadata.yaml")])
def bag_metadata(path: Path) -> None:
    (path.parent / "bag_0.mcap").write_bytes(_bag_file("mcap", ".mcap"))
    mcap_bag(path.parent)
