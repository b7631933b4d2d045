"""Boxes as foxglove_msgs/ImageAnnotations, which Foxglove and its kin draw onto the image without a plugin.

Points are pixels from the left top corner of the image's first pixel, as our boxes are.
"""

from __future__ import annotations

from collections.abc import Sequence

from mp_perception.bags.messages import Message, header, new_message
from mp_perception.bags.render.frames import Box
from mp_perception.classes import class_color
from mp_perception.prediction import Detections
from mp_perception.visualization.overlay import label_text, text_color

Color = tuple[int, int, int]

ANNOTATIONS_TYPE = "foxglove_msgs/msg/ImageAnnotations"

_LINE_LOOP = 2
_WHITE = (255, 255, 255)


def detection_annotations(detections: Detections, image_height: int, stamp_ns: int) -> Message:
    """Each detection's box in its class's colour, with class, score and metres; far objects first."""
    size = _font_size(image_height)
    order = (-detections.depth).argsort(kind="stable")
    loops, texts = [], []
    for i in order:
        color = class_color(detections.name(i))
        left, top, right, bottom = (float(edge) for edge in detections.boxes[i])
        loops.append(_loop((left, top, right, bottom), color, max(1.0, image_height / 250), stamp_ns))
        # A text stands on its position: where there is no room above the box, it stands in it.
        baseline = top if top >= size else top + size
        texts.append(_text(label_text(detections, int(i)), (left, baseline), size, color, stamp_ns))
    return new_message(ANNOTATIONS_TYPE, points=loops, texts=texts)


def true_box_annotations(boxes: Sequence[Box], stamp_ns: int) -> Message:
    """True boxes in white."""
    return new_message(ANNOTATIONS_TYPE, points=[_loop(box, _WHITE, 1.0, stamp_ns) for box in boxes])


def _font_size(image_height: int) -> float:
    return max(11.0, image_height / 28)


def _loop(box: Box, color: Color, thickness: float, stamp_ns: int) -> Message:
    left, top, right, bottom = box
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return new_message(
        "foxglove_msgs/msg/PointsAnnotation",
        timestamp=header("", stamp_ns).stamp,
        type=_LINE_LOOP,
        points=[new_message("foxglove_msgs/msg/Point2", x=x, y=y) for x, y in corners],
        outline_color=_color(color, 1.0),
        fill_color=_color(color, 0.0),
        thickness=thickness,
    )


def _text(text: str, position: tuple[float, float], size: float, color: Color, stamp_ns: int) -> Message:
    return new_message(
        "foxglove_msgs/msg/TextAnnotation",
        timestamp=header("", stamp_ns).stamp,
        position=new_message("foxglove_msgs/msg/Point2", x=position[0], y=position[1]),
        text=text,
        font_size=size,
        text_color=_color(text_color(color), 1.0),
        background_color=_color(color, 0.85),
    )


def _color(color: Color, alpha: float) -> Message:
    red, green, blue = (channel / 255 for channel in color)
    return new_message("foxglove_msgs/msg/Color", r=red, g=green, b=blue, a=alpha)
