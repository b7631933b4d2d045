"""Matching of default boxes with labelled objects (SSD, Liu et al. 2016, section 2.2), and the resulting targets.

Used by the detection losses.  Boxes are x1 y1 x2 y2 in pixels of the network's input, edges continuous; the default
boxes are those of `default_boxes.generate_default_boxes`, as a tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import box_area, box_iou

from mp_perception.model.default_boxes import CENTRE_VARIANCE, SIZE_VARIANCE

#: A default box is matched with an object if their intersection over union is above this.
IOU_THRESHOLD = 0.5
#: A background default box is unknown if more than this fraction of its area lies in one ignored region.
IGNORED_FRACTION = 0.5


class MatchedTargets(NamedTuple):
    """Targets of N default boxes in B images.

    classes: (B, N) int64, 0 for background, else label + 1.
    offsets: (B, N, 4) encoded box of the matched object, NaN where that box is not exact; 0 for background.
    unknown: (B, N) bool, whether a default box that is not matched may still hold an object.
    """

    classes: Tensor
    offsets: Tensor
    unknown: Tensor


def encode_offsets(boxes: Tensor, default_boxes: Tensor) -> Tensor:
    """Offsets (n, 4) = dx, dy, dw, dh that `default_boxes.decode_offsets` turns back into boxes (n, 4)."""
    default_sizes = default_boxes[:, 2:] - default_boxes[:, :2]
    shifts = (boxes[:, :2] + boxes[:, 2:] - default_boxes[:, :2] - default_boxes[:, 2:]) / 2
    scales = (boxes[:, 2:] - boxes[:, :2]) / default_sizes
    return torch.cat([shifts / default_sizes / CENTRE_VARIANCE, scales.log() / SIZE_VARIANCE], dim=1)


def match_default_boxes(
    default_boxes: Tensor,
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    ignored: Sequence[Tensor],
    exact: Sequence[Tensor] | None = None,
) -> MatchedTargets:
    """Match default boxes (N, 4) with the objects of B images.

    Every object is matched with the default box that overlaps it most, in order of decreasing overlap, so that no two
    objects share one (an object that overlaps no free default box is not matched).  Each remaining default box is
    matched with the object that it overlaps most, if by more than IOU_THRESHOLD.  The others are background, or
    unknown where more than IGNORED_FRACTION of their area lies in an ignored region.

    boxes, labels: per image (M, 4) and (M,) integers 0..C-1; M may differ and may be 0.
    ignored: per image (K, 4) regions that may hold objects: unlabelled objects, and objects of similar classes.
    exact: per image (M,) bool, which boxes are targets of the offsets; default: all.
    Raises ValueError for wrong shapes, boxes that are not finite or have no area, negative labels.
    """
    if default_boxes.ndim != 2 or default_boxes.shape[1] != 4:
        raise ValueError(f"expected default boxes (N, 4), found {tuple(default_boxes.shape)}")
    if not len(boxes) == len(labels) == len(ignored) > 0:
        counts = f"{len(boxes)}, {len(labels)}, {len(ignored)}"
        raise ValueError(f"expected boxes, labels and ignored regions of the same images, found {counts}")
    images = []
    for i, (image_boxes, image_labels, image_ignored) in enumerate(zip(boxes, labels, ignored, strict=True)):
        _check_boxes(image_boxes, f"boxes of image {i}")
        _check_boxes(image_ignored, f"ignored regions of image {i}")
        if image_labels.shape != image_boxes.shape[:1] or (image_labels < 0).any():
            raise ValueError(f"image {i}: expected {len(image_boxes)} labels from 0, found {image_labels.tolist()}")
        # An inexact box is matched like others, but its offsets are no target.
        wanted_boxes = image_boxes.to(default_boxes)
        if exact is not None:
            wanted_boxes = torch.where(exact[i][:, None].to(wanted_boxes.device), wanted_boxes, torch.nan)
        image_boxes, image_ignored = image_boxes.to(default_boxes), image_ignored.to(default_boxes)
        images.append(_match_image(default_boxes, image_boxes, wanted_boxes, image_labels, image_ignored))
    classes, offsets, unknown = zip(*images, strict=True)
    return MatchedTargets(torch.stack(classes), torch.stack(offsets), torch.stack(unknown))


def _check_boxes(boxes: Tensor, name: str) -> None:
    """Raises ValueError unless boxes are (n, 4) and finite with positive sides."""
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{name}: expected (n, 4), found {tuple(boxes.shape)}")
    sound = boxes.isfinite().all(dim=1) & (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    if not sound.all():
        raise ValueError(f"{name}: expected finite x1 < x2, y1 < y2, found {boxes[~sound][0].tolist()}")


def _match_image(
    default_boxes: Tensor, boxes: Tensor, wanted_boxes: Tensor, labels: Tensor, ignored: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Classes (N,), offsets (N, 4) and unknown (N,) of one image."""
    classes = torch.zeros(len(default_boxes), dtype=torch.int64, device=default_boxes.device)
    offsets = torch.zeros_like(default_boxes)
    if len(boxes):
        overlaps = box_iou(boxes, default_boxes)
        best_overlaps, objects = overlaps.max(dim=0)
        is_positive = best_overlaps > IOU_THRESHOLD
        for matched_object, default_box in _best_pairs(overlaps):
            objects[default_box] = matched_object
            is_positive[default_box] = True
        positives = is_positive.nonzero()[:, 0]
        objects = objects[positives]
        classes[positives] = labels.to(classes)[objects] + 1
        offsets[positives] = encode_offsets(wanted_boxes[objects], default_boxes[positives])
    return classes, offsets, _lies_in(default_boxes, ignored) & (classes == 0)


def _best_pairs(overlaps: Tensor) -> list[tuple[int, int]]:
    """Pairs (object, default box) from overlaps (M, N), each object and each default box at most once.

    SSD's bipartite matching: repeatedly the maximum overlap among unmatched objects and default boxes.  Other objects
    take at most M - 1 default boxes, so the M best of each object are sufficient.
    """
    num_objects, num_default_boxes = overlaps.shape
    best = overlaps.topk(min(num_objects, num_default_boxes), dim=1)
    order = best.values.flatten().argsort(descending=True, stable=True)
    order = order[best.values.flatten()[order] > 0]
    objects = order.div(best.values.shape[1], rounding_mode="floor").tolist()
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for matched_object, default_box in zip(objects, best.indices.flatten()[order].tolist(), strict=True):
        if matched_object not in pairs and default_box not in taken:
            pairs[matched_object] = default_box
            taken.add(default_box)
            if len(pairs) == num_objects:
                break
    return list(pairs.items())


def _lies_in(default_boxes: Tensor, regions: Tensor) -> Tensor:
    """(N,) whether more than IGNORED_FRACTION of a default box's area lies in one of regions (K, 4)."""
    left_top = torch.maximum(default_boxes[None, :, :2], regions[:, None, :2])
    right_bottom = torch.minimum(default_boxes[None, :, 2:], regions[:, None, 2:])
    sides = (right_bottom - left_top).clamp(min=0)
    areas: Tensor = box_area(default_boxes)
    return (sides[..., 0] * sides[..., 1] > IGNORED_FRACTION * areas).any(dim=0)
