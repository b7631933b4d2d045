"""What all data sets have in common: a sorted list of frames on disk, read as samples when they are asked for.

A data set finds its frames when it is opened, and gives the labels and the camera of one frame; everything else
(images, depth maps, classes, checks) is here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mp_perception.arrays import DepthMap, Floats, Mask, Matrix, RgbImage
from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.boxes_3d import visible_surface_depths
from mp_perception.data.depth_png import read_depth_png
from mp_perception.data.ground_truth import EXACT_DEPTH, describe_depth_maps
from mp_perception.data.image_files import FRAME_SUFFIXES, read_image
from mp_perception.data.object_label import IGNORED_REGION, NEIGHBOURS, ObjectLabel
from mp_perception.data.samples import Boxes, Sample
from mp_perception.data.text_files import read_lines
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics, box_areas, clip_boxes
from mp_perception.prediction import Prediction


@dataclass(frozen=True)
class Frame:
    """One image of a data set: its name, its file, and the file of its depth map if it has one."""

    name: str
    image: Path
    depth: Path | None = None


@dataclass(frozen=True)
class FrameCamera:
    """Camera of one image.

    Attributes:
        intrinsics: of this image.
        label_to_camera: (4, 4), a translation from the frame of the labels' 3D boxes to the camera's optical frame.
    """

    intrinsics: CameraIntrinsics
    label_to_camera: Matrix = field(default_factory=lambda: np.eye(4))


@dataclass(frozen=True)
class RecordedOutputs:
    """What a node published for the frames of a data set.

    class_names: those that the outputs can name.  score_thresholds: with which they were published, where known.
    """

    class_names: tuple[str, ...]
    score_thresholds: frozenset[float]


class DroppedFrameError(UserError):
    """A frame that an evaluation leaves out and counts.  reason: in two or three words, the same for many frames."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[1])


class FrameSet(Sequence[Sample]):
    """A data set: frames in order of their names; index it for samples.

    A subclass is opened by (root, split, class_names); split: see select_frames.  Opening and indexing raise UserError
    naming the file that is missing or wrong.

    Args:
        origin: its name in the registry.
        frames: at least one.
        class_names: the classes that the samples' labels index.
        labelled: names of the classes that it labels; all others are unknown in its images.

    Attributes:
        title: what it is, for people; set by what opens it.
        description: what it is, for JSON; set by what opens it.
        ground_truth: what its depth maps are, in words, as far as their folders identify it.
        recorded: what a node published for its frames, or None.
        problems: (what was wrong, an example) where something of the frame that was read last could not be used.
        mended: what is corrected in its frames when they are read, one line each.
    """

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
        self._uses_sky = False
        self.title = origin
        self.description: dict[str, Any] = {"name": origin}
        self.recorded: RecordedOutputs | None = None
        self.problems: list[tuple[str, str]] = []
        self.mended: list[str] = []
        self.ground_truth = self._describe_depth()

    def _describe_depth(self) -> str:
        if self.origin == "synthetic":
            return EXACT_DEPTH
        return describe_depth_maps(frame.depth for frame in self.frames if frame.depth is not None)

    @property
    def labelled_names(self) -> list[str]:
        """The names of the labelled classes."""
        return [name for name, known in zip(self.class_names, self.labelled_classes, strict=True) if known]

    def use_depth_from(self, folder: Path) -> None:
        """Take the depth map of every frame that has one in this folder from there (<name>.png).

        Raises UserError if the folder has none for any frame.
        """
        paths = [folder / f"{frame.name}.png" for frame in self.frames]
        if not any(path.is_file() for path in paths):
            raise UserError(f"{paths[0]}: missing, and so are the depth maps of all other frames of {self.origin}")
        self.frames = [
            replace(frame, depth=path) if path.is_file() else frame
            for frame, path in zip(self.frames, paths, strict=True)
        ]
        self.ground_truth = self._describe_depth()

    def use_sky(self) -> None:
        """Make the depth of the sky known, where masks of it are at hand: +Inf in the samples' depth maps."""
        self._uses_sky = True

    def use_labelled_classes(self, class_names: Collection[str]) -> None:
        """Take only these classes as labelled; objects of others become ignored regions.

        Raises UserError for a name that is not one of the set's classes.
        """
        labelled = self._known(class_names)
        self.labelled_classes = np.array([name in labelled for name in self.class_names], dtype=bool)

    def mark_inexact(self, class_names: Collection[str]) -> None:
        """Mark the boxes of these classes as drawn by another rule than elsewhere (Sample.exact).

        Raises UserError for a name that is not one of the set's classes.
        """
        self._inexact = self._known(class_names)

    def _known(self, class_names: Collection[str]) -> frozenset[str]:
        for name in class_names:
            if name not in self.class_names:
                raise UserError(f"{self.origin}: unknown class '{name}': expected one of {', '.join(self.class_names)}")
        return frozenset(class_names)

    def labels(self, index: int) -> list[ObjectLabel] | None:
        """The labels of a frame as its file has them, or None if its objects are not labelled."""
        return None

    def camera(self, index: int, width: int, height: int) -> FrameCamera | None:
        """The camera of a frame whose image has width x height pixels, or None if it is not known."""
        return None

    def stamp(self, index: int) -> float | None:
        """When the image of a frame was taken, seconds from any start, or None if it is not known."""
        return None

    def pose(self, index: int) -> Matrix | None:
        """(4, 4) from the camera's optical frame to a frame that does not move in a sequence; None if not known."""
        return None

    def image(self, index: int) -> RgbImage:
        """The image of a frame, RGB (H, W, 3)."""
        return read_image(self.frames[index].image)

    def depth(self, index: int) -> DepthMap | None:
        """The depth map (H, W) of a frame, metres, NaN where unknown, or None if it has none."""
        path = self.frames[index].depth
        return None if path is None else read_depth_png(path)

    def sky(self, index: int) -> Mask | None:
        """The mask (H, W) of the sky in a frame, or None if it is not known."""
        return None

    def recorded_prediction(self, index: int) -> Prediction:
        """What a node published for a frame; only where `recorded` is not None.

        Raises DroppedFrameError if it published nothing usable.
        """
        raise NotImplementedError

    def seconds(self) -> Floats | None:
        """The stamps (N,) of all frames, or None if they are not known."""
        stamps = [self.stamp(index) for index in range(len(self))]
        return None if None in stamps else np.array(stamps, dtype=np.float64)

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]
        """The sample of a frame.

        Raises UserError naming the file that is missing or wrong, and DroppedFrameError if only this frame is unusable.
        """
        frame = self.frames[index]
        image = self.image(index)
        height, width = image.shape[:2]
        depth = self.depth(index)
        if depth is not None and depth.shape != (height, width):
            found = f"{depth.shape[1]}x{depth.shape[0]}"
            raise UserError(f"{frame.depth}: expected {width}x{height} pixels as {frame.image.name}, found {found}")
        if self._uses_sky and (sky := self.sky(index)) is not None:
            depth = _with_sky(depth, sky, frame, (height, width))
        camera = self.camera(index, width, height)
        labels = self.labels(index)
        objects, ignored = self._select_objects(labels or [])
        boxes, inside = _visible_boxes(objects, width, height)
        objects = [label for label, seen in zip(objects, inside, strict=True) if seen]
        object_depths: Floats = np.full(len(objects), np.nan)
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
            labelled_classes=np.zeros_like(self.labelled_classes) if labels is None else self.labelled_classes,
            depth=depth,
            intrinsics=camera.intrinsics if camera else None,
        )

    def _select_objects(self, labels: Sequence[ObjectLabel]) -> tuple[list[ObjectLabel], list[ObjectLabel]]:
        """The labels of the labelled classes, and those whose objects are ignored.

        Labels of other classes that are not their neighbours are left out: their objects are background.
        """
        labelled = self.labelled_names
        objects, ignored = [], []
        for label in labels:
            name = label.class_name
            if name in labelled:
                objects.append(label)
            elif name == IGNORED_REGION or name in self.class_names or NEIGHBOURS.get(name) in self.class_names:
                ignored.append(label)
        return objects, ignored


def find_frames(images: Path, depth: Path | None = None, prefix: str = "") -> list[Frame]:
    """A frame <prefix><name> for each image <name>.png or .jpg of a folder, sorted.

    depth: folder of the depth maps <name>.png; a frame without a file there has no depth map.
    Raises UserError if the folder is missing or has no images, or two images have the same name.
    """
    if not images.is_dir():
        raise UserError(f"{images}: no such folder, expected images (.png or .jpg)")
    frames: dict[str, Frame] = {}
    for path in sorted(path for path in images.iterdir() if path.suffix.lower() in FRAME_SUFFIXES):
        if path.stem in frames:
            raise UserError(f"{path}: expected one file per frame, found {frames[path.stem].image.name} beside it")
        depth_map = depth / f"{path.stem}.png" if depth else None
        frames[path.stem] = Frame(prefix + path.stem, path, depth_map if depth_map and depth_map.exists() else None)
    if not frames:
        raise UserError(f"{images}: expected images (.png or .jpg), found none")
    return list(frames.values())


def select_frames(frames: Iterable[Frame], root: Path, split: str | None) -> list[Frame]:
    """The frames that a split file names, one name per line; all of them if split is None.

    split: the path of a file, or the name of one in <root>/ImageSets.
    Raises UserError if there is no such file, it is empty, or (with its line) for a name that is unknown or repeated.
    """
    by_name = {frame.name: frame for frame in frames}
    if split is None:
        return list(by_name.values())
    named = root / "ImageSets" / f"{split}.txt"
    path = next((path for path in (Path(split), named) if path.is_file()), None)
    if path is None:
        raise UserError(f"split '{split}': no such file, and no {named}")
    selected: dict[str, Frame] = {}
    for number, line in enumerate(read_lines(path, "a split file"), start=1):
        name = line.strip()
        if not name:
            continue
        if name not in by_name:
            example = next(iter(by_name), None)
            raise UserError(f"{path}:{number}: expected the name of an image such as {example}, found {name[:80]!r}")
        if name in selected:
            raise UserError(f"{path}:{number}: expected every name once, found {name!r} again")
        selected[name] = by_name[name]
    if not selected:
        raise UserError(f"{path}: expected one name per line, found none")
    return list(selected.values())


def _with_sky(depth: DepthMap | None, sky: Mask, frame: Frame, size: tuple[int, int]) -> DepthMap:
    """The depth map with +Inf in the sky where nothing was measured, but not at its edge, where masks are inexact."""
    if sky.shape != size:
        found = f"{sky.shape[1]}x{sky.shape[0]}"
        raise UserError(f"{frame.name}: expected a mask of the sky of {size[1]}x{size[0]} pixels, found {found}")
    inner = cv2.erode(sky.astype(np.uint8), np.ones((9, 9), np.uint8), borderValue=1) > 0
    with_sky = np.full(size, np.nan, dtype=np.float32) if depth is None else depth.copy()
    with_sky[inner & np.isnan(with_sky)] = np.inf
    return with_sky


def _visible_boxes(labels: Sequence[ObjectLabel], width: int, height: int) -> tuple[Boxes, Mask]:
    """Boxes (N, 4) cut to the image, and the mask (M,) of the labels that they belong to: not empty after cutting."""
    edges = np.array([label.box for label in labels], dtype=np.float32).reshape(-1, 4)
    boxes = clip_boxes(edges, width, height).astype(np.float32)
    seen = box_areas(boxes) > 0
    return boxes[seen], seen
