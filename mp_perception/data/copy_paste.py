"""Objects of rare classes pasted into other images, at plausible places.

A rectangle around the object is copied with everything known about it: pixels, depth, labels.  If both cameras are
known, it is scaled by their focal lengths and moved sideways only, relative to the horizon: then its depth in metres
stays exact.  Without a camera (sets of people) it is placed on the ground by its height, and its depth is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mp_perception.data.frame_sets import FrameSet
from mp_perception.data.object_label import ObjectLabel
from mp_perception.data.sample_geometry import crop, resize
from mp_perception.data.samples import Sample, no_boxes
from mp_perception.geometry import box_areas

#: Context around the object, as a fraction of its box's width and height.
_CONTEXT = 0.15
#: Width of the rectangle's border, pixels, in which it is blended into the image and depth is unknown.
_FADE = 3
#: An object of which the rectangle hides more than this fraction becomes unknown.
_HIDDEN_FRACTION = 0.5
#: Minimum and maximum height, pixels, to which an object without camera is scaled.
_HEIGHTS = (30.0, 180.0)
#: Distance of such an object's feet below the horizon, in its own heights: people seen by a camera 1.4 to 2 m high.
_FEET_BELOW_HORIZON = (0.8, 1.15)
#: Topmost row of the feet if the horizon is unknown, as a fraction of the image's height.
_HIGHEST_GROUND = 0.55


class ObjectDonors:
    """Objects of some classes to paste: all in some data sets that are not occluded, truncated or small.

    sets: with labels.  class_names: of the objects.  min_height: minimum height of the box, pixels.
    Label files are read once; an object is cut out of its image when it is first drawn, and kept (some tens of
    kilobytes).  `counts` is the number of objects of each class; all classes are drawn equally often.
    """

    def __init__(self, sets: Sequence[FrameSet], class_names: Sequence[str], min_height: float = 40.0) -> None:
        self._sets = list(sets)
        self._places: dict[str, list[tuple[int, int, ObjectLabel]]] = {name: [] for name in class_names}
        for number, data_set in enumerate(self._sets):
            labelled = {data_set.class_names[i] for i in np.flatnonzero(data_set.labelled_classes)}
            for index in range(len(data_set)):
                for label in data_set.labels(index) or ():
                    is_whole = not label.occlusion and (label.truncation or 0) <= 0.1
                    is_tall = label.box[3] - label.box[1] >= min_height
                    if is_whole and is_tall and label.class_name in labelled and label.class_name in self._places:
                        self._places[label.class_name].append((number, index, label))
        self.counts = {name: len(places) for name, places in self._places.items()}
        self._drawable = [name for name, count in self.counts.items() if count]
        self._cut_out: dict[tuple[int, int, tuple[float, float, float, float]], Sample] = {}

    def __len__(self) -> int:
        return sum(self.counts.values())

    def draw(self, random: np.random.Generator) -> Sample:
        """A random object with some context, as a sample of its own.  Raises ValueError if there are no objects."""
        if not self._drawable:
            raise ValueError("there are no objects to draw")
        places = self._places[self._drawable[random.integers(len(self._drawable))]]
        number, index, label = places[random.integers(len(places))]
        key = (number, index, label.box)
        if key not in self._cut_out:
            self._cut_out[key] = cut_out(self._sets[number][index], label.box)
        return self._cut_out[key]


def cut_out(sample: Sample, box: tuple[float, float, float, float]) -> Sample:
    """The part of a sample around a box (x1 y1 x2 y2, pixels, partly within the image), with some context."""
    height, width = sample.size
    left, top, right, bottom = box
    margin_x, margin_y = _CONTEXT * (right - left) + _FADE, _CONTEXT * (bottom - top) + _FADE
    first_column, first_row = max(int(left - margin_x), 0), max(int(top - margin_y), 0)
    last_column, last_row = min(int(np.ceil(right + margin_x)), width), min(int(np.ceil(bottom + margin_y)), height)
    return crop(sample, first_column, first_row, last_column - first_column, last_row - first_row)


@dataclass(frozen=True)
class CopyPaste:
    """Paste one to three random objects into a sample with labelled classes, with this probability."""

    donors: ObjectDonors
    probability: float = 0.6

    def __call__(self, sample: Sample, random: np.random.Generator) -> Sample:
        if not sample.labelled_classes.any() or len(self.donors) == 0 or random.random() >= self.probability:
            return sample
        for _ in range(int(random.integers(1, 4))):
            sample = place_and_paste(sample, self.donors.draw(random), random)
        return sample


def place_and_paste(sample: Sample, donor: Sample, random: np.random.Generator) -> Sample:
    """The sample with the donor at a random plausible place; unchanged if it does not fit into the image."""
    height, width = sample.size
    if sample.intrinsics is not None and donor.intrinsics is not None:
        scale_x = sample.intrinsics.fx / donor.intrinsics.fx
        scale_y = sample.intrinsics.fy / donor.intrinsics.fy
        donor = resize(donor, max(1, round(donor.size[1] * scale_x)), max(1, round(donor.size[0] * scale_y)))
        assert sample.intrinsics is not None
        assert donor.intrinsics is not None
        top = round(sample.intrinsics.cy - donor.intrinsics.cy)
    else:
        wanted = np.exp(random.uniform(*np.log(_HEIGHTS)))
        scale = min(wanted / donor.size[0], height / donor.size[0], width / donor.size[1])
        donor = resize(donor, max(1, int(donor.size[1] * scale)), max(1, int(donor.size[0] * scale)))
        donor = replace(donor, depth=None, intrinsics=None, object_depths=np.full_like(donor.object_depths, np.nan))
        if sample.intrinsics is not None:
            object_height = donor.size[0] / (1 + 2 * _CONTEXT)
            feet = sample.intrinsics.cy + random.uniform(*_FEET_BELOW_HORIZON) * object_height
            top = round(feet + _CONTEXT * object_height) - donor.size[0]
        else:
            # Feet are on the ground, which is not in the upper half.
            lowest = max(donor.size[0], int(_HIGHEST_GROUND * height))
            top = int(random.integers(lowest, height + 1)) - donor.size[0]
    if donor.size[1] > width or top < 0 or top + donor.size[0] > height:
        return sample
    return paste(sample, donor, int(random.integers(width - donor.size[1] + 1)), top)


def paste(sample: Sample, donor: Sample, left: int, top: int) -> Sample:
    """The sample with the donor's pixels, depth and objects in it, from the pixel (left, top) on.

    Objects that it hides become unknown.  If the donor's set labels fewer classes, its whole rectangle is an ignored
    region, except its own objects.  Raises ValueError if the donor does not fit.
    """
    height, width = donor.size
    if not (0 <= left <= sample.size[1] - width and 0 <= top <= sample.size[0] - height):
        raise ValueError(f"a rectangle of {width}x{height} at ({left}, {top}) does not fit into {sample.size}")
    rows, columns = slice(top, top + height), slice(left, left + width)
    offset = np.array([left, top, left, top], dtype=np.float32)
    rectangle = np.array([[0, 0, width, height]], dtype=np.float32) + offset
    hidden = _hidden_fractions(sample.boxes, rectangle[0]) > _HIDDEN_FRACTION
    lacks_classes = bool((sample.labelled_classes & ~donor.labelled_classes).any())
    wanted = sample.labelled_classes[donor.labels]
    return replace(
        sample,
        image=_blended(sample.image, donor.image, rows, columns),
        boxes=np.concatenate([sample.boxes[~hidden], donor.boxes[wanted] + offset]),
        labels=np.concatenate([sample.labels[~hidden], donor.labels[wanted]]),
        object_depths=np.concatenate([sample.object_depths[~hidden], donor.object_depths[wanted]]),
        exact=np.concatenate([sample.exact[~hidden], donor.exact[wanted]]),
        ignored=np.concatenate(
            [
                sample.ignored,
                sample.boxes[hidden],
                donor.ignored + offset,
                rectangle if lacks_classes else no_boxes(),
            ]
        ),
        depth=None if sample.depth is None else _with_depth(sample.depth, donor, rows, columns),
    )


def _blended(image: NDArray[np.uint8], patch: NDArray[np.uint8], rows: slice, columns: slice) -> NDArray[np.uint8]:
    height, width = patch.shape[:2]
    ramps = [np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5 for side in (height, width)]
    opacity = np.clip(np.minimum(ramps[0][:, None], ramps[1]) / _FADE, 0, 1)[..., None]
    blended = image.copy()
    blended[rows, columns] = np.rint(opacity * patch + (1 - opacity) * image[rows, columns])
    return blended


def _with_depth(depth: NDArray[np.float32], donor: Sample, rows: slice, columns: slice) -> NDArray[np.float32]:
    changed = depth.copy()
    changed[rows, columns] = np.nan
    if donor.depth is not None and min(donor.size) > 2 * _FADE:
        inner_rows = slice(rows.start + _FADE, rows.stop - _FADE)
        inner_columns = slice(columns.start + _FADE, columns.stop - _FADE)
        changed[inner_rows, inner_columns] = donor.depth[_FADE:-_FADE, _FADE:-_FADE]
    return changed


def _hidden_fractions(boxes: NDArray[np.float32], rectangle: NDArray[np.float32]) -> NDArray[np.floating]:
    """Fraction (N,) of each box that the rectangle covers."""
    low, high = np.maximum(boxes[:, :2], rectangle[:2]), np.minimum(boxes[:, 2:], rectangle[2:])
    return box_areas(np.concatenate([low, high], axis=1)) / box_areas(boxes)
