"""What all data sets share: a sorted list of frames on disk, read when they are asked for, as samples.

A data set finds its frames when it is opened and says, for one frame, which labels and which camera it has; the rest
(images, depth maps, classes, checks) is here.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mp_perception.classes import DEFAULT_CLASSES, KITTI_TYPES
from mp_perception.data.boxes_3d import visible_surface_depths
from mp_perception.data.image_files import read_image
from mp_perception.data.kitti.calibration import KittiCalibration
from mp_perception.data.kitti.depth import read_depth_png
from mp_perception.data.object_label import IGNORED_REGION, ObjectLabel
from mp_perception.data.samples import Boxes, Sample
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics, box_areas, clip_boxes

#: Classes that KITTI's own labels know.
KITTI_CLASSES = tuple(name for name in KITTI_TYPES if name != IGNORED_REGION)

#: Neighbour -> class it is easily taken for.  Where the neighbour is no class of its own, finding it as the other is
#: neither right nor wrong (KITTI's rules of average precision).
NEIGHBOURS = {"Van": "Car", "Person_sitting": "Pedestrian"}

_IMAGE_SUFFIXES = (".png", ".jpg")


@dataclass(frozen=True)
class Frame:
    """One image of a data set: its name, its file, and the file of its depth map where there is one."""

    name: str
    image: Path
    depth: Path | None = None


@dataclass(frozen=True)
class FrameCamera:
    """Camera of one image.

    label_to_camera: (4, 4), a translation from the frame of the labels' 3D boxes to the camera's optical frame.
    """

    intrinsics: CameraIntrinsics
    label_to_camera: NDArray[np.float64] = field(default_factory=lambda: np.eye(4))


class FrameSet(ABC, Sequence[Sample]):
    """A data set: frames in order of their names; index it for samples.

    origin: its name in the registry.  frames: at least one.  class_names: the classes that the samples' labels count.
    labelled: names of the classes it labels; nothing else in its images is known.
    """

    #: What its depth maps are, in words, where their folders do not tell.
    ground_truth: str | None = None

    def __init__(
        self,
        origin: str,
        frames: Iterable[Frame],
        class_names: Sequence[str] = DEFAULT_CLASSES,
        labelled: Collection[str] = (),
    ) -> None:
        self.origin = origin
        self.frames = sorted(frames, key=lambda frame: frame.name)
        self.class_names = tuple(class_names)
        self.labelled_classes = np.array([name in labelled for name in self.class_names], dtype=bool)
        self._inexact: frozenset[str] = frozenset()

    def use_depth_from(self, folder: Path) -> None:
        """Takes every frame's depth map from <folder>/<name>.png, as `data complete-depth` writes them.

        Raises UserError if a frame that has a map has none there.
        """
        for i, frame in enumerate(self.frames):
            path = folder / f"{frame.name}.png"
            if frame.depth is not None and not path.is_file():
                raise UserError(f"{path}: missing, expected in place of {frame.depth}")
            if frame.depth is not None:
                self.frames[i] = replace(frame, depth=path)

    def mark_inexact(self, class_names: Collection[str]) -> None:
        """Boxes of these classes are drawn otherwise here than elsewhere (Sample.exact).

        Raises UserError for a class that the set does not know.
        """
        for name in class_names:
            if name not in self.class_names:
                raise UserError(f"{self.origin}: unknown class '{name}': expected one of {', '.join(self.class_names)}")
        self._inexact = frozenset(class_names)

    def labels(self, index: int) -> list[ObjectLabel] | None:
        """The labels of a frame as they stand in its file, or None if nobody looked for objects."""
        return None

    def camera(self, index: int, width: int, height: int) -> FrameCamera | None:
        """The camera of a frame whose image has width x height pixels, or None if it is not known."""
        return None

    def image(self, index: int) -> NDArray[np.uint8]:
        """The image of a frame, RGB (H, W, 3)."""
        return read_image(self.frames[index].image)

    def depth(self, index: int) -> NDArray[np.float32] | None:
        """The depth map of a frame, metres, NaN where unknown, or None where there is none."""
        path = self.frames[index].depth
        return None if path is None else read_depth_png(path)

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]
        """The sample of a frame.  Raises UserError naming the file that is missing or wrong."""
        frame = self.frames[index]
        image = self.image(index)
        height, width = image.shape[:2]
        depth = self.depth(index)
        if depth is not None and depth.shape != (height, width):
            found = f"{depth.shape[1]}x{depth.shape[0]}"
            raise UserError(f"{frame.depth}: expected {width}x{height} pixels as {frame.image.name}, found {found}")
        camera = self.camera(index, width, height)
        intrinsics = camera.intrinsics if camera else None
        labels = self.labels(index)
        if labels is None:
            return Sample(frame.name, self.origin, image, self.class_names, depth=depth, intrinsics=intrinsics)
        objects, ignored = _select_objects(labels, self.class_names)
        boxes, inside = _visible_boxes(objects, width, height)
        objects = [label for label, seen in zip(objects, inside, strict=True) if seen]
        object_depths: NDArray[np.float64] = np.full(len(objects), np.nan)
        if camera is not None:
            object_depths = visible_surface_depths(objects, camera.intrinsics, camera.label_to_camera)
        return Sample(
            name=frame.name,
            origin=self.origin,
            image=image,
            class_names=self.class_names,
            boxes=boxes,
            labels=np.array([self.class_names.index(label.class_name) for label in objects], dtype=np.int64),
            object_depths=object_depths.astype(np.float32),
            exact=np.array([label.class_name not in self._inexact for label in objects], dtype=bool),
            ignored=_visible_boxes(ignored, width, height)[0],
            labelled_classes=self.labelled_classes,
            depth=depth,
            intrinsics=intrinsics,
        )


def _select_objects(
    labels: Sequence[ObjectLabel], class_names: Sequence[str]
) -> tuple[list[ObjectLabel], list[ObjectLabel]]:
    """The labels of the classes, and those of ignored regions: marked as such, or of neighbours that are not a class.

    Labels of other classes are left out: their objects are background.
    """
    objects = [label for label in labels if label.class_name in class_names]
    others = [label for label in labels if label.class_name not in class_names]
    ignored = [
        label
        for label in others
        if label.class_name == IGNORED_REGION or NEIGHBOURS.get(label.class_name) in class_names
    ]
    return objects, ignored


def kitti_camera(calibration: KittiCalibration, camera: int, width: int, height: int) -> FrameCamera:
    """A rectified camera of KITTI's; raises UserError if the calibration lacks it."""
    return FrameCamera(calibration.intrinsics(camera, width, height), calibration.camera_0_to_camera(camera))


def find_images(folder: Path) -> dict[str, Path]:
    """Name without suffix -> file, of the .png and .jpg images of a folder, sorted.

    Raises UserError if the folder is missing or empty, or two files have one name.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder, expected images (.png or .jpg)")
    images: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in _IMAGE_SUFFIXES:
            continue
        if path.stem in images:
            raise UserError(f"{path}: expected one file per frame, found {images[path.stem].name} beside it")
        images[path.stem] = path
    if not images:
        raise UserError(f"{folder}: expected images (.png or .jpg), found none")
    return images


def split_file(root: Path, split: str | None) -> Path | None:
    """The file of a split: a file's path, or the name of one in <root>/ImageSets; None takes every frame.

    Raises UserError if there is no such file.
    """
    if split is None:
        return None
    named = root / "ImageSets" / f"{split}.txt"
    for path in (Path(split), named):
        if path.is_file():
            return path
    raise UserError(f"split '{split}': no such file, and no {named}")


def select_frames(frames: Iterable[Frame], split: Path | None) -> list[Frame]:
    """The frames that a split file names, one name per line; all of them without a split file.

    Raises UserError naming file and line of a name that has no frame or stands there twice, and for an empty file.
    """
    by_name = {frame.name: frame for frame in frames}
    if split is None:
        return list(by_name.values())
    try:
        lines = split.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{split}: cannot be read as a split file ({error})") from None
    selected: dict[str, Frame] = {}
    for number, line in enumerate(lines, start=1):
        name = line.strip()
        if not name:
            continue
        if name not in by_name:
            example = next(iter(by_name), "none at all")
            raise UserError(f"{split}:{number}: no image of this name, found {name[:80]!r} (there is, say, {example})")
        if name in selected:
            raise UserError(f"{split}:{number}: expected every name once, found {name!r} again")
        selected[name] = by_name[name]
    if not selected:
        raise UserError(f"{split}: expected one name per line, found none")
    return list(selected.values())


def _visible_boxes(labels: Sequence[ObjectLabel], width: int, height: int) -> tuple[Boxes, NDArray[np.bool_]]:
    """Boxes (N, 4) cut to the image, and which labels (M,) they belong to: those with something inside."""
    edges = np.array([label.box for label in labels], dtype=np.float32).reshape(-1, 4)
    boxes = clip_boxes(edges, width, height).astype(np.float32)
    seen = box_areas(boxes) > 0
    return boxes[seen], seen
