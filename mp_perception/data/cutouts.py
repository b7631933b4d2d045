"""People with an alpha channel, pasted into street images where they could stand.

A person of known height is put at a distance: its size and the row of its feet follow from the camera, what is
nearer hides it, and light, blur and noise follow the image.  So box and depth of the pasted object are as exact as the
cut-out's height.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import DepthMap, Mask, RgbImage
from mp_perception.data.samples import Boxes, Sample
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics, box_areas, box_intersections, clip_boxes

#: Height of the camera above the ground, metres (KITTI's).
CAMERA_HEIGHT = 1.65
#: Kind of a cut-out in index.csv -> class of its object, or None if it is an unknown region; negatives have no object.
KINDS = {"pedestrian": "Pedestrian", "cyclist": "Cyclist", "motorcyclist": None, "negative": None}
#: How often each kind is drawn.
_FREQUENCIES = {"pedestrian": 0.5, "cyclist": 0.38, "negative": 0.08, "motorcyclist": 0.04}
#: KITTI's boxes enclose the projected 3D box: margins around the mask (left, top, right, bottom), in mask heights.
_MARGINS = {"Pedestrian": (0.02, 0.035, 0.02, 0.01), "Cyclist": (0.02, 0.02, 0.02, 0.02)}
#: Minimum and maximum distance of a pasted object, metres.
_DISTANCES = (5.0, 45.0)
#: The ground under the feet must be as far as the object, up to this factor, where its depth is known.
_GROUND_TOLERANCE = 1.2
#: What is nearer than this fraction of the object's distance hides it.
_IN_FRONT = 0.93
#: Visible fractions below which a pasted object is not pasted, and is an unknown region.
_MIN_VISIBLE, _MIN_LABELLED = 0.25, 0.5
#: An object of which a pasted one hides more than this fraction becomes unknown.
_HIDDEN_FRACTION = 0.5
#: Places tried for one object.
_TRIALS = 8


@dataclass(frozen=True)
class Cutout:
    """One entry of index.csv: the file (RGBA), the kind (one of KINDS), and the true height of what it shows, m."""

    path: Path
    kind: str
    height: float


class Cutouts:
    """A folder of cut-outs with an index.csv (columns file, class, source_set, height_m, on_ground).

    Kinds are drawn by fixed frequencies, and sources of a kind by the square root of their size, because a large source
    is of one place and pose.  Cut-outs that do not stand on the ground are left out.
    Raises UserError if the index is missing or invalid.
    """

    def __init__(self, folder: Path) -> None:
        index = folder / "index.csv"
        self._by_source: dict[str, dict[str, list[Cutout]]] = {kind: defaultdict(list) for kind in KINDS}
        try:
            with index.open(newline="") as file:
                for row in csv.DictReader(file):
                    if row["class"] not in KINDS:
                        raise UserError(f"{index}: expected classes {', '.join(KINDS)}, found {row['class']!r}")
                    if row["on_ground"] == "1":
                        cutout = Cutout(folder / row["file"], row["class"], float(row["height_m"]))
                        self._by_source[row["class"]][row["source_set"]].append(cutout)
        except (OSError, UnicodeDecodeError, KeyError, ValueError, TypeError, csv.Error) as error:
            expected = "file, class, source_set, height_m, on_ground"
            raise UserError(f"{index}: expected {expected}, found: {error}") from error
        self._kinds = [kind for kind in KINDS if self._by_source[kind]]
        if not self._kinds:
            raise UserError(f"{index}: expected cut-outs that stand on the ground, found none")

    def draw(self, random: np.random.Generator) -> Cutout:
        """A random cut-out."""
        frequencies = np.array([_FREQUENCIES[kind] for kind in self._kinds])
        kind = self._kinds[random.choice(len(self._kinds), p=frequencies / frequencies.sum())]
        sources = list(self._by_source[kind].values())
        sizes = np.sqrt([len(source) for source in sources])
        source = sources[random.choice(len(sources), p=sizes / sizes.sum())]
        return source[random.integers(len(source))]


@dataclass(frozen=True)
class PasteCutouts:
    """Paste one to three cut-outs into a sample whose camera and people are known, with this probability."""

    cutouts: Cutouts
    probability: float = 0.6

    def __call__(self, sample: Sample, random: np.random.Generator) -> Sample:
        known = {name for name, labelled in zip(sample.class_names, sample.labelled_classes, strict=True) if labelled}
        wanted = {name for name in KINDS.values() if name is not None}
        if sample.intrinsics is None or not wanted <= known or random.random() >= self.probability:
            return sample
        for _ in range(int(random.integers(1, 4))):
            cutout = self.cutouts.draw(random)
            pixels = cv2.imread(str(cutout.path), cv2.IMREAD_UNCHANGED)
            if pixels is None or pixels.ndim != 3 or pixels.shape[2] != 4:
                raise UserError(f"{cutout.path}: expected an image with an alpha channel")
            if random.random() < 0.5:
                pixels = pixels[:, ::-1]
            pixels = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_BGRA2RGBA)
            sample = _paste_somewhere(sample, np.asarray(pixels, dtype=np.uint8), cutout, random)
        return sample


def _paste_somewhere(sample: Sample, pixels: NDArray[np.uint8], cutout: Cutout, random: np.random.Generator) -> Sample:
    """The sample with the cut-out at a random place on the ground; unchanged if none of some places fits."""
    for _ in range(_TRIALS):
        distance = float(np.exp(random.uniform(*np.log(_DISTANCES))))
        feet_column = float(random.uniform(0, sample.size[1]))
        if stands_on_ground(sample, feet_column, distance):
            pasted = paste(sample, pixels, cutout, distance, feet_column, random)
            if pasted is not None:
                return pasted
    return sample


def feet_row(camera: CameraIntrinsics, distance: float) -> float:
    """Row (image point) of the flat ground at a distance, metres, seen by a level camera at CAMERA_HEIGHT."""
    return camera.cy + 0.5 + camera.fy * CAMERA_HEIGHT / distance


def stands_on_ground(sample: Sample, feet_column: float, distance: float) -> bool:
    """Whether the image point of the feet can be ground at this distance: in the image, not in a box, and as deep."""
    assert sample.intrinsics is not None
    row, column = int(feet_row(sample.intrinsics, distance)), int(feet_column)
    height, width = sample.size
    if not (0 <= row < height and 0 <= column < width):
        return False
    boxes = np.concatenate([sample.boxes, sample.ignored])
    if ((boxes[:, :2] <= (column, row)).all(axis=1) & (boxes[:, 2:] >= (column, row)).all(axis=1)).any():
        return False
    if sample.depth is None:
        return True
    around = sample.depth[max(row - 3, 0) : row + 4, max(column - 6, 0) : column + 7]
    known = around[~np.isnan(around)]
    if len(known) == 0:
        return True
    ratio = float(np.median(known)) / distance
    return 1 / _GROUND_TOLERANCE < ratio < _GROUND_TOLERANCE


def paste(
    sample: Sample,
    pixels: NDArray[np.uint8],
    cutout: Cutout,
    distance: float,
    feet_column: float,
    random: np.random.Generator,
) -> Sample | None:
    """The sample with a cut-out standing at a distance, or None if too little of it would be visible.

    pixels: (h, w, 4) RGBA of the cut-out.  distance: metres along the optical axis.  feet_column: image point.
    """
    camera = sample.intrinsics
    assert camera is not None
    rows_of_mask = np.flatnonzero((pixels[..., 3] > 127).any(axis=1))
    if len(rows_of_mask) == 0:
        return None
    scale = camera.fy * cutout.height / distance / (rows_of_mask[-1] + 1 - rows_of_mask[0])
    colour, alpha = _resized(pixels, scale)
    top = round(feet_row(camera, distance) - (rows_of_mask[-1] + 1) * scale)
    left = round(feet_column - alpha.shape[1] / 2)
    rows, columns = _within(top, alpha.shape[0], sample.size[0]), _within(left, alpha.shape[1], sample.size[1])
    mask_area = float(alpha.sum())
    part = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    in_front = _hides(sample, rows, columns, distance)
    # Both: the colours are multiplied by alpha.
    colour, alpha = np.where(in_front[..., None], 0, colour[part]), np.where(in_front, 0, alpha[part])
    visible = float(alpha.sum()) / max(mask_area, 1e-6)
    if visible < _MIN_VISIBLE:
        return None
    image = sample.image.copy()
    image[rows, columns] = _blended(image[rows, columns], colour, alpha, random)
    box = _box(pixels[..., 3] > 127, scale, (left, top), KINDS[cutout.kind])
    changed = replace(sample, image=image, depth=_with_depth(sample.depth, alpha, rows, columns, distance))
    changed = _without_hidden(changed, box, distance)
    if cutout.kind == "negative":
        return changed
    class_name = KINDS[cutout.kind] if visible >= _MIN_LABELLED else None
    return _with_object(changed, box, class_name, distance)


def _resized(pixels: NDArray[np.uint8], scale: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colour (h, w, 3) in 0..255, multiplied by alpha, and alpha (h, w) in 0..1 of RGBA pixels at a scale."""
    alpha = pixels[..., 3:].astype(np.float32) / 255
    premultiplied = np.concatenate([pixels[..., :3] * alpha, alpha], axis=2)
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = np.asarray(cv2.resize(premultiplied, size, interpolation=interpolation), dtype=np.float32)
    return resized[..., :3], resized[..., 3]


def _within(start: int, length: int, limit: int) -> slice:
    return slice(min(max(start, 0), limit), min(max(start + length, 0), limit))


def _hides(sample: Sample, rows: slice, columns: slice, distance: float) -> Mask:
    """Mask of a part of the image: what is nearer than an object at a distance, by the depth map or by boxes."""
    hides = np.zeros((rows.stop - rows.start, columns.stop - columns.start), dtype=bool)
    for box in sample.boxes[sample.object_depths < _IN_FRONT * distance]:
        left, top, right, bottom = np.rint(box - np.array([columns.start, rows.start] * 2)).astype(int)
        hides[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    if sample.depth is not None:
        # The median of 5x5 pixels, because single pixels, such as those of lidar, would make holes.
        nearer = sample.depth[rows, columns] < _IN_FRONT * distance
        hides |= cv2.medianBlur(nearer.astype(np.uint8), 5) > 0
    return hides


def _blended(
    background: RgbImage, colour: NDArray[np.float32], alpha: NDArray[np.float32], random: np.random.Generator
) -> RgbImage:
    """The object over the background (h, w, 3), with the brightness around it, and some blur and noise."""
    opaque = alpha > 0.5
    brightness = float(np.median(colour[opaque])) if opaque.any() else 128.0
    around = float(np.median(background))
    gain = np.clip((around / max(brightness, 1.0)) ** 0.5 * random.uniform(0.8, 1.2), 0.45, 1.25)
    sigma = random.uniform(0.3, 0.7)
    layers = cv2.GaussianBlur(np.dstack([colour * np.float32(gain), alpha]), (0, 0), sigma)
    noise = random.normal(0, random.uniform(2, 6), colour.shape).astype(np.float32)
    front, opacity = layers[..., :3] + noise * layers[..., 3:], layers[..., 3:]
    return np.asarray(np.clip(np.rint(front + (1 - opacity) * background), 0, 255), dtype=np.uint8)


def _with_depth(
    depth: DepthMap | None, alpha: NDArray[np.float32], rows: slice, columns: slice, distance: float
) -> DepthMap | None:
    """The depth map with the object in it; unknown at its edge, where the pixels are of both."""
    if depth is None:
        return None
    changed = depth.copy()
    part = changed[rows, columns]
    part[alpha > 0.05] = np.nan
    part[alpha > 0.9] = distance
    return changed


def _box(mask: Mask, scale: float, corner: tuple[int, int], class_name: str | None) -> Boxes:
    """The box (1, 4) of a whole mask at a scale and place, with the class's margins."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    edges = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) * scale + np.array([*corner, *corner])
    left, top, right, bottom = (margin * (edges[3] - edges[1]) for margin in _MARGINS.get(class_name or "", (0,) * 4))
    return np.array([[edges[0] - left, edges[1] - top, edges[2] + right, edges[3] + bottom]], dtype=np.float32)


def _without_hidden(sample: Sample, box: Boxes, distance: float) -> Sample:
    """The sample with the objects behind a box at a distance as unknown regions if it hides most of them."""
    covered = box_intersections(sample.boxes, box)[:, 0] / box_areas(sample.boxes)
    hidden = (covered > _HIDDEN_FRACTION) & ~(sample.object_depths < _IN_FRONT * distance)
    return replace(
        sample,
        boxes=sample.boxes[~hidden],
        labels=sample.labels[~hidden],
        object_depths=sample.object_depths[~hidden],
        exact=sample.exact[~hidden],
        ignored=np.concatenate([sample.ignored, sample.boxes[hidden]]),
    )


def _with_object(sample: Sample, box: Boxes, class_name: str | None, distance: float) -> Sample:
    """The sample with another object, or with another unknown region if it has no class."""
    box = clip_boxes(box, sample.size[1], sample.size[0]).astype(np.float32)
    if class_name is None:
        return replace(sample, ignored=np.concatenate([sample.ignored, box]))
    return replace(
        sample,
        boxes=np.concatenate([sample.boxes, box]),
        labels=np.append(sample.labels, sample.class_names.index(class_name)),
        object_depths=np.append(sample.object_depths, np.float32(distance)),
        exact=np.append(sample.exact, True),
    )
