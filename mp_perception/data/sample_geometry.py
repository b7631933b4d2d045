"""Flip, crop, resize and pad a whole sample: image, boxes, depth map and camera move together.

Depth stays in metres whatever happens to the pixels: scaling an image scales its focal length, and the intrinsics
change accordingly.  Pixel arithmetic is NumPy's and OpenCV's: torchvision's transforms do not handle sparse depth
maps (they would average measured and unknown depth) or cameras.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from mp_perception.arrays import DepthMap
from mp_perception.data.samples import Boxes, Sample
from mp_perception.geometry import box_areas, clip_boxes, letterbox_size

#: An object of which the crop leaves less than this fraction of its box becomes an unknown region.
MIN_VISIBLE_FRACTION = 0.3


def flip(sample: Sample) -> Sample:
    """The mirror image."""
    width = sample.image.shape[1]
    camera = sample.intrinsics
    return replace(
        sample,
        image=np.ascontiguousarray(sample.image[:, ::-1]),
        boxes=_mirrored(sample.boxes, width),
        ignored=_mirrored(sample.ignored, width),
        depth=None if sample.depth is None else np.ascontiguousarray(sample.depth[:, ::-1]),
        intrinsics=None if camera is None else replace(camera, cx=width - 1 - camera.cx),
    )


def crop(sample: Sample, left: int, top: int, width: int, height: int) -> Sample:
    """The part of width x height pixels from (left, top) on, which must be within the image.

    Objects are cut to it; those of which less than MIN_VISIBLE_FRACTION remains become unknown regions.
    Raises ValueError if the part is empty or not within the image.
    """
    image_height, image_width = sample.size
    if not (0 <= left < left + width <= image_width and 0 <= top < top + height <= image_height):
        raise ValueError(f"no part {width}x{height} at ({left}, {top}) in an image of {image_width}x{image_height}")
    offset = np.array([left, top, left, top], dtype=np.float32)
    boxes = clip_boxes(sample.boxes - offset, width, height).astype(np.float32)
    ignored = clip_boxes(sample.ignored - offset, width, height).astype(np.float32)
    visible = box_areas(boxes) / box_areas(sample.boxes)
    keep, is_sliver = visible >= MIN_VISIBLE_FRACTION, (visible > 0) & (visible < MIN_VISIBLE_FRACTION)
    rows, columns = slice(top, top + height), slice(left, left + width)
    camera = sample.intrinsics
    return replace(
        sample,
        image=np.ascontiguousarray(sample.image[rows, columns]),
        boxes=boxes[keep],
        labels=sample.labels[keep],
        object_depths=sample.object_depths[keep],
        exact=sample.exact[keep],
        ignored=np.concatenate([ignored[box_areas(ignored) > 0], boxes[is_sliver]]),
        depth=None if sample.depth is None else np.ascontiguousarray(sample.depth[rows, columns]),
        intrinsics=None
        if camera is None
        else replace(camera, cx=camera.cx - left, cy=camera.cy - top, width=width, height=height),
    )


def resize(sample: Sample, width: int, height: int) -> Sample:
    """The sample at width x height pixels."""
    image_height, image_width = sample.size
    scale = np.array([width / image_width, height / image_height] * 2, dtype=np.float32)
    # As inference/preprocess.py does: bilinear would skip pixels below half the size.  Area averaging does not average
    # (and shifts the image) if a side grows.
    shrinks_much = height < image_height / 2 and width <= image_width
    interpolation = cv2.INTER_AREA if shrinks_much else cv2.INTER_LINEAR
    camera = sample.intrinsics
    return replace(
        sample,
        image=np.asarray(cv2.resize(sample.image, (width, height), interpolation=interpolation), dtype=np.uint8),
        boxes=sample.boxes * scale,
        ignored=sample.ignored * scale,
        depth=None if sample.depth is None else resize_measured_depth(sample.depth, width, height),
        intrinsics=None if camera is None else camera.scaled(width, height),
    )


def pad(sample: Sample, width: int, height: int, top: int = 0) -> Sample:
    """The sample at the left edge of a black image of width x height pixels, from row `top` on.

    Depth around it is unknown.  Raises ValueError if it does not fit.
    """
    image_height, image_width = sample.size
    if width < image_width or not 0 <= top <= height - image_height:
        raise ValueError(f"an image of {image_width}x{image_height} does not fit into {width}x{height} at row {top}")
    if (width, height) == (image_width, image_height):
        return sample
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[top : top + image_height, :image_width] = sample.image
    depth = None
    if sample.depth is not None:
        depth = np.full((height, width), np.nan, dtype=np.float32)
        depth[top : top + image_height, :image_width] = sample.depth
    camera = sample.intrinsics
    if camera is not None:
        camera = replace(camera, cy=camera.cy + top, width=width, height=height)
    offset = np.array([0, top, 0, top], dtype=np.float32)
    return replace(
        sample,
        image=image,
        boxes=sample.boxes + offset,
        ignored=sample.ignored + offset,
        depth=depth,
        intrinsics=camera,
    )


def letterbox(sample: Sample, input_size: tuple[int, int]) -> Sample:
    """The sample at the network's input size (height, width): aspect kept, top-left corner, the rest black."""
    height, width = letterbox_size(sample.size, input_size)
    return pad(resize(sample, width, height), input_size[1], input_size[0])


def resize_measured_depth(depth: DepthMap, width: int, height: int) -> DepthMap:
    """A depth map (H, W), metres, NaN where unknown, at width x height pixels; without averaging.

    A pixel takes the depth of the old pixel under its centre.  Where that is unknown it takes the nearest of the known
    depths whose old pixels' centres fall into it, so that shrinking a sparse map loses no measurement.
    """
    old_height, old_width = depth.shape
    # Whole-number arithmetic: floor((i + 0.5) * old / new) for the centres of the new pixels, and the other way round.
    from_rows = (2 * np.arange(height) + 1) * old_height // (2 * height)
    from_columns = (2 * np.arange(width) + 1) * old_width // (2 * width)
    resized: DepthMap = depth[from_rows[:, None], from_columns]
    if height >= old_height and width >= old_width:
        return resized
    rows, columns = np.nonzero(np.isfinite(depth))
    to_rows = (2 * rows + 1) * height // (2 * old_height)
    to_columns = (2 * columns + 1) * width // (2 * old_width)
    empty = np.isnan(resized[to_rows, to_columns])
    values = depth[rows[empty], columns[empty]]
    # The last assignment to a pixel stays, so the nearest must come last.
    order = np.argsort(-values, kind="stable")
    resized[to_rows[empty][order], to_columns[empty][order]] = values[order]
    return resized


def _mirrored(boxes: Boxes, width: int) -> Boxes:
    mirrored = boxes.copy()
    mirrored[:, 0], mirrored[:, 2] = width - boxes[:, 2], width - boxes[:, 0]
    return mirrored
