"""Folders of labelled people: image/*.jpg and label/*.txt with KITTI's label columns, most of them unknown.

Each set labels only some classes and knows no camera, so it teaches the detection branch, those classes alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.coco_classes import from_coco, labelled_in_coco
from mp_perception.data.frame_sets import Frame, FrameSet, find_images, select_frames, split_file
from mp_perception.data.kitti.labels import read_labels
from mp_perception.data.object_label import ObjectLabel
from mp_perception.errors import UserError


@dataclass(frozen=True)
class PeopleSource:
    """A set: the classes it labels, and whether its labels bear COCO's names."""

    labelled: tuple[str, ...]
    has_coco_names: bool = False


#: The sets by the name of their folder.
PEOPLE_SOURCES = {
    # Penn-Fudan database for pedestrian detection (Wang, Shi, Song, Shen 2007).
    "penn_fudan": PeopleSource(("Pedestrian",)),
    "coco": PeopleSource(
        labelled_in_coco(("person", "bicycle", "car", "motorcycle", "bus", "truck", "train")), has_coco_names=True
    ),
    "street_video": PeopleSource(("Pedestrian", "Cyclist")),
}


class PeopleFolder(FrameSet):
    """One of PEOPLE_SOURCES, told by the name of its folder.

    split: a file of names, or the name of one in <root>/ImageSets.  Raises UserError naming what is missing or wrong.
    """

    def __init__(self, root: Path, split: str | None = None, class_names: Sequence[str] = DEFAULT_CLASSES) -> None:
        name = root.resolve().name
        if name not in PEOPLE_SOURCES:
            known = ", ".join(PEOPLE_SOURCES)
            raise UserError(f"{root}: expected a folder named as one of the known sets ({known}), found '{name}'")
        self._source = PEOPLE_SOURCES[name]
        self._label_folder = root / "label"
        frames = [Frame(stem, image) for stem, image in find_images(root / "image").items()]
        frames = select_frames(frames, split_file(root, split))
        super().__init__(f"people/{name}", frames, class_names, self._source.labelled)
        for frame in self.frames:
            if not (path := self._label_folder / f"{frame.name}.txt").is_file():
                raise UserError(f"{path}: missing, expected beside {frame.image}")

    def labels(self, index: int) -> list[ObjectLabel]:
        labels = read_labels(self._label_folder / f"{self.frames[index].name}.txt")
        return from_coco(labels, self.class_names) if self._source.has_coco_names else labels
