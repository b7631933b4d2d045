"""A single MCAP file for Foxglove and its kin: camera, everything the node publishes, and boxes drawn on the image.

<image topic>/compressed, camera info       CompressedImage, CameraInfo, under their names in the bag
/annotations                                foxglove_msgs/ImageAnnotations, each with class, score and metres
/ground_truth/annotations                   foxglove_msgs/ImageAnnotations, the true boxes
/detections, /label_info, /markers          as the node publishes them
/depth/image, /depth/camera_info            32FC1, metres, at the network's resolution
/depth/image_colored/compressed             CompressedImage, with the metric scale
/overlay/compressed                         CompressedImage
/points                                     PointCloud2, coloured, every second pixel of every second row of the depth
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mp_perception.bags.messages import (
    Message,
    camera_info_message,
    compressed_image_message,
    header,
    image_message,
    new_message,
    point_cloud_message,
)
from mp_perception.bags.render.annotations import ANNOTATIONS_TYPE, detection_annotations, true_box_annotations
from mp_perception.bags.render.frames import RenderedBag, RenderedFrame
from mp_perception.bags.render.video import colored_depth, overlay
from mp_perception.bags.topic_choice import camera_info_beside
from mp_perception.bags.writing import BagWriter, OfferedQos
from mp_perception.detection_messages import detections_to_markers, detections_to_message, label_info
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics
from mp_perception.prediction import Prediction

#: JPEG's, 1..100: lines and small text stay clear.
_QUALITY = 90
#: Every so many pixels of the depth are a point.
_POINT_STEP = 2
_LATCHED = OfferedQos(transient_local=True, depth=1)


@dataclass(frozen=True)
class _Topics:
    """The names that the bag decides."""

    image: str
    camera_info: str

    def types(self) -> dict[str, str]:
        """Every topic with its type."""
        return {
            self.image: "sensor_msgs/msg/CompressedImage",
            self.camera_info: "sensor_msgs/msg/CameraInfo",
            "/annotations": ANNOTATIONS_TYPE,
            "/ground_truth/annotations": ANNOTATIONS_TYPE,
            "/detections": "vision_msgs/msg/Detection2DArray",
            "/markers": "visualization_msgs/msg/MarkerArray",
            "/depth/image": "sensor_msgs/msg/Image",
            "/depth/camera_info": "sensor_msgs/msg/CameraInfo",
            "/depth/image_colored/compressed": "sensor_msgs/msg/CompressedImage",
            "/overlay/compressed": "sensor_msgs/msg/CompressedImage",
            "/points": "sensor_msgs/msg/PointCloud2",
        }


def write_annotated_bag(path: Path, bag: RenderedBag, frames: Iterable[RenderedFrame]) -> None:
    """Write a .mcap file.  Raises UserError if it cannot be written."""
    topics = _Topics(
        bag.image_topic.removesuffix("/compressed") + "/compressed",
        bag.camera_info_topic or camera_info_beside(bag.image_topic),
    )
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.absolute().parent) as workspace:
        folder = Path(workspace) / "bag"
        try:
            with BagWriter(folder) as writer:
                for topic, type_name in topics.types().items():
                    writer.add_topic(topic, type_name)
                writer.add_topic("/label_info", "vision_msgs/msg/LabelInfo", _LATCHED)
                _write_frames(writer, topics, bag, frames)
        except UserError as error:
            # The user knows the file, not the folder it is made in.
            raise UserError(str(error).replace(str(folder), str(path))) from error
        (written,) = folder.glob("*.mcap")
        written.replace(path)


def _write_frames(writer: BagWriter, topics: _Topics, bag: RenderedBag, frames: Iterable[RenderedFrame]) -> None:
    for number, frame in enumerate(frames):
        stamp = frame.stamp_ns
        if number == 0:
            info = label_info(new_message, bag.class_names, bag.score_threshold, header("", stamp))
            writer.write("/label_info", stamp, info)
        for topic, message in _messages(topics, bag, frame):
            writer.write(topic, stamp, message)


def _messages(topics: _Topics, bag: RenderedBag, frame: RenderedFrame) -> Iterator[tuple[str, Message]]:
    stamp, frame_id, prediction = frame.stamp_ns, bag.frame_id, frame.prediction
    yield topics.image, compressed_image_message(frame.image, _QUALITY, frame_id, stamp)
    if frame.intrinsics is not None:
        yield topics.camera_info, camera_info_message(frame.intrinsics, frame_id, stamp)
    # Empty ones too: a viewer shows the last ones until others come.
    yield "/ground_truth/annotations", true_box_annotations(frame.true_boxes, stamp)
    if prediction is None:
        yield "/annotations", new_message(ANNOTATIONS_TYPE)
        return
    head, detections = header(frame_id, stamp), prediction.detections
    yield "/annotations", detection_annotations(detections, frame.image.shape[0], stamp)
    yield "/detections", detections_to_message(new_message, detections, head, "name")
    yield "/markers", detections_to_markers(new_message, detections, frame.intrinsics, head)
    yield "/overlay/compressed", compressed_image_message(overlay(frame), _QUALITY, frame_id, stamp)
    depth = prediction.network_depth
    colored = colored_depth(frame, bag.depth_range)
    yield "/depth/image_colored/compressed", compressed_image_message(colored, _QUALITY, frame_id, stamp)
    yield "/depth/image", image_message(depth, "32FC1", frame_id, stamp)
    if frame.intrinsics is not None:
        intrinsics = frame.intrinsics.scaled(depth.shape[1], depth.shape[0])
        yield "/depth/camera_info", camera_info_message(intrinsics, frame_id, stamp)
        yield "/points", _points(frame, prediction, intrinsics, frame_id)


def _points(frame: RenderedFrame, prediction: Prediction, intrinsics: CameraIntrinsics, frame_id: str) -> Message:
    """The depth as points with the image's colours; those without depth are left out."""
    step = slice(None, None, _POINT_STEP)
    depth = prediction.network_depth[step, step, None]
    size = intrinsics.width, intrinsics.height
    colors = np.asarray(cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA))[step, step].astype(np.uint32)
    packed = (colors[..., 0] << 16 | colors[..., 1] << 8 | colors[..., 2]).view(np.float32)
    rays = intrinsics.pixel_rays()[step, step].astype(np.float32)
    points = np.concatenate([rays * depth, packed[..., None]], axis=2)[np.isfinite(depth[..., 0])]
    return point_cloud_message(points, frame_id, frame.stamp_ns, "rgb")
