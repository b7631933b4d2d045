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
from mp_perception.data.recording import Recording
from mp_perception.errors import UserError, unknown_name
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
    "recording": Recording,
    "synthetic": partial(KittiObjects, origin="synthetic"),
}


def open_data_set(
    name: str, root: Path, split: str | None = None, class_names: Sequence[str] = DEFAULT_CLASSES
) -> FrameSet:
    """A data set by the name of its format.

    Args:
        name: a key of DATA_SETS, or the name of an extension.
        root: folder of the data set.
        split: a split file, or its name in the folder; default: all frames.
        class_names: the classes that the samples' labels index.

    Raises:
        UserError: the name is unknown, or the folder does not contain such a data set.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> from mp_perception.synthetic.drive import write_object_set
        >>> from mp_perception.synthetic.sensors import camera_of_size
        >>> with TemporaryDirectory() as folder:
        ...     camera = camera_of_size(128, 64)
        ...     root = write_object_set(Path(folder) / "scenes", 1, 1, camera)
        ...     data_set = open_data_set("synthetic", root, "train")
        ...     sample = data_set[0]
        >>> len(data_set), sample.image.shape, sample.depth.shape
        (1, (64, 128, 3), (64, 128))
    """
    opened = DATA_SETS.get(name) or load_extension("data_sets", name)
    if not callable(opened):
        raise unknown_name("data set", name, sorted({*DATA_SETS, *extension_names("data_sets")}))
    if not root.is_dir():
        raise UserError(f"{root}: no such folder, expected the data set {name}")
    data_set: FrameSet = opened(root, split, class_names)
    data_set.title = f"{name}{'' if split is None else f', {Path(split).stem}'}"
    data_set.description = {"name": name, "root": str(root), "split": split}
    return data_set
