"""Folders of images with KITTI's label lines and without camera, such as sets of labelled people.

They teach the detection branch alone, and only the classes that they label.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.coco_classes import from_coco, labelled_in_coco
from mp_perception.data.frame_sets import FrameSet, find_frames, select_frames
from mp_perception.data.kitti.labels import read_labels
from mp_perception.data.object_label import IGNORED_REGION, ObjectLabel


class PeopleFolder(FrameSet):
    """Images of <root>/image with labels in <root>/label/<name>.txt.

    A class counts as labelled if it occurs in one of the label files (see also FrameSet.use_labelled_classes); COCO's
    classes become ours as coco_classes says.
    """

    def __init__(self, root: Path, split: str | None = None, class_names: Sequence[str] = DEFAULT_CLASSES) -> None:
        frames = find_frames(root / "image")
        self._labels = {frame.name: read_labels(root / "label" / f"{frame.name}.txt") for frame in frames}
        occurring = {label.class_name for labels in self._labels.values() for label in labels} - {IGNORED_REGION}
        origin = f"people/{root.resolve().name}"
        super().__init__(origin, select_frames(frames, root, split), class_names, labelled_in_coco(occurring))

    def labels(self, index: int) -> list[ObjectLabel]:
        return from_coco(self._labels[self.frames[index].name], self.class_names)
