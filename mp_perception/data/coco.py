"""A folder in COCO's format: one JSON file of instances and a folder of images, as labelling tools write it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.coco_classes import from_coco, labelled_in_coco
from mp_perception.data.frame_sets import Frame, FrameSet
from mp_perception.data.object_label import IGNORED_REGION, ObjectLabel
from mp_perception.errors import UserError

#: Images have fewer pixels than this along a side; JSON's numbers have no limit.
_MAX_COORDINATE = 1e9
_KINDS = {int: "a whole number", str: "a text"}

Value = TypeVar("Value", int, str)


class CocoFolder(FrameSet):
    """Images of a COCO annotation file; boxes only, without camera and depth.

    split: name of the annotation file: <root>/annotations/instances_<split>.json, <root>/<split>.json, or a path;
    None takes the only .json file of <root> or <root>/annotations.  Images are in <root>/images, <root>/<split>,
    beside the annotation file, or in <root>.  A frame is named as its image file, without suffix.
    Categories that are classes of the network stay as they are; COCO's own become ours as coco_classes says.  Crowds
    are ignored regions.  Errors name the file and the entry.
    """

    def __init__(self, root: Path, split: str | None = None, class_names: Sequence[str] = DEFAULT_CLASSES) -> None:
        path = _annotation_file(root, split)
        categories, by_file = read_annotations(path)
        folders = [root / "images", *([root / split] if split else []), path.parent, root]
        frames: list[Frame] = []
        self._labels: dict[str, list[ObjectLabel]] = {}
        for number, (file_name, labels) in enumerate(by_file.items()):
            frames.append(_frame(file_name, folders, f"{path}: images[{number}]"))
            if self._labels.setdefault(frames[-1].name, labels) is not labels:
                raise UserError(f"{path}: images[{number}]: expected every name once, found '{file_name}' again")
        super().__init__("coco", frames, class_names, labelled_in_coco(categories))

    def labels(self, index: int) -> list[ObjectLabel]:
        return from_coco(self._labels[self.frames[index].name], self.class_names)


def read_annotations(path: Path) -> tuple[tuple[str, ...], dict[str, list[ObjectLabel]]]:
    """The categories of a file, and its labels by the file names of its images, at least one.

    Raises UserError naming file and entry.
    """
    content = _read_json(path)
    categories = {
        _value(category, "id", int, where): _value(category, "name", str, where)
        for where, category in _entries(content, "categories", path)
    }
    images: dict[int, str] = {}
    labels: dict[str, list[ObjectLabel]] = {}
    for where, image in _entries(content, "images", path):
        file_name = _value(image, "file_name", str, where)
        if file_name in labels:
            raise UserError(f"{where}: expected every file once, found '{file_name}' again")
        images[_value(image, "id", int, where)] = file_name
        labels[file_name] = []
    if not images:
        raise UserError(f"{path}: expected images, found none")
    for where, annotation in _entries(content, "annotations", path):
        image_id, category_id = (_value(annotation, key, int, where) for key in ("image_id", "category_id"))
        if image_id not in images or category_id not in categories:
            raise UserError(f"{where}: no image {image_id} or no category {category_id} in this file")
        # COCO's own files have boxes without width: nothing is seen of those objects.
        if (box := _box(annotation, where)) is not None:
            name = IGNORED_REGION if annotation.get("iscrowd") else categories[category_id]
            labels[images[image_id]].append(ObjectLabel(name, box))
    return tuple(categories.values()), labels


def format_annotations(
    images: Sequence[tuple[str, tuple[int, int], Sequence[ObjectLabel]]], categories: Sequence[str]
) -> bytes:
    """A file of annotations, as labelling tools import it and `read_annotations` reads it.

    images: file name, (width, height) and labels of each; the labels are of these categories.
    """
    numbers = {name: number for number, name in enumerate(categories, start=1)}
    annotations: list[dict[str, Any]] = []
    for image_id, (_, _, labels) in enumerate(images, start=1):
        for label in labels:
            x1, y1, x2, y2 = (round(float(edge), 2) for edge in label.box)
            box = [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": numbers[label.class_name],
                    "bbox": box,
                    "area": round(box[2] * box[3], 2),
                    "iscrowd": 0,
                    "segmentation": [],
                }
            )
    content = {
        "categories": [{"id": number, "name": name, "supercategory": ""} for name, number in numbers.items()],
        "images": [
            {"id": number, "file_name": name, "width": width, "height": height}
            for number, (name, (width, height), _) in enumerate(images, start=1)
        ],
        "annotations": annotations,
    }
    return json.dumps(content, indent=1).encode()


def _annotation_file(root: Path, split: str | None) -> Path:
    if split is not None:
        candidates = [root / "annotations" / f"instances_{split}.json", root / f"{split}.json", Path(split)]
        for path in candidates:
            if path.is_file():
                return path
        raise UserError(f"split '{split}': expected one of these files, found none: {', '.join(map(str, candidates))}")
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
    # ValueError: not a text, or a number of thousands of digits.
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read as COCO annotations ({error})") from None
    if not isinstance(content, dict):
        found = type(content).__name__
        raise UserError(f"{path}: expected an object with images, annotations, categories, found {found}")
    return content


def _entries(content: dict[str, Any], key: str, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where it is, for messages; entry) of a list of the file."""
    entries = content.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"{path}: expected a list of objects '{key}', found {type(entries).__name__}")
    return ((f"{path}: {key}[{number}]", entry) for number, entry in enumerate(entries))


def _value(entry: dict[str, Any], key: str, kind: type[Value], where: str) -> Value:
    value = entry.get(key)
    if not isinstance(value, kind) or value == "":
        raise UserError(f"{where}: expected {_KINDS[kind]} '{key}', found {value!r}")
    return value


def _frame(file_name: str, folders: Sequence[Path], where: str) -> Frame:
    file = PurePosixPath(file_name)
    if file.is_absolute() or ".." in file.parts:
        raise UserError(f"{where}: expected a file within the image folder, found '{file_name}'")
    path = next((path for folder in folders if (path := folder / file).is_file()), None)
    if path is None:
        raise UserError(f"{where}: no file '{file_name}' in {', '.join(map(str, folders))}")
    return Frame(file.with_suffix("").as_posix(), path)


def _box(annotation: dict[str, Any], where: str) -> tuple[float, float, float, float] | None:
    """x1 y1 x2 y2 of COCO's x y width height; None if its area is 0."""
    box = annotation.get("bbox")
    if not (
        isinstance(box, list)
        and len(box) == 4
        and all(isinstance(value, int | float) and abs(value) <= _MAX_COORDINATE for value in box)
        and min(box[2:]) >= 0
    ):
        raise UserError(f"{where}: expected a bbox [x, y, width, height], found {box!r:.100}")
    x, y, width, height = (float(value) for value in box)
    return (x, y, x + width, y + height) if min(width, height) > 0 else None
