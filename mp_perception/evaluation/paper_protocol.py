"""The paper's evaluation with its named faults, and beside it the same images scored correctly.

The image is not resized but padded at the right and the bottom to 1280x384, and goes through the network once as it
is and once mirrored; the targets are filled by colourisation.  The faults are listed in `describe_paper_protocol`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import DepthMap, Floats
from mp_perception.classes import CATEGORIES
from mp_perception.data.depth_png import UNITS_PER_METRE
from mp_perception.data.frame_sets import FrameCamera
from mp_perception.data.object_label import ObjectLabel
from mp_perception.data.samples import Sample
from mp_perception.errors import UserError
from mp_perception.evaluation.depth_metrics import (
    DEPTH_METRICS,
    ImageErrors,
    depth_errors,
    image_errors,
    mean_errors,
)
from mp_perception.evaluation.depth_protocols import MIN_DEPTH
from mp_perception.inference.runtimes.base import Runtime
from mp_perception.prediction import resize_depth

#: Height and width of the network's input; half of it is the size of the network's depth map.
INPUT_SIZE = (384, 1280)
#: The paper cuts its targets to this height and width.
TARGET_SIZE = (375, 1220)
#: The paper divides stored 16-bit values by 1000; if they are metres x 256, one metre is this many of its units.
PAPER_UNITS_PER_METRE = UNITS_PER_METRE / 1000


@dataclass(frozen=True)
class PaperErrors:
    """Errors of one image.  faulty: the paper's way.  correct: measured pixels, registered with the image.

    objects: category -> errors over its objects, mean depth in the box against that of the filled map, background
    included; only categories of which the image has objects.
    """

    faulty: ImageErrors
    correct: ImageErrors
    objects: dict[str, ImageErrors]


def score_paper_frame(
    runtime: Runtime, sample: Sample, labels: Sequence[ObjectLabel], camera: FrameCamera | None
) -> PaperErrors:
    """Run the network the paper's way on an image with a depth map, and compare.

    Depth is scaled to the camera as `Predictor` does it; the padded image has the camera's focal length.
    labels, camera: objects are compared only where both are known.
    Raises UserError if the image is larger than 1280x384 or its depth map is empty.
    """
    from mp_perception.data.depth_completion import complete_depth  # SciPy, which nothing else here needs

    assert sample.depth is not None
    if not np.isfinite(sample.depth).any():
        raise UserError(f"image {sample.name}: expected some known depth for protocol paper, found none")
    focal_length = runtime.description.training_focal_length
    factor = np.float32(1)
    if focal_length is not None and sample.intrinsics is not None:
        factor = np.float32(sample.intrinsics.fy / focal_length)
    half_depth, mirrored = (factor * depth for depth in padded_depths(runtime, sample.image, sample.name))
    grey = cv2.cvtColor(sample.image, cv2.COLOR_RGB2GRAY).astype(np.uint8)
    filled = complete_depth(grey, sample.depth)
    return compare_paper_way(filled, sample.depth, half_depth, mirrored, labels if camera is not None else [])


def compare_paper_way(
    filled: DepthMap,
    measured: DepthMap,
    half_depth: DepthMap,
    mirrored: DepthMap,
    labels: Sequence[ObjectLabel] = (),
) -> PaperErrors:
    """Errors of an image of at most 1280x384 pixels.

    filled: (H, W) metres, the target filled by colourisation.  measured: (H, W) metres, NaN where unknown.
    half_depth: (192, 640) metres, the network's output for the padded image.  mirrored: the same for the mirrored
    padded image, not mirrored back.
    """
    target = np.ascontiguousarray(filled[: TARGET_SIZE[0], : TARGET_SIZE[1]])
    height, width = target.shape
    mean: DepthMap = ((half_depth + mirrored[:, ::-1]) / 2).astype(np.float32)
    # The fault: depth of the padded image over a target without padding.  The authors first cut it to the target's
    # size, which does nothing to KITTI's images: it is only half as large.
    stretched = resize_depth(mean[:height, :width], width, height)
    registered = resize_depth(half_depth, INPUT_SIZE[1], INPUT_SIZE[0])[: measured.shape[0], : measured.shape[1]]
    inside, known = target > 0, measured > 0
    return PaperErrors(
        faulty=image_errors(target[inside], stretched[inside], depth_errors),
        correct=image_errors(measured[known], registered[known], depth_errors, minimum=MIN_DEPTH),
        objects=_compare_objects(labels, target, stretched),
    )


def padded_depths(runtime: Runtime, image: NDArray[np.uint8], name: str) -> tuple[DepthMap, DepthMap]:
    """Depth (192, 640), metres, of the padded image and of its mirror image (not mirrored back).

    image: (H, W, 3) RGB.  Raises UserError naming the image if it is larger than 1280x384.
    """
    height, width = image.shape[:2]
    if height > INPUT_SIZE[0] or width > INPUT_SIZE[1]:
        raise UserError(f"image {name}: expected at most 1280x384 pixels for protocol paper, found {width}x{height}")
    padded = np.zeros((2, *INPUT_SIZE, 3), dtype=np.uint8)
    padded[0, :height, :width] = image
    padded[1] = padded[0, :, ::-1]
    # One image after the other, as in all other runs: a batch of two may be rounded differently.
    return runtime.run(padded[:1]).depth[0], runtime.run(padded[1:]).depth[0]


def _compare_objects(labels: Sequence[ObjectLabel], target: DepthMap, stretched: DepthMap) -> dict[str, ImageErrors]:
    boxes = np.array([label.box for label in labels], dtype=np.float64).reshape(-1, 4)
    true, predicted = mean_depths_in_boxes(target, boxes), mean_depths_in_boxes(stretched, boxes)
    names = np.array([label.class_name for label in labels], dtype=str)
    taken = {name: np.isin(names, classes) & np.isfinite(true) for name, classes in CATEGORIES.items()}
    return {name: image_errors(true[mask], predicted[mask], depth_errors) for name, mask in taken.items() if mask.any()}


def mean_depths_in_boxes(depth: NDArray[np.float32], boxes: Floats) -> Floats:
    """Mean (N,) of the finite depths, metres, of all pixels whose centre lies in each box (N, 4); NaN without any."""
    height, width = depth.shape
    means = np.full(len(boxes), np.nan)
    for i, (x1, y1, x2, y2) in enumerate(boxes):
        left, right = max(math.ceil(x1 - 0.5), 0), min(math.ceil(x2 - 0.5), width)
        top, bottom = max(math.ceil(y1 - 0.5), 0), min(math.ceil(y2 - 0.5), height)
        if left < right and top < bottom:
            values = depth[top:bottom, left:right]
            values = values[np.isfinite(values)]
            if len(values):
                means[i] = values.mean(dtype=np.float64)
    return means


def paper_depth_figures(images: Sequence[PaperErrors], ground_truth: str) -> dict[str, Any]:
    """The paper's Table 2, and the correct figures under `correct`, ready for JSON."""
    faulty = mean_errors([image.faulty for image in images], DEPTH_METRICS)
    rmse = faulty.get("rmse")
    return {
        "protocol": describe_paper_protocol(ground_truth),
        **faulty,
        "rmse_in_paper_units": None if rmse is None else rmse * PAPER_UNITS_PER_METRE,
        "correct": mean_errors([image.correct for image in images], DEPTH_METRICS),
    }


def paper_object_figures(images: Sequence[PaperErrors]) -> dict[str, Any]:
    """The paper's Table 3, ready for JSON: the metrics of People and Vehicle, `count` objects."""
    table: dict[str, Any] = {
        "protocol": {
            "name": "paper",
            "prediction": "mean of the stretched depth inside each labelled box",
            "ground_truth": "mean of the filled map inside the box, background included",
            "mean": "over the objects of an image, then over images",
        }
    }
    for category in CATEGORIES:
        figures = mean_errors([image.objects[category] for image in images if category in image.objects], DEPTH_METRICS)
        table[category] = {
            **{metric: figures.get(metric) for metric in DEPTH_METRICS},
            "count": figures["pixels"],
            "images": figures["images"],
            "without_depth": figures["non_finite_predictions"],
        }
    return table


def describe_paper_protocol(ground_truth: str) -> dict[str, Any]:
    """All that a reader must know to compare the figures, every fault by name."""
    return {
        "name": "paper",
        "metrics": list(DEPTH_METRICS),
        "input": "image padded at the right and the bottom to 1280x384; the paper pads with 0.001 (of 0..1), "
        "which is 0 in the 8-bit pixels of our networks",
        "crop": f"target cut to {TARGET_SIZE[1]}x{TARGET_SIZE[0]} at its top-left corner",
        "cap": None,
        "resolution": "half of the padded 1280x384 image, resized to the cut target, bilinear",
        "ground_truth": f"{ground_truth}, filled by colourisation",
        "mean": "per image, then over images",
        "faults": [
            "the prediction of the padded image is stretched over the cut target: not registered with it",
            "filled pixels count like measured ones, also above the lidar's reach",
            "depth may be stored metres x 256 divided by 1000: rmse_in_paper_units is rmse in that unit (3.906 m)",
            "the prediction is averaged with that of the mirrored image",
            "objects: the mean depth inside a box includes the background",
            "validation images with boxes are found by equal file names",
            "no cap: a negative prediction counts as within d1, d2, d3 and makes log10 undefined (null)",
        ],
        "correct": {
            "crop": None,
            "cap": f"predictions below {MIN_DEPTH:g} m are raised to it",
            "resolution": "enlarged to 1280x384 and cut to the ground truth's size",
            "ground_truth": f"{ground_truth}, measured pixels only",
            "mirrored": False,
        },
    }
