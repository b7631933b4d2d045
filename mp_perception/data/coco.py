"""A folder in COCO's format: one JSON file of instances and a folder of images, so that users bring their own data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.coco_classes import from_coco, labelled_in_coco
from mp_perception.data.frame_sets import Frame, FrameSet
from mp_perception.data.object_label import IGNORED_REGION, ObjectLabel
from mp_perception.errors import UserError

#: No image has so many pixels along a side; JSON's numbers have no limit.
_LARGEST_COORDINATE = 1e9


class CocoFolder(FrameSet):
    """Images of a COCO annotation file; boxes only, no camera, no depth.

    split: name of the annotation file: <root>/annotations/instances_<split>.json, <root>/<split>.json, or a path;
    None takes the only .json file of <root> or <root>/annotations.  Images lie in <root>/images, <root>/<split>,
    beside the annotation file, or in <root>.  A frame is named as its image file, without suffix.
    Categories that are classes of the network count as they are; COCO's own become ours as coco_classes says.  Crowds
    are unknown regions.  Raises UserError naming the file and the entry that is missing or wrong.
    """

    def __init__(self, root: Path, split: str | None = None, class_names: Sequence[str] = DEFAULT_CLASSES) -> None:
        self.annotation_file = _annotation_file(root, split)
        content = _read_json(self.annotation_file)
        categories = {}
        for number, category in enumerate(_entries(content, "categories", self.annotation_file)):
            where = f"{self.annotation_file}: categories[{number}]"
            categories[_integer(category, "id", where)] = _text(category, "name", where)
        folders = [root / "images", *([root / split] if split else []), self.annotation_file.parent, root]
        names: dict[int, str] = {}
        frames: dict[str, Frame] = {}
        for number, image in enumerate(_entries(content, "images", self.annotation_file)):
            where = f"{self.annotation_file}: images[{number}]"
            file_name = PurePosixPath(_text(image, "file_name", where))
            if file_name.is_absolute() or ".." in file_name.parts:
                raise UserError(f"{where}: expected a file within the image folder, found '{file_name}'")
            path = next((path for folder in folders if (path := folder / file_name).is_file()), None)
            if path is None:
                raise UserError(f"{where}: no file '{file_name}' in {', '.join(map(str, folders))}")
            name = file_name.with_suffix("").as_posix()
            if name in frames:
                raise UserError(f"{where}: expected every file once, found '{file_name}' again")
            names[_integer(image, "id", where)] = name
            frames[name] = Frame(name, path)
        self._labels: dict[str, list[ObjectLabel]] = {name: [] for name in frames}
        for number, annotation in enumerate(_entries(content, "annotations", self.annotation_file)):
            where = f"{self.annotation_file}: annotations[{number}]"
            image_id, category_id = _integer(annotation, "image_id", where), _integer(annotation, "category_id", where)
            if image_id not in names or category_id not in categories:
                raise UserError(f"{where}: no image {image_id} or no category {category_id} in this file")
            # COCO's own files have boxes without width: nothing is seen of those objects.
            if (box := _box(annotation, where)) is not None:
                label = ObjectLabel(IGNORED_REGION if annotation.get("iscrowd") else categories[category_id], box)
                self._labels[names[image_id]].append(label)
        if not frames:
            raise UserError(f"{self.annotation_file}: expected images, found none")
        super().__init__("coco", frames.values(), class_names, labelled_in_coco(tuple(categories.values())))

    def labels(self, index: int) -> list[ObjectLabel]:
        return from_coco(self._labels[self.frames[index].name], self.class_names)


def _annotation_file(root: Path, split: str | None) -> Path:
    if split is not None:
        candidates = [root / "annotations" / f"instances_{split}.json", root / f"{split}.json", Path(split)]
        for path in candidates:
            if path.is_file():
                return path
        raise UserError(f"split '{split}': none of these files is there: {', '.join(map(str, candidates))}")
    found = sorted([*root.glob("*.json"), *root.glob("annotations/*.json")])
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise UserError(f"{root}: expected one .json file in it or in annotations/ (or a split), found {names}")
    return found[0]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: expected JSON, found: {error.msg}") from None
    # ValueError: no text, or a number of thousands of digits.
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read as COCO annotations ({error})") from None
    if not isinstance(content, dict):
        raise UserError(
            f"{path}: expected an object with images, annotations, categories, found {type(content).__name__}"
        )
    return content


def _entries(content: dict[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    entries = content.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"{path}: expected a list of objects '{key}', found {type(entries).__name__}")
    return entries


def _integer(entry: dict[str, Any], key: str, where: str) -> int:
    value = entry.get(key)
    if not isinstance(value, int):
        raise UserError(f"{where}: expected a whole number '{key}', found {value!r}")
    return value


def _text(entry: dict[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise UserError(f"{where}: expected a text '{key}', found {value!r}")
    return value


def _box(annotation: dict[str, Any], where: str) -> tuple[float, float, float, float] | None:
    """x1 y1 x2 y2 of COCO's x y width height; None if it has no area."""
    box = annotation.get("bbox")
    if not (
        isinstance(box, list)
        and len(box) == 4
        and all(isinstance(value, int | float) and abs(value) <= _LARGEST_COORDINATE for value in box)
        and min(box[2:]) >= 0
    ):
        raise UserError(f"{where}: expected a bbox [x, y, width, height], found {box!r:.100}")
    x, y, width, height = (float(value) for value in box)
    return (x, y, x + width, y + height) if min(width, height) > 0 else None
