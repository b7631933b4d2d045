"""A single MCAP file for Foxglove and similar viewers: camera, all outputs of the node, and boxes on the image.

<image topic>/compressed, camera info       CompressedImage, CameraInfo, under their names in the bag
/annotations                                foxglove_msgs/ImageAnnotations, each with class, score and metres
/ground_truth/annotations                   foxglove_msgs/ImageAnnotations, the true boxes
/detections, /label_info, /markers          as the node publishes them
/depth/image, /depth/camera_info            32FC1, metres, at the network's resolution
/depth/image_colored/compressed             CompressedImage, with the metric scale
/overlay/compressed                         CompressedImage
/points                                     PointCloud2, coloured, every second pixel of every second row of the depth

Viewers draw ImageAnnotations onto the image without a plugin.  Their points are pixels from the top-left corner of the
image's first pixel, as our boxes are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from mp_perception.bags.message_types import bag_header, new_message
from mp_perception.bags.render.rendering import Box, RenderedBag, RenderedFrame
from mp_perception.bags.topic_choice import camera_info_beside
from mp_perception.bags.writing import LATCHED, BagWriter
from mp_perception.classes import class_color
from mp_perception.geometry import CameraIntrinsics
from mp_perception.messages.camera_info import camera_info_message
from mp_perception.messages.detections import detections_message, label_info_message
from mp_perception.messages.header import Message
from mp_perception.messages.images import image_message, jpeg_message
from mp_perception.messages.markers import markers_message
from mp_perception.messages.points import depth_points_message
from mp_perception.prediction import Detections, Prediction
from mp_perception.visualization.overlay import label_text, text_color

Color = tuple[int, int, int]

_ANNOTATIONS_TYPE = "foxglove_msgs/msg/ImageAnnotations"
_LINE_LOOP = 2
_WHITE = (255, 255, 255)

#: JPEG's, 1..100: lines and small text stay clear.
JPEG_QUALITY = 90
#: The points are taken from every second pixel of every second row.
_POINT_STEP = 2


def write_annotated_bag(path: Path, bag: RenderedBag) -> None:
    """Write a .mcap file.  Raises UserError if it cannot be written."""
    topics = bag.contents.topics
    image_topic = topics.image.removesuffix("/compressed") + "/compressed"
    info_topic = topics.camera_info or camera_info_beside(topics.image)
    with BagWriter(path) as writer:
        writer.add_topic("/label_info", "vision_msgs/msg/LabelInfo", LATCHED)
        for number, frame in enumerate(bag.frames):
            stamp = frame.stamp_ns
            header = bag_header(bag.contents.camera_frame, stamp)
            if number == 0:
                info = label_info_message(new_message, bag.class_names, bag.score_threshold, header)
                writer.write("/label_info", stamp, info)
            writer.write(image_topic, stamp, jpeg_message(new_message, frame.image, JPEG_QUALITY, header))
            if frame.intrinsics is not None:
                writer.write(info_topic, stamp, camera_info_message(new_message, frame.intrinsics, header))
            for topic, message in _outputs(bag, frame, header):
                writer.write(topic, stamp, message)


def _outputs(bag: RenderedBag, frame: RenderedFrame, header: Message) -> Iterator[tuple[str, Message]]:
    prediction, stamp = frame.prediction, header.stamp
    # Empty annotations too: a viewer shows the last ones until others come.
    yield "/ground_truth/annotations", _true_box_annotations(frame.true_boxes, stamp)
    if prediction is None:
        yield "/annotations", new_message(_ANNOTATIONS_TYPE)
        return
    detections, depth = prediction.detections, prediction.network_depth
    yield "/annotations", _detection_annotations(detections, frame.image.shape[0], stamp)
    yield "/detections", detections_message(new_message, detections, frame.intrinsics, header, "name")
    yield "/markers", markers_message(new_message, detections, frame.intrinsics, header)
    yield "/overlay/compressed", jpeg_message(new_message, frame.overlay(), JPEG_QUALITY, header)
    colors = frame.colored_depth(bag.depth_range)
    yield "/depth/image_colored/compressed", jpeg_message(new_message, colors, JPEG_QUALITY, header)
    yield "/depth/image", image_message(new_message, depth, "32FC1", header)
    if frame.intrinsics is not None:
        intrinsics = frame.intrinsics.scaled(depth.shape[1], depth.shape[0])
        yield "/depth/camera_info", camera_info_message(new_message, intrinsics, header)
        yield "/points", _points(frame, prediction, intrinsics, header)


def _points(frame: RenderedFrame, prediction: Prediction, intrinsics: CameraIntrinsics, header: Message) -> Message:
    """The depth as coloured points.  intrinsics: at the network's resolution."""
    step = slice(None, None, _POINT_STEP)
    depth = prediction.network_depth[step, step]
    colors = cv2.resize(frame.image, (intrinsics.width, intrinsics.height), interpolation=cv2.INTER_AREA)
    # The camera of the pixels that are kept: a pixel's number is divided by the step, and so is the principal point.
    camera = replace(
        intrinsics,
        fx=intrinsics.fx / _POINT_STEP,
        fy=intrinsics.fy / _POINT_STEP,
        cx=intrinsics.cx / _POINT_STEP,
        cy=intrinsics.cy / _POINT_STEP,
        width=depth.shape[1],
        height=depth.shape[0],
    )
    return depth_points_message(new_message, depth, np.asarray(colors, np.uint8)[step, step], camera, header)


def _detection_annotations(detections: Detections, image_height: int, stamp: Message) -> Message:
    """Each detection's box in the colour of its class, with class, score and metres; far objects first."""
    font_size = max(11.0, image_height / 28)
    loops, texts = [], []
    for i in (-detections.depth).argsort(kind="stable"):
        color = class_color(detections.name(i))
        left, top, right, bottom = (float(edge) for edge in detections.boxes[i])
        loops.append(_loop((left, top, right, bottom), color, max(1.0, image_height / 250), stamp))
        texts.append(
            new_message(
                "foxglove_msgs/msg/TextAnnotation",
                timestamp=stamp,
                # The position is that of the baseline: above the box, or inside it at the top of the image.
                position=_point(left, top if top >= font_size else top + font_size),
                text=label_text(detections, int(i)),
                font_size=font_size,
                text_color=_color(text_color(color), 1.0),
                background_color=_color(color, 0.85),
            )
        )
    return new_message(_ANNOTATIONS_TYPE, points=loops, texts=texts)


def _true_box_annotations(boxes: Sequence[Box], stamp: Message) -> Message:
    """True boxes in white."""
    return new_message(_ANNOTATIONS_TYPE, points=[_loop(box, _WHITE, 1.0, stamp) for box in boxes])


def _loop(box: Box, color: Color, thickness: float, stamp: Message) -> Message:
    left, top, right, bottom = box
    return new_message(
        "foxglove_msgs/msg/PointsAnnotation",
        timestamp=stamp,
        type=_LINE_LOOP,
        points=[_point(left, top), _point(right, top), _point(right, bottom), _point(left, bottom)],
        outline_color=_color(color, 1.0),
        fill_color=_color(color, 0.0),
        thickness=thickness,
    )


def _point(x: float, y: float) -> Message:
    return new_message("foxglove_msgs/msg/Point2", x=x, y=y)


def _color(color: Color, alpha: float) -> Message:
    red, green, blue = (channel / 255 for channel in color)
    return new_message("foxglove_msgs/msg/Color", r=red, g=green, b=blue, a=alpha)
