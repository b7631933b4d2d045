"""Labels from the boxes of a detector, for images whose objects, or some classes of them, are not labelled.

A detector has other classes than ours, and outlines objects by another rule: a table of TaughtClass converts both.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mp_perception.data.frame_sets import FrameSet
from mp_perception.data.kitti.labels import write_labels
from mp_perception.data.object_label import IGNORED_REGION, ObjectLabel
from mp_perception.data.text_files import parse_numbers
from mp_perception.errors import UserError
from mp_perception.geometry import clip_boxes
from mp_perception.progress import track
from mp_perception.training.teachers import DetectionTeacher, Floats, TeacherBoxes


@dataclass(frozen=True)
class TaughtClass:
    """What becomes of a detector's class.

    class_name: the class of the labels, or IGNORED_REGION.
    min_score: of a label.
    margins: what is added to x1 y1 x2 y2 of its boxes, as fractions of their heights.
    """

    class_name: str
    min_score: float = 0.5
    margins: tuple[float, float, float, float] = (0, 0, 0, 0)

    def boxes(self, boxes: Floats) -> Floats:
        """Boxes (N, 4) with the margins."""
        heights = boxes[:, 3:] - boxes[:, 1:2]
        return np.asarray(boxes + np.array(self.margins, dtype=np.float32) * heights)


def parse_taught_class(text: str) -> tuple[int, TaughtClass]:
    """A detector's class number and what becomes of it, from NUMBER=CLASS[@SCORE][:LEFT,TOP,RIGHT,BOTTOM].

    Raises UserError for other text.

    Examples:
        >>> parse_taught_class("1=Pedestrian@0.4:-0.02,-0.04,0.02,0.01")
        (1, TaughtClass(class_name='Pedestrian', min_score=0.4, margins=(-0.02, -0.04, 0.02, 0.01)))
    """
    found = re.fullmatch(r"(\d{1,9})=([^\s:=@]+)(?:@(0?\.\d+|0|1))?(?::(.+))?", text)
    if found is None:
        raise UserError(f"class {text!r}: expected NUMBER=CLASS[@SCORE][:LEFT,TOP,RIGHT,BOTTOM], a score of 0..1")
    number, name, score, margins = found.groups()
    min_score = TaughtClass.min_score if score is None else float(score)
    if margins is None:
        return int(number), TaughtClass(name, min_score)
    left, top, right, bottom = parse_numbers(margins.replace(",", " "), 4, f"class {text!r}")
    return int(number), TaughtClass(name, min_score, (left, top, right, bottom))


def teach_labels(
    frames: FrameSet,
    teacher: DetectionTeacher,
    classes: Mapping[int, TaughtClass],
    out: Path,
    min_ignored_score: float = 0.2,
) -> Counter[str]:
    """Write <out>/label/<name>.txt for every frame, in KITTI's columns; existing files are kept.

    A file has the frame's own labels, and taught ones of the classes that the set does not label.

    Args:
        classes: number of a detector's class -> what becomes of it; other classes are left out.
        min_ignored_score: of an ignored region, because there may be an object.

    Returns:
        Class (or IGNORED_REGION) -> number of labels that were added.

    Raises:
        UserError: the set labels all classes already, or a file cannot be written.
    """
    own = {name for name, known in zip(frames.class_names, frames.labelled_classes, strict=True) if known}
    taught = {number: entry for number, entry in classes.items() if entry.class_name not in own}
    if not taught:
        wanted = ", ".join(entry.class_name for entry in classes.values()) or "none"
        raise UserError(f"{frames.origin}: expected classes that are not labelled in it, found {wanted}")
    targets = {index: out / "label" / f"{frame.name}.txt" for index, frame in enumerate(frames.frames)}
    added: Counter[str] = Counter()
    for index, target in track([item for item in targets.items() if not item[1].exists()], "labelling"):
        image = frames.image(index)
        labels = taught_labels(teacher.detect(image), taught, (image.shape[0], image.shape[1]), min_ignored_score)
        write_labels(target, [*(frames.labels(index) or []), *labels])
        added.update(label.class_name for label in labels)
    return added


def taught_labels(
    found: TeacherBoxes,
    classes: Mapping[int, TaughtClass],
    size: tuple[int, int],
    min_ignored_score: float,
) -> list[ObjectLabel]:
    """The labels of an image of a size (height, width): boxes with the margins of their classes, within the image."""
    labels = []
    for box, score, number in zip(found.boxes, found.scores, found.classes, strict=True):
        if number in classes and score >= min_ignored_score:
            outline = clip_boxes(classes[number].boxes(box[None]), size[1], size[0])[0]
            name = classes[number].class_name if score >= classes[number].min_score else IGNORED_REGION
            if outline[0] < outline[2] and outline[1] < outline[3]:
                labels.append(ObjectLabel(name, tuple(outline.tolist())))
    return labels
