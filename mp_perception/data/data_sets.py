"""The registry of data sets, by the names that `--dataset` and training configurations use.

A new data set is one class (a FrameSet) and one line here, or an entry point of another package.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.coco import CocoFolder
from mp_perception.data.frame_sets import FrameSet
from mp_perception.data.kitti.depth_sets import KittiDepth, KittiDepthSelection, KittiOdometry, KittiStereo
from mp_perception.data.kitti.object import KittiObjects
from mp_perception.data.kitti.raw_frames import KittiRaw
from mp_perception.data.kitti.tracking import KittiTracking
from mp_perception.data.people import PeopleFolder
from mp_perception.errors import UserError
from mp_perception.extensions import extension_names, load_extension

#: Name -> (root folder, split or None, class names) -> data set.
DATA_SETS: dict[str, Callable[[Path, str | None, Sequence[str]], FrameSet]] = {
    "kitti-object": KittiObjects,
    "kitti-depth": KittiDepth,
    "kitti-depth-selection": KittiDepthSelection,
    "kitti-raw": KittiRaw,
    "kitti-tracking": KittiTracking,
    "kitti-stereo": KittiStereo,
    "kitti-odometry": KittiOdometry,
    "people": PeopleFolder,
    "coco": CocoFolder,
    "synthetic": partial(KittiObjects, origin="synthetic"),
}


def open_data_set(
    name: str, root: Path, split: str | None = None, class_names: Sequence[str] = DEFAULT_CLASSES
) -> FrameSet:
    """A data set by its name; split: see its class.  Raises UserError for an unknown name or a wrong folder."""
    opened = DATA_SETS.get(name) or load_extension("data_sets", name)
    if not callable(opened):
        known = sorted({*DATA_SETS, *extension_names("data_sets")})
        raise UserError(f"unknown data set '{name}': expected one of {', '.join(known)}")
    if not root.is_dir():
        raise UserError(f"{root}: no such folder, expected the data set {name}")
    data_set: FrameSet = opened(root, split, class_names)
    data_set.title = f"{name}{'' if split is None else f', {Path(split).stem}'}"
    data_set.description = {"name": name, "root": str(root), "split": split}
    return data_set
